"""The shipped YAML, in its one home, and the functions that load it.

Never renders free text into a manifest. May import `api` and `base`.
"""
