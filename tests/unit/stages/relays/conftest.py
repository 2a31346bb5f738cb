"""A real service on loopback that plays the model's, and sockets that are served for a test."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pressplay.stages.relays import serving, sockets

USAGE = {"input_tokens": 100, "output_tokens": 50}


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Model:
    """The service: what it heard, and what it says next; a step between two chunks may wait."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    status: int = 200
    chunks: list[bytes | Callable[[], object]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    breaks_off: bool = False

    def streams(self, *events: dict[str, Any] | Callable[[], object]) -> None:
        """Say these events one by one; a function is called where it stands."""
        self.headers = {"content-type": "text/event-stream"}
        self.chunks = [
            f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode()
            if isinstance(each, dict)
            else each
            for each in events
        ]

    def streams_whole(self, *texts: str, start: Any = None, end: Any = None) -> None:
        """Say a whole answer."""
        usage = start or {"input_tokens": 100, "output_tokens": 1}
        self.streams(
            {"type": "message_start", "message": {"usage": usage}},
            *({"type": "content_block_delta", "delta": {"text": each}} for each in texts),
            {"type": "message_delta", "delta": {}, "usage": end or {"output_tokens": 50}},
            {"type": "message_stop"},
        )


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            model.heard.append(Heard(self.path, named, json.loads(body)))
            self.send_response(model.status)
            for name, value in {
                "request-id": "req_1",
                "set-cookie": "a=b",
                **model.headers,
            }.items():
                self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for chunk in model.chunks or [json.dumps({"usage": USAGE}).encode()]:
                if not isinstance(chunk, bytes):
                    chunk()
                    continue
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            if model.breaks_off:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            return

    return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away is part of a test."""


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    server = _Server(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


Serve = Callable[[serving.Serve], Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves a function on a new socket until the test is over; answers its path."""
    with ExitStack() as open_ones:

        def start(function: serving.Serve) -> Path:
            path = tmp_path / "served.sock"
            open_ones.enter_context(serving.serving(sockets.listen(path), function))
            return path

        yield start


@dataclass
class Talk:
    """A client of sockets in a folder."""

    def send(self, path: Path, data: bytes, *, timeout_s: float = 10.0) -> bytes:
        """Everything that the server at a socket answers until it closes."""
        with sockets.connect(path) as client:
            client.settimeout(timeout_s)
            # It may be refused while we still speak.
            with suppress(BrokenPipeError):
                client.sendall(data)
            return self.rest(client)

    def rest(self, client: socket.socket) -> bytes:
        """Everything that comes until the other side closes."""
        parts = []
        with suppress(ConnectionResetError):
            while more := client.recv(65536):
                parts.append(more)
        return b"".join(parts)

    def ask(self, path: Path, body: Any, *, target: str = "/v1/messages", **fields: str) -> Answer:
        """A POST with a JSON body, or with the bytes given; field names with _ for -."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        head = [f"POST {target} HTTP/1.1", f"Content-Length: {len(content)}", *lines, "", ""]
        answer = self.send(path, "\r\n".join(head).encode() + content)
        head_bytes, _, rest = answer.partition(b"\r\n\r\n")
        first, *others = head_bytes.decode().split("\r\n")
        named = dict(each.lower().split(": ", 1) for each in others)
        is_chunked = named.get("transfer-encoding") == "chunked"
        return Answer(
            int(first.split()[1]), named, *(_dechunked(rest) if is_chunked else (rest, True))
        )


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes
    is_whole: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _dechunked(data: bytes) -> tuple[bytes, bool]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        if size == b"0":
            return body, True
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return body, False


@pytest.fixture
def talk() -> Talk:
    return Talk()
