"""HTTP faces of the store: a subset of the Kubernetes API, with service accounts and their rights.

Never decides anything about a run. May import `cluster`, `api` and `base`.
"""
