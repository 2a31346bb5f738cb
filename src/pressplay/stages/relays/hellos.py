"""The first message of a TLS client, read for the host that it names.

A CONNECT to an allowed host that is served by a shared front could otherwise ask that front for
any other host of its. Source of the layout: RFC 8446, 4.1.2 and 5.1; RFC 6066, 3.
"""

from __future__ import annotations

import socket
import time

LIMIT = 64 * 1024
WITHIN_S = 10.0

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0


class NotHello(Exception):
    """What a client sent is no TLS greeting for the host that it asked for."""


class _Short(Exception):
    """There are not enough bytes yet."""


def read(client: socket.socket, first: bytes, *, host: str) -> bytes:
    """All bytes that the client sent so far, once they name `host`. Raises NotHello, OSError."""
    until = time.monotonic() + WITHIN_S
    data = first
    while True:
        try:
            named = server_name(data)
        except _Short:
            data += _more(client, until, so_far=len(data))
            continue
        if named != host:
            raise NotHello(f"the TLS greeting names {named or 'no host'!r} and not this one")
        return data


def server_name(data: bytes) -> str:
    """The host that a ClientHello names; empty where it names none.

    Raises NotHello, or `_Short` where more is needed to tell.
    """
    hello = _Reader(_handshake(data))
    hello.take(2 + 32)
    for size in (1, 2, 1):
        hello.vector(size)
    if hello.is_empty:
        return ""
    extensions = _Reader(hello.vector(2))
    while not extensions.is_empty:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            return _first_name(content)
    return ""


def _handshake(data: bytes) -> bytes:
    """The body of the ClientHello, put together from the records that carry it."""
    message = b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        if len(data) < 5:
            if data and data[0] != _HANDSHAKE:
                raise NotHello("what follows is not TLS")
            raise _Short
        length = int.from_bytes(data[3:5], "big")
        if data[0] != _HANDSHAKE or data[1] != 3 or not 0 < length <= 1 << 14:
            raise NotHello("what follows is not TLS")
        if len(data) < 5 + length:
            raise _Short
        message += data[5 : 5 + length]
        data = data[5 + length :]
        if message[0] != _CLIENT_HELLO:
            raise NotHello("what follows is not a TLS greeting")
    return message[4 : 4 + int.from_bytes(message[1:4], "big")]


def _first_name(content: bytes) -> str:
    names = _Reader(_Reader(content).vector(2))
    kind, name = names.number(1), names.vector(2)
    if kind != _HOST_NAME or not names.is_empty:
        raise NotHello("the TLS greeting names its host in a way that is not known")
    return name.decode("latin-1").lower()


def _more(client: socket.socket, until: float, *, so_far: int) -> bytes:
    left = until - time.monotonic()
    if left <= 0 or so_far > LIMIT:
        raise NotHello("no TLS greeting came in time")
    client.settimeout(left)
    try:
        data = client.recv(16 * 1024)
    except TimeoutError:
        raise NotHello("no TLS greeting came in time") from None
    finally:
        client.settimeout(None)
    if not data:
        raise NotHello("the connection ended before a TLS greeting")
    return data


class _Reader:
    """Walks through a message whose length is known: what is missing in it is a fault."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def is_empty(self) -> bool:
        return not self._data

    def take(self, length: int) -> bytes:
        if len(self._data) < length:
            raise NotHello("the TLS greeting is broken")
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))
