"""Free ports of this machine, for Services of type NodePort.

The range is Kubernetes' own for node ports. It lies below the one from which Linux takes ports for
outgoing connections, so that a port which was free once stays free.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Container

from pressplay.base.errors import Unavailable

FIRST, LAST = 30000, 32767


def free_port(taken: Container[int]) -> int:
    """A TCP port that nobody listens on and that is not in `taken`. Raises Unavailable."""
    count = LAST - FIRST + 1
    start = secrets.randbelow(count)
    for offset in range(count):
        port = FIRST + (start + offset) % count
        if port not in taken and is_free(port):
            return port
    raise Unavailable(f"No TCP port from {FIRST} to {LAST} is free; end some previews")


def is_free(port: int) -> bool:
    """Whether the port can be listened on, on every address of the machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
