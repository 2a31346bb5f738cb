"""The head of an HTTP request, read from a stranger: strictly, and within a time and a size.

What two readers could understand differently is refused, because the second reader is the service
that this one guards. Source of the grammar: RFC 9112, without what it only tolerates.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

HEAD_LIMIT = 32 * 1024
"""Bytes of a request's head; a client of ours needs about two thousand."""

HEAD_S = 10.0
"""Seconds within which the whole head must be there, however it trickles in."""

_LINE = re.compile(r"([A-Z]{1,16}) ([!-~]{1,8192}) HTTP/1\.([01])")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_ONCE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "expect"})


class BadRequest(Exception):
    """What was sent is no request that is answered; the message is for the client."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Head:
    """A request line and its fields, their names in small letters."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The field's value; empty where it is not there."""
        return next((value for each, value in self.fields if each == name), "")


def read(connection: socket.socket, *, within_s: float = HEAD_S) -> tuple[Head, bytes]:
    """The head of the next request, and what came behind it. Raises BadRequest, OSError."""
    until = time.monotonic() + within_s
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > HEAD_LIMIT:
            raise BadRequest("The head of the request is too long", status=431)
        more = _receive(connection, until)
        if not more:
            raise BadRequest("The request ended within its head")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    if len(head) > HEAD_LIMIT:
        raise BadRequest("The head of the request is too long", status=431)
    return parse(head), rest


def read_body(
    connection: socket.socket, head: Head, rest: bytes, *, limit: int, within_s: float
) -> bytes:
    """The body that Content-Length announces. Raises BadRequest, OSError."""
    length = _length(head, limit=limit)
    if head.get("expect").lower() == "100-continue" and len(rest) < length:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    until = time.monotonic() + within_s
    parts, missing = [rest[:length]], length - len(rest)
    while missing > 0:
        more = _receive(connection, until)
        if not more:
            raise BadRequest("The request ended within its body")
        parts.append(more[:missing])
        missing -= len(more)
    return b"".join(parts)


def parse(head: bytes) -> Head:
    """A head without the empty line that ends it. Raises BadRequest."""
    line, *rest = head.decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(line)
    if not found:
        raise BadRequest("The first line is not one of an HTTP/1.1 request")
    fields = []
    for each in rest:
        field = _FIELD.fullmatch(each)
        if not field:
            raise BadRequest("A line of the request's head is not a header field")
        fields.append((field[1].lower(), field[2]))
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise BadRequest(f"The request has two fields {name}")
    return Head(found[1], found[2], tuple(fields))


def _length(head: Head, *, limit: int) -> int:
    if head.get("transfer-encoding"):
        raise BadRequest("Send the body with Content-Length", status=411)
    text = head.get("content-length") or "0"
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise BadRequest("Content-Length is not a number")
    if int(text) > limit:
        raise BadRequest(f"The body is larger than {limit} bytes", status=413)
    return int(text)


def _receive(connection: socket.socket, until: float) -> bytes:
    left = until - time.monotonic()
    if left <= 0:
        raise BadRequest("The request came too slowly", status=408)
    connection.settimeout(left)
    try:
        return connection.recv(64 * 1024)
    except TimeoutError:
        raise BadRequest("The request came too slowly", status=408) from None
    finally:
        connection.settimeout(None)
