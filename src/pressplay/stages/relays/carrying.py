"""A port of this loopback that leads to a socket in a folder."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pressplay.stages.relays import serving, sockets


@contextmanager
def carrier(path: Path) -> Iterator[int]:
    """The port on 127.0.0.1 whose connections go to the socket at `path`."""
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]

    def carry(client: socket.socket) -> None:
        sockets.hasten(client)
        with sockets.connect(path) as server:
            sockets.join(client, server)

    with serving.serving(listening, carry):
        yield port
