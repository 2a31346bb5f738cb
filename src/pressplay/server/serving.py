"""Listening on loopback: sockets whose ports stay, and HTTP servers that share one process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


def listen(port: int) -> socket.socket:
    """A listening loopback socket, on `port` if it is free; 0 means any."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets it only on sockets that it made itself; without it an answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        # Somebody took our old port meanwhile: better another one than none.
        listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: two servers share this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http(app: ASGIApp) -> uvicorn.Server:
    """A server for an application; `serve(sockets=[…])` runs it, `should_exit` ends it."""
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


async def until_started(*servers: uvicorn.Server) -> None:
    """Return once all of them answer."""
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.005)
