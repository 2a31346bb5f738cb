"""One conversation with a forge: calls go in by their name in the table, answers come out as JSON.

Shared by the client (a token's calls) and by minting (an App's own calls).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from pressplay.base import redaction, tls
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.forge import calls
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.transport import ClosedTransport, PatientTransport

TIMEOUT_S = 30.0
JSON_TYPE = "application/vnd.github+json"
RAW_TYPE = "application/vnd.github.raw+json"
API_VERSION = "2022-11-28"


class Session:
    """Speaks the table at one API address with one credential. A context manager."""

    def __init__(
        self, *, api_url: str, token: Secret, transport: httpx2.BaseTransport | None = None
    ) -> None:
        inner = transport if transport is not None else direct(api_url)
        self._http = httpx2.Client(
            base_url=api_url,
            transport=ClosedTransport(PatientTransport(inner), api_url=api_url),
            timeout=TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
            headers={
                "Authorization": f"Bearer {token.reveal()}",
                "User-Agent": "pressplay",
                "X-GitHub-Api-Version": API_VERSION,
            },
        )

    def ask(
        self,
        name: str,
        parameters: Mapping[str, object],
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
        accept: str = JSON_TYPE,
    ) -> httpx2.Response:
        """The 2xx answer to the call `name`. Raises RefusedByForge for 3xx and 4xx, Unavailable."""
        call = calls.named(name)
        request = self._http.build_request(
            call.verb,
            call.expand(parameters).removeprefix("/"),
            params=query,
            json=body,
            headers={"Accept": accept},
        )
        response = self._http.send(request)
        if response.is_success:
            return response
        raise RefusedByForge(
            f"The forge refused {name.replace('_', ' ')} ({response.status_code}): "
            f"{redaction.redact(said(response))}",
            status=response.status_code,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def direct(url: str) -> httpx2.HTTPTransport:
    """A connection to `url`, trusting for https what the machine trusts."""
    if httpx2.URL(url).scheme == "https":
        return httpx2.HTTPTransport()
    return httpx2.HTTPTransport(verify=tls.trusting_nobody())


def json_of(response: httpx2.Response) -> Any:  # noqa: ANN401 - JSON enters here
    """The answer's JSON. Raises Refused where it is none: then the address is no forge's."""
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"{response.url.host} does not answer as a forge does; check GITHUB_API_URL"
        ) from error


def said(response: httpx2.Response) -> str:
    """The forge's own message with the details that GitHub puts under `errors`."""
    try:
        document = response.json()
    except (ValueError, RecursionError):
        return "no reason given"
    if not isinstance(document, dict):
        return "no reason given"
    message = str(document.get("message", "no reason given"))
    errors = document.get("errors") or []
    details = [_detail(item) for item in errors] if isinstance(errors, list) else [str(errors)]
    return "; ".join([message, *details])[:1000]


def _detail(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    told = (item.get(key) for key in ("message", "field", "code"))
    return " ".join(str(part) for part in told if part)
