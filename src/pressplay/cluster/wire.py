"""What both clients of a Kubernetes API have in common: paths, what answers mean, lines of a watch.

Without input or output: one client waits for its answers, the other one is asynchronous.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from pressplay.api import kinds
from pressplay.base import tls
from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.cluster.port import AlreadyExists, Conflict, NotFound, Object

TIMEOUT_S = 30.0
MERGE_PATCH = "application/merge-patch+json"
BROKEN_OFF = (httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError)
"""How an answer that goes on may end early."""


def path(kind: str, namespace: str, name: str = "") -> str:
    """The REST path, safe whatever the names hold. Raises Refused for what no object is called."""
    for part in (namespace, name):
        if "/" in part or part in (".", ".."):
            raise Refused(f"{part!r} is no name of a {kind}")
    return kinds.by_name(kind).path(quote(namespace), quote(name))


def verifying(url: str, *, verify: ssl.SSLContext | bool) -> ssl.SSLContext | bool:
    """The TLS settings for a server."""
    return tls.trusting_nobody() if url.startswith("http://") else verify


def document(content: bytes, *, at: str) -> Object:
    """The object in an answer. Raises Unavailable for what no API server would say."""
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise Unavailable(f"{at}: the answer is not JSON; is this an API server?") from error
    if not isinstance(answer, dict):
        raise Unavailable(f"{at}: the answer is no object; is this an API server?")
    return answer


def items(kind: str, answer: Mapping[str, Any]) -> list[Object]:
    """The objects in a list."""
    found = kinds.by_name(kind)
    # The items of a list carry neither of the two.
    own = {"apiVersion": found.api_version, "kind": found.name}
    return [{**own, **item} for item in answer.get("items") or ()]


def failure(response: httpx2.Response) -> PressplayError:
    """What an answer that is no success means; it must have been read to its end."""
    code, (reason, message) = response.status_code, _status(response)
    if code == httpx2.codes.NOT_FOUND:
        return NotFound(message)
    if code == httpx2.codes.CONFLICT:
        return AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
    if code >= 500 or code in (httpx2.codes.GONE, httpx2.codes.TOO_MANY_REQUESTS):
        return Unavailable(message)
    return Refused(message)


def unreachable(error: httpx2.TransportError) -> Unavailable:
    """What to say where no answer came."""
    return Unavailable(f"The API server does not answer ({type(error).__name__}: {error})")


class Lines:
    """Cuts a stream of pieces into lines of JSON.

    At newlines only: other signs that text counts as ends of lines may stand inside of strings.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[Object]:
        """The events that are complete now."""
        self._rest += piece
        if b"\n" not in piece:
            return
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        for line in lines:
            if line:
                yield document(bytes(line), at="watch")


def _status(response: httpx2.Response) -> tuple[str, str]:
    """Reason and message of a Status object, or of whatever came in its place."""
    try:
        status = response.json()
        return str(status.get("reason", "")), str(status["message"])
    except (ValueError, KeyError, AttributeError):
        text = " ".join(response.text.split())[:200]
        return "", f"{response.request.url.path}: HTTP {response.status_code} {text}"
