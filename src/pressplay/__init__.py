"""The delivery pipeline for coding agents: a person merges, nothing here can.

Holds only the version, so that a step's process never loads the wiring.
"""

__version__ = "0.1.0"
