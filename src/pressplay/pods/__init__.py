"""Runs a subset of PodSpec as local processes, in bubblewrap where the host allows it.

Two callers: the engine's steps and the previews. Never knows a Workflow. May import `api`, `base`.
"""
