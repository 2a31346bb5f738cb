"""A preview: the source of one commit, the objects that run it, and waiting until it answers."""
