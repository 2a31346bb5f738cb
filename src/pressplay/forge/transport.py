"""The door: what is not in the table of calls is refused before anything is sent.

Two transports, one inside the other: `ClosedTransport` knows the table, `PatientTransport` knows
when to ask again. A forge that is down is asked a few times and never hammered.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping

import httpx2

from pressplay.base.errors import Refused, Unavailable
from pressplay.forge import calls
from pressplay.forge.errors import RefusedByForge

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
LONGEST_RETRY_AFTER_S = 20.0
"""A forge that wants a longer pause than this gets it from the step's own retry."""

# No X-HTTP-Method-Override, no Content-Encoding: nothing that changes what verb and body mean.
_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-github-api-version",
    }
)


class ClosedTransport(httpx2.BaseTransport):
    """Passes on what the table of calls allows at one API address; raises Refused for the rest."""

    def __init__(self, inner: httpx2.BaseTransport, *, api_url: str) -> None:
        self._inner = inner
        self._base = httpx2.URL(api_url.rstrip("/"))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        check(request, base=self._base)
        response = self._inner.handle_request(request)
        if response.is_redirect:
            response.close()
            raise RefusedByForge(
                f"The forge redirects {request.url.path}: renamed or moved; use the new name",
                status=response.status_code,
            )
        return response

    def close(self) -> None:
        self._inner.close()


def check(request: httpx2.Request, *, base: httpx2.URL) -> None:
    """Raise Refused unless the request is, to the letter, a call of the table at `base`."""
    where = f"{request.method} {request.url.path[:120]}"
    call = calls.match(request.method, _path_below(request.url, base=base))
    if call is None:
        raise Refused(f"Not in the table of forge calls: {where}; pressplay does not do this")
    for name in request.headers:
        if name.lower() not in _HEADERS:
            raise Refused(f"Header {name} is not sent to a forge ({where})")
    keys = [key for key, _ in request.url.params.multi_items()]
    if not call.query.issuperset(keys) or len(keys) != len(set(keys)):
        raise Refused(f"Query of {where} must have only {sorted(call.query)}, each once")
    _check_body(call, request.read(), where=where)


def _path_below(url: httpx2.URL, *, base: httpx2.URL) -> str:
    prefix = base.raw_path.decode("ascii").rstrip("/")
    path = url.raw_path.decode("ascii").partition("?")[0]
    same = (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port)
    if not same or not path.startswith(f"{prefix}/"):
        raise Refused(
            f"{url.scheme}://{url.host} is not the configured forge; check GITHUB_API_URL"
        )
    return path.removeprefix(prefix)


def _check_body(call: calls.Call, content: bytes, *, where: str) -> None:
    if not call.fields:
        if content:
            raise Refused(f"{where} takes no body")
        return
    try:
        body = json.loads(content, object_pairs_hook=_without_doubles)
    except ValueError as error:
        raise Refused(f"Body of {where} must be one JSON object: {error}") from error
    complaint = _complaint(body, call.fields)
    missing = call.required.difference(body) if isinstance(body, dict) else ()
    if complaint or missing:
        raise Refused(f"Body of {where}: {complaint or f'{sorted(missing)} must be given'}")


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A key given twice could mean one thing here and another to the forge."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a key is given twice")
    return body


def _complaint(value: object, rule: calls.Rule, *, name: str = "it") -> str:
    """Why `value` breaks `rule`; empty if it does not."""
    if isinstance(rule, Mapping):
        if not isinstance(value, dict):
            return f"{name} must be an object"
        unknown = sorted(set(value) - set(rule))
        if unknown:
            return f"{unknown[0]!r} is not a field that may be sent"
        found = (_complaint(item, rule[key], name=key) for key, item in value.items())
        return next((complaint for complaint in found if complaint), "")
    if isinstance(rule, frozenset):
        allowed = isinstance(value, str) and value in rule
        return "" if allowed else f"{name} must be one of {sorted(rule)}"
    return "" if isinstance(value, rule) else f"{name} must be a {rule.__name__}"


class PatientTransport(httpx2.BaseTransport):
    """Turns "not now" into Unavailable, after asking again where asking twice is harmless.

    Only GETs are repeated, `attempts` times in all, with a jittered pause that doubles; a
    Retry-After is honoured up to LONGEST_RETRY_AFTER_S. `pause` waits for so many seconds.
    """

    def __init__(
        self,
        inner: httpx2.BaseTransport,
        *,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._attempts = attempts
        self._pause = pause

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        attempts = self._attempts if request.method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._ask(request)
            except _NotNowError as error:
                wait_s = _pause_s(attempt, asked_for=error.retry_after_s)
                if attempt == attempts or wait_s > LONGEST_RETRY_AFTER_S:
                    raise Unavailable(f"{error} ({request.method} {request.url.path})") from error
                self._pause(wait_s)
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _ask(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = self._inner.handle_request(request)
            response.read()
        except httpx2.TransportError as error:
            said = str(error) or type(error).__name__
            raise _NotNowError(
                f"The forge at {request.url.host} does not answer: {said}"
            ) from error
        if response.status_code == 429 or response.status_code >= 500 or _is_limited(response):
            response.close()
            raise _NotNowError(
                f"The forge answers {response.status_code}; try again later",
                retry_after_s=_seconds(response.headers.get("retry-after", "")),
            )
        return response

    def close(self) -> None:
        self._inner.close()


class _NotNowError(Exception):
    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def _is_limited(response: httpx2.Response) -> bool:
    """GitHub also answers a spent rate limit with 403 ("Rate limits for the REST API")."""
    if response.status_code != 403:
        return False
    headers = response.headers
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def _pause_s(attempt: int, *, asked_for: float) -> float:
    """Full jitter over the upper half, so that thirty steps do not return in one beat."""
    ceiling: float = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
    return max(asked_for, ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - no secret hangs on it


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0
