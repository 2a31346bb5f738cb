"""The double's server: HTTP on the loopback, in threads of the caller's process."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, cast

from pressplay.stages.scripted_model import messages, scenario
from pressplay.stages.scripted_model.messages import BadRequest
from pressplay.stages.scripted_model.scenario import Part, Turn

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
BODY_LIMIT = 32 * 1024 * 1024
IS_DOUBLE = "x-scripted-double"
"""A header of every answer."""


@dataclass(frozen=True)
class Call:
    """A request for an answer: with which key, about what."""

    path: str
    key: str
    body: Mapping[str, Any]


@dataclass
class Double:
    """A running double: what it plays, and what it was asked so far."""

    parts: tuple[Part, ...]
    key: str = ""
    """The only key that it takes; empty for any."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    failed: Counter[tuple[int, int]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self.calls.append(call)

    def next_turn(self, request: Mapping[str, Any]) -> Turn | None:
        """The turn to play, without its failure where that was played often enough."""
        place = scenario.find(self.parts, request)
        if place is None or place.play.fail is None:
            return None if place is None else place.play
        with self._lock:
            self.failed[place.part, place.turn] += 1
            often = self.failed[place.part, place.turn]
        turn = place.play
        if turn.fail is None or not turn.fail.times or often <= turn.fail.times:
            return turn
        return Turn(turn.text, turn.tools, turn.wait_s, None, turn.breaks_off)


@contextmanager
def serving(parts: tuple[Part, ...], *, key: str = "", port: int = 0) -> Iterator[Double]:
    """The double on a port of the loopback, as long as the context lasts."""
    double = Double(parts, key=key)
    server = _Server(double, port=port)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield double
    finally:
        double.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, double: Double, *, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.double = double
        self.numbers = count(1)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is nothing to talk about."""


class _Unwelcome(Exception):
    """The service would answer with this error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    @property
    def _server(self) -> _Server:
        return cast("_Server", self.server)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Somebody is here."""
        self._head(200, {"content-length": "0"})

    def do_GET(self) -> None:
        """Nothing is read here."""
        self._fail(404, "not_found_error", "Not found")

    def do_POST(self) -> None:
        """Play the next turn."""
        size = int(self.headers.get("content-length") or 0)
        if not 0 < size <= BODY_LIMIT:
            self.close_connection = True
            self._fail(413, "request_too_large", "Request exceeds the maximum size")
            return
        body, path = self.rfile.read(size), self.path.partition("?")[0]
        try:
            request = self._check(body, path)
        except _Unwelcome as error:
            self._fail(error.status, error.kind, str(error))
            return
        self._server.double.note(Call(path, self._key(), request))
        if path == PATHS[1]:
            self._json({"input_tokens": messages.prompt_tokens(request)})
        else:
            self._play(request)

    def _check(self, body: bytes, path: str) -> dict[str, Any]:
        """The request, where the service would take it. Raises _Unwelcome."""
        key, wanted = self._key(), self._server.double.key
        if not key or (wanted and key != wanted):
            raise _Unwelcome(401, "authentication_error", "invalid x-api-key")
        if path not in PATHS:
            raise _Unwelcome(404, "not_found_error", "Not found")
        try:
            return _read(body, self.headers, counts=path == PATHS[1])
        except BadRequest as error:
            raise _Unwelcome(400, "invalid_request_error", str(error)) from error

    def _play(self, request: dict[str, Any]) -> None:
        turn = self._server.double.next_turn(request)
        if turn is None:
            text = "no part of the script is for this conversation"
            self._fail(400, "invalid_request_error", text)
            return
        self._server.double.over.wait(turn.wait_s)
        if turn.fail is not None:
            self._fail(turn.fail.status, turn.fail.kind, turn.fail.message)
            return
        answer = messages.answer(request, turn)
        if not request.get("stream"):
            self._json(answer)
            return
        self.close_connection = True
        self._head(200, {"content-type": "text/event-stream", "cache-control": "no-cache"})
        pieces = list(messages.events(answer))
        # Without its last events a client sees that the answer is not whole.
        for piece in pieces[: len(pieces) // 2] if turn.breaks_off else pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def _key(self) -> str:
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or bearer

    def _json(self, value: object) -> None:
        self._body(200, json.dumps(value).encode())

    def _fail(self, status: int, kind: str, message: str) -> None:
        self._body(status, messages.error(kind, message))

    def _body(self, status: int, data: bytes) -> None:
        size = str(len(data))
        self._head(status, {"content-type": "application/json", "content-length": size})
        self.wfile.write(data)

    def _head(self, status: int, fields: Mapping[str, str]) -> None:
        self.send_response(status)
        own = {IS_DOUBLE: "true", "request-id": f"req_scripted_{next(self._server.numbers)}"}
        if self.close_connection:
            own["connection"] = "close"
        for name, value in {**own, **fields}.items():
            self.send_header(name, value)
        self.end_headers()


def _read(body: bytes, headers: Message, *, counts: bool) -> dict[str, Any]:
    if not headers.get("anthropic-version"):
        raise BadRequest("anthropic-version: header is required")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error
    if counts and isinstance(value, dict):
        value = {"max_tokens": 1, **value}
    return messages.check(value)
