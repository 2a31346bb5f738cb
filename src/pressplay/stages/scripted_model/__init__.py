"""A double of the Messages API that plays a script: the whole pipeline without a model or a key.

It speaks as the real service does, as far as a client sees it, and says in every answer that it is
a double. It listens on this machine's loopback only.
"""
