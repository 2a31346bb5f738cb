"""Language profiles: how to format, lint and test a repository."""
