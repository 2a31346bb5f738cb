"""The objects we speak of: kinds, names, parameters, agent runs, policy, forge records.

Frozen values and their validation; never any input or output. May import `base`.
"""
