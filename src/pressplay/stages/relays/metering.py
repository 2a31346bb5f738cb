"""The meter: the model's API on a socket, for one run, as long as its limits last.

A client needs no key here and cannot bring one. Only what the meter can count is passed on;
everything else is answered here or refused.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from pressplay.base.errors import Unavailable
from pressplay.stages.relays import answers, heads, requests
from pressplay.stages.relays.heads import BadRequest, Head
from pressplay.stages.relays.ledger import Call, Ledger, Spent
from pressplay.stages.relays.prices import Prices, Usage
from pressplay.stages.relays.upstream import Answer, Unreachable, Upstream

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"

BODY_LIMIT = 32 * 1024 * 1024
"""Bytes of a request; the service takes no more."""

BODY_S = 60.0
_QUERY = re.compile(r"(\?[A-Za-z0-9_=&.-]{0,200})?")
_ERROR_LIMIT = 256 * 1024

Log = Callable[..., None]


class _Counter(Protocol):
    def feed(self, data: bytes) -> None: ...

    def usage(self, *, prompt: Usage) -> Usage: ...


class Meter:
    """Serves one connection at a time for each thread that calls it; one request on each."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        ledger: Ledger,
        prices: Prices,
        log: Log,
        redact: Callable[[str], str],
    ) -> None:
        """`log` gets an event's name and its fields; `redact` knows the key."""
        self._upstream = upstream
        self._ledger = ledger
        self._prices = prices
        self._log = log
        self._redact = redact

    def serve(self, client: socket.socket) -> None:
        """Answer one request. Raises OSError."""
        try:
            head, rest = heads.read(client)
            self._answer(client, head, rest)
        except BadRequest as error:
            self._log("model_call_refused", why=error)
            _fail(client, error.status, str(error))
        except Spent as error:
            self._log("model_call_refused", why=error)
            _fail(client, 403, f"pressplay: {error}; no further call is made in this run")
        except Unavailable as error:
            self._log("model_unavailable", why=self._redact(str(error)))
            _fail(client, 502, self._redact(str(error)))

    def _answer(self, client: socket.socket, head: Head, rest: bytes) -> None:
        path, mark, query = head.target.partition("?")
        if head.method in ("GET", "HEAD"):
            # Clients look whether somebody is there before they ask.
            _send(client, 200 if path == "/" else 404, b"" if head.method == "HEAD" else b"{}")
            return
        if head.method != "POST" or path not in (MESSAGES, COUNT):
            raise BadRequest(f"{head.method} {path[:100]} is not served here", status=404)
        if not _QUERY.fullmatch(mark + query):
            raise BadRequest("The query of the request is not served here")
        body = heads.read_body(client, head, rest, limit=BODY_LIMIT, within_s=BODY_S)
        request = requests.read(body)
        if path == COUNT:
            self._count(client, head, request)
        else:
            self._message(client, head, request)

    def _count(self, client: socket.socket, head: Head, request: dict[str, object]) -> None:
        body = requests.write(request)
        with self._upstream.post(head.target, dict(head.fields), body) as answer:
            self._pass(client, answer, _Nothing())

    def _message(self, client: socket.socket, head: Head, request: dict[str, object]) -> None:
        asked = requests.asked(request, self._prices)
        if not self._prices.knows(asked.model):
            self._log("model_price_unknown", model=asked.model, taken="the dearest known")
        with self._ledger.call(asked) as call:
            body = requests.write(request, answer=call.answer)
            counter: _Counter = answers.Stream() if request.get("stream") else answers.Whole()
            try:
                call.was_answered = True
                with self._upstream.post(head.target, dict(head.fields), body) as answer:
                    call.was_answered = answer.status < 300
                    self._pass(client, answer, counter)
            except Unreachable:
                call.was_answered = False
                raise
            finally:
                call.used = counter.usage(prompt=asked.prompt)
        self._note(call)

    def _pass(self, client: socket.socket, answer: Answer, counter: _Counter) -> None:
        """The answer, as it comes; the end is only marked where it was reached."""
        if answer.status >= 300:
            _send_error(client, answer, self._redact)
            return
        lines = [f"{name}: {value}" for name, value in answer.fields.items()]
        head = ("HTTP/1.1 200 OK", *lines, "Transfer-Encoding: chunked", "Connection: close")
        client.sendall("\r\n".join((*head, "", "")).encode("latin-1"))
        try:
            for chunk in answer.chunks:
                counter.feed(chunk)
                client.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        except Unavailable as error:
            self._log("model_unavailable", why=self._redact(str(error)))
            return
        client.sendall(b"0\r\n\r\n")

    def _note(self, call: Call) -> None:
        if call.was_answered:
            self._log(
                "model_called",
                model=call.asked.model,
                prompt=call.used.prompt,
                answer=call.used.output,
                usd=f"{call.asked.cost(call.used):.6f}",
            )


class _Nothing:
    """Counts a call that costs nothing."""

    def feed(self, data: bytes) -> None:
        """Nothing is counted."""

    def usage(self, *, prompt: Usage) -> Usage:
        """No tokens."""
        return Usage()


def _send_error(client: socket.socket, answer: Answer, redact: Callable[[str], str]) -> None:
    """The service's own refusal, whole: it may repeat what it was sent."""
    body = b""
    for chunk in answer.chunks:
        body = (body + chunk)[:_ERROR_LIMIT]
    text = redact(body.decode("utf-8", "replace")).encode()
    _send(client, answer.status, text, fields=dict(answer.fields))


def _fail(client: socket.socket, status: int, message: str) -> None:
    """An error in the shape of the Messages API, of a kind that clients do not try again."""
    kind = {403: "permission_error", 404: "not_found_error", 413: "request_too_large"}
    name = "api_error" if status >= 500 else kind.get(status, "invalid_request_error")
    body = {"type": "error", "error": {"type": name, "message": message}}
    retry = "true" if status >= 500 else "false"
    with suppress(OSError):
        _send(client, status, json.dumps(body).encode(), fields={"x-should-retry": retry})


def _send(
    client: socket.socket, status: int, body: bytes, *, fields: dict[str, str] | None = None
) -> None:
    given = {"content-type": "application/json", **(fields or {})}
    lines = [f"{name}: {value}" for name, value in given.items()]
    head = (
        f"HTTP/1.1 {status} {'OK' if status < 300 else 'Refused'}",
        *lines,
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    client.sendall("\r\n".join((*head, "", "")).encode("latin-1") + body)
