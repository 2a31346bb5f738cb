"""The sidecar `relay`: the only way out of a walled-in step, and what walks it is counted.

A proxy to the allowed package registries, and a meter that holds the model's key. May import the
modules of `stages` and what lies below.
"""
