"""The door: what is not in the table of calls is refused before anything is sent.

Two transports, one inside the other: `ClosedTransport` knows the table, `PatientTransport` knows
when to ask again. A forge that is down is asked a few times and never hammered.
"""

from __future__ import annotations

import email.utils
import json
import random
import re
import time
from collections.abc import Callable, Mapping

import httpx2

from pressplay.base.clocks import Clock, SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.forge import calls
from pressplay.forge.errors import RefusedByForge

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
LONGEST_RETRY_AFTER_S = 20.0
"""A forge that wants a longer pause than this gets it from the step's own retry."""

SECONDARY_PAUSE_S = 60.0
"""What GitHub asks for where it names no time ("Rate limits for the REST API")."""

FRESH_TOKEN_PAUSE_S = 1.0
FRESH_TOKEN_ATTEMPTS = 3
"""A token that was just made is not known to all of GitHub's machines at once."""

MOST_REDIRECTS = 3
_BY_ID = re.compile(r"/repositories/[1-9][0-9]{0,17}(?=/|$)")
_NAMED = re.compile(r"^/repos/[^/]+/[^/]+")

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
        for _ in range(MOST_REDIRECTS):
            followed = _followed(request, response, base=self._base)
            if followed is None:
                break
            response.close()
            request = followed
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


def _followed(
    request: httpx2.Request, response: httpx2.Response, *, base: httpx2.URL
) -> httpx2.Request | None:
    """The same reading call where a renamed repository has it now, or None.

    GitHub points from a former name to `/repositories/{id}/…` on the same host; another host,
    another call, or anything but a GET is not followed.
    """
    location = response.headers.get("location", "")
    if not response.is_redirect or request.method != "GET" or not location:
        return None
    try:
        target = request.url.join(location)
        there = _path_below(target, base=base)
    except (httpx2.InvalidURL, Refused):
        return None
    here = _path_below(request.url, base=base)
    renamed = _BY_ID.sub("/repos/o/r", there) if _BY_ID.match(there) else there
    same = _NAMED.sub("", here) == _NAMED.sub("", renamed)
    if not same or calls.match("GET", renamed) is None:
        return None
    url = request.url.copy_with(raw_path=target.raw_path.partition(b"?")[0] + _query(request.url))
    return httpx2.Request("GET", url, headers=request.headers, extensions=request.extensions)


def _query(url: httpx2.URL) -> bytes:
    """The query that was checked before; a redirect changes nothing of it."""
    return b"?" + url.query if url.query else b""


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

    That is: GETs, `attempts` times in all, and every call that a rate limit turned away unread;
    with a jittered pause that doubles, or the pause that the forge asks for, up to
    LONGEST_RETRY_AFTER_S. `pause` waits for so many seconds.
    """

    def __init__(
        self,
        inner: httpx2.BaseTransport,
        *,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], None] = time.sleep,
        clock: Clock | None = None,
    ) -> None:
        self._inner = inner
        self._attempts = attempts
        self._pause = pause
        self._clock = clock if clock is not None else SystemClock()
        self._is_known = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._ask_again_while_not_now(request)
        for _ in range(FRESH_TOKEN_ATTEMPTS - 1):
            if not self._may_be_too_fresh(request, response):
                break
            response.close()
            self._pause(FRESH_TOKEN_PAUSE_S)
            response = self._ask_again_while_not_now(request)
        self._is_known = self._is_known or response.status_code != 401
        return response

    def _may_be_too_fresh(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Whether a 401 may be about an installation token that never worked yet."""
        token = request.headers.get("authorization", "").partition(" ")[2]
        is_fresh = token.startswith("ghs_") and not self._is_known
        return response.status_code == 401 and request.method == "GET" and is_fresh

    def _ask_again_while_not_now(self, request: httpx2.Request) -> httpx2.Response:
        for attempt in range(1, self._attempts + 1):
            try:
                return self._ask(request)
            except _NotNowError as error:
                wait_s = _pause_s(attempt, asked_for=error.retry_after_s)
                is_harmless = request.method == "GET" or error.is_unread
                is_last = attempt == self._attempts or not is_harmless
                if is_last or wait_s > LONGEST_RETRY_AFTER_S:
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
        except httpx2.DecodingError as error:
            raise _NotNowError(f"The forge at {request.url.host} answers garbled") from error
        is_limited = _is_limited(response)
        if is_limited or response.status_code >= 500:
            response.close()
            wait_s = _asked_for(response, now=self._clock.now().timestamp())
            until = f" in {wait_s:.0f} s" if wait_s else " later"
            raise _NotNowError(
                f"The forge answers {response.status_code} {response.reason_phrase}"
                f"{' (rate limit)' if is_limited else ''}; try again{until}",
                retry_after_s=wait_s,
                is_unread=is_limited,
            )
        return response

    def close(self) -> None:
        self._inner.close()


class _NotNowError(Exception):
    """`is_unread`: the forge turned the call away before doing any of it."""

    def __init__(
        self, message: str, *, retry_after_s: float = 0.0, is_unread: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_unread = is_unread


def _is_limited(response: httpx2.Response) -> bool:
    """GitHub answers a spent rate limit with 429 or 403 ("Rate limits for the REST API")."""
    if response.status_code == 429:
        return True
    if response.status_code != 403:
        return False
    headers = response.headers
    if "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0":
        return True
    return _is_secondary(response)


def _is_secondary(response: httpx2.Response) -> bool:
    """The limit on bursts, which may come without any header."""
    return b"secondary rate limit" in response.content[:4096]


def _asked_for(response: httpx2.Response, *, now: float) -> float:
    """The seconds that the forge wants us to wait, in GitHub's order of its headers; 0 if none."""
    headers = response.headers
    if "retry-after" in headers:
        return _seconds(headers["retry-after"], now=now)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(float(reset) - now, 1.0)
    return SECONDARY_PAUSE_S if _is_secondary(response) else 0.0


def _pause_s(attempt: int, *, asked_for: float) -> float:
    """Full jitter over the upper half, so that thirty steps do not return in one beat."""
    ceiling: float = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
    return max(asked_for, ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - no secret hangs on it


def _seconds(text: str, *, now: float) -> float:
    """A Retry-After, which is a number of seconds or a date (RFC 9110); 0 for anything else."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - now, 0.0)
    except ValueError:
        return 0.0
