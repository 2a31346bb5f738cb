"""Reconcilers: a name in, objects out. CodeRun and DocsRun to Workflows; Deployments to processes.

Never imports the engine. May import `cluster`, `pods`, `api` and `base`.
"""
