"""The model's service: where it is, the key that opens it, and one call to it.

The only module of a step that sees the key. What comes back for a client holds nothing of it.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret

DEFAULT_URL = "https://api.anthropic.com"
CONNECT_S, WRITE_S, READ_S = 10.0, 120.0, 900.0
"""The last is for an answer in one piece; a stream says something every few seconds."""

_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?(/[!-~]*)?")
_PASSED_ON = ("accept", "anthropic-beta", "anthropic-version", "user-agent", "x-app")
_PASSED_BACK = ("content-type", "request-id", "retry-after", "x-should-retry")
_LIMITS = "anthropic-ratelimit-"
_CLIENT = "x-stainless-"


@dataclass(frozen=True)
class Service:
    """An address, and the key where there is one."""

    url: str
    key: Secret


@dataclass(frozen=True)
class Answer:
    """The head of an answer, and its body as it comes."""

    status: int
    fields: Mapping[str, str]
    chunks: Iterator[bytes]


class Unreachable(Unavailable):
    """The service was not asked: it cannot have counted anything."""


def find(folder: Path) -> Service | None:
    """The service that the operator's secret names; None where there is no secret. Raises Refused.

    Files: `api-key` and `base-url`; one of the two is enough.
    """
    key, url = _read(folder / "api-key"), _read(folder / "base-url")
    if not key and not url:
        return None
    return Service(check_url(url or DEFAULT_URL), Secret(key))


def check_url(url: str) -> str:
    """The address of a service, without a slash at its end. Raises Refused.

    A key goes over https only, or stays on this machine.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise Refused("base-url (Secret model-key) is not https://HOST[:PORT][/PATH]")
    if found[1] == "http" and not _is_loopback(found[2]):
        raise Refused("base-url (Secret model-key) must begin with https:// beyond this machine")
    return url.rstrip("/")


class Upstream:
    """Calls to one service. May be used by any number of threads. A context manager."""

    def __init__(self, service: Service) -> None:
        self._service = service
        is_safe = service.url.startswith("https:")
        self._http = httpx2.Client(
            verify=ssl.create_default_context() if is_safe else True,
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S, write=WRITE_S, pool=READ_S),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    @contextmanager
    def post(self, target: str, fields: Mapping[str, str], body: bytes) -> Iterator[Answer]:
        """One call. Raises Unreachable where it was not made, Unavailable where it broke off."""
        headers = {
            **{name: value for name, value in fields.items() if _is_passed_on(name)},
            "content-type": "application/json",
            # What is counted in must be readable.
            "accept-encoding": "identity",
        }
        if self._service.key:
            headers["x-api-key"] = self._service.key.reveal()
        url = self._service.url + target
        try:
            with self._http.stream("POST", url, headers=headers, content=body) as response:
                yield Answer(
                    status=response.status_code,
                    fields={
                        name.lower(): value
                        for name, value in response.headers.items()
                        if _is_passed_back(name.lower())
                    },
                    chunks=_chunks(response),
                )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unreachable(f"The model's service cannot be reached: {error}") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"The model's service broke off: {type(error).__name__}") from error


def _chunks(response: httpx2.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_raw()
    except httpx2.HTTPError as error:
        raise Unavailable(f"The model's service broke off: {type(error).__name__}") from error


def _is_passed_on(name: str) -> bool:
    return name in _PASSED_ON or name.startswith(_CLIENT)


def _is_passed_back(name: str) -> bool:
    return name in _PASSED_BACK or name.startswith(_LIMITS)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
