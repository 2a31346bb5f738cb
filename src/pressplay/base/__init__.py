"""Tools without a domain: clocks, errors, child processes, redaction, rooted files.

Never knows an object kind or a stage. Imports nothing of ours.
"""
