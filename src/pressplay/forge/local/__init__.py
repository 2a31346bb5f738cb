"""A forge on this machine: bare repositories over git's own HTTP backend, and GitHub's REST shapes.

A double of GitHub that says so; it enforces Apps, installations and permissions.
"""
