"""CGI as far as git's http-backend speaks it (RFC 3875): a head with a Status line, then a body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_LONGEST_HEAD = 65536
_CHUNK = 65536


@dataclass(frozen=True)
class Head:
    """The head of a CGI answer; `length` is where its body begins."""

    status: int
    headers: Mapping[str, str]
    length: int


def read_head(path: Path) -> Head | None:
    """The head of the answer in a file; None where a program failed before it wrote one."""
    with path.open("rb") as reader:
        start = reader.read(_LONGEST_HEAD)
    head, blank, _ = start.partition(b"\r\n\r\n")
    if not blank:
        return None
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n"))
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    status = headers.pop("status", "200").split(" ")[0]
    return Head(
        status=int(status) if status.isdigit() else 500,
        headers=headers,
        length=len(head) + len(blank),
    )


class FileTail(Response):
    """Sends a file from an offset on, a piece at a time, with its length known beforehand."""

    def __init__(self, path: Path, *, head: Head) -> None:
        super().__init__(status_code=head.status, headers=head.headers)
        self._path = path
        self._offset = head.length
        self.headers["content-length"] = str(path.stat().st_size - head.length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        with self._path.open("rb") as reader:
            reader.seek(self._offset)
            more = True
            while more:
                chunk = reader.read(_CHUNK)
                more = len(chunk) == _CHUNK
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
