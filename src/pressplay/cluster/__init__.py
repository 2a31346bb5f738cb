"""Where objects live: one port, a store in memory, one in SQLite, one client over HTTP.

Never interprets what it stores. May import `api` and `base`.
"""
