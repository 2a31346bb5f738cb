"""Interprets Argo Workflow objects: the same manifests that a cluster runs, on one machine.

Never knows a stage of ours. May import `cluster`, `pods`, `api` and `base`.
"""
