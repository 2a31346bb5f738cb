"""A listening socket with a thread for each connection, so many at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CONNECTIONS = 128
"""How many are served at once; further ones wait to be accepted."""

_CLOSING_S = 5.0
_TIRED_S = 0.1
"""Pause after an accept that failed: the process may have run out of descriptors."""

Serve = Callable[[socket.socket], None]
"""Serves one connection, which is closed for it; an OSError ends that connection only."""


class _Serving:
    """Serves one listening socket until it is closed."""

    def __init__(self, listening: socket.socket, serve: Serve, *, limit: int) -> None:
        self._listening = listening
        self._serve = serve
        self._free = threading.Semaphore(limit)
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Stop, cut what is still open, and wait until it is gone."""
        self._over.set()
        self._free.release()
        _shut(self._listening)
        self._accepting.join(_CLOSING_S)
        self._listening.close()
        with self._changed:
            for each in self._open:
                _shut(each)
            self._changed.wait_for(lambda: not self._open, _CLOSING_S)

    def _accept(self) -> None:
        while True:
            self._free.acquire()
            if self._over.is_set():
                return
            try:
                connection, _ = self._listening.accept()
            except OSError:
                self._free.release()
                self._over.wait(_TIRED_S)
                continue
            with self._changed:
                self._open.add(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):
                self._serve(connection)
        finally:
            with self._changed:
                self._open.discard(connection)
                connection.close()
                self._changed.notify_all()
            self._free.release()


@contextmanager
def serving(listening: socket.socket, serve: Serve, *, limit: int = CONNECTIONS) -> Iterator[None]:
    """Serve `listening`, which is closed at the end, while the context lasts."""
    running = _Serving(listening, serve, limit=limit)
    try:
        yield
    finally:
        running.close()


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
