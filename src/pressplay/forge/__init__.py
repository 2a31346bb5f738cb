"""Where pull requests live: a closed table of calls in which no merge exists, and a local forge.

Never runs a repository's code. May import `api` and `base`.
"""
