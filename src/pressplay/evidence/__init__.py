"""The proof of a run: shapes, statistics of the verdict, bundles, signatures, offline verification.

Never talks to a network. May import `api` and `base`.
"""
