"""Unix sockets whose paths may be long, and bytes that pass from one connection to another."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CHUNK = 64 * 1024


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Another name of `path`, within the 108 bytes that an address holds (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path) -> socket.socket:
    """A connection to the socket at `path`. Raises OSError."""
    made = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            made.connect(name)
    except BaseException:
        made.close()
        raise
    return made


def listen(path: Path) -> socket.socket:
    """A new socket that listens at `path`, in place of what was there; for its user only."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            made.bind(name)
        path.chmod(0o600)
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made


def hasten(connection: socket.socket) -> None:
    """Send at once what there is to send: what passes through must not wait for its echo."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until both sides have said their last; closes neither."""
    back = threading.Thread(target=_pass, args=(other, one), daemon=True)
    back.start()
    _pass(one, other)
    back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
    except OSError:
        # A broken side breaks the other: half a download must not look like a whole one.
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        return
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
