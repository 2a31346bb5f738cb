"""One asynchronous connection to a Kubernetes API: questions, and answers that go on."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager

import httpx2

from pressplay.cluster import records, wire
from pressplay.cluster.access import Access
from pressplay.cluster.port import Object

_PAGE = 500
"""Objects in one answer to a list, as client-go's reflectors ask for."""

_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A watch of a quiet collection says nothing for minutes: this tells it from a dead connection."""


class Connection:
    """Asks as one identity. Every call raises Refused, in the server's words, and Unavailable."""

    def __init__(self, access: Access) -> None:
        url = access.url.rstrip("/")
        transport = httpx2.AsyncHTTPTransport(
            verify=wire.verifying(url, verify=access.verify),
            trust_env=False,
            # Given back before our own server takes an idle connection for dead, after 5 s.
            limits=httpx2.Limits(max_connections=64, keepalive_expiry=4.0),
            socket_options=_KEEPALIVE,
        )
        self._client = httpx2.AsyncClient(
            base_url=url,
            auth=_Bearer(access),
            headers={"accept": "application/json"},
            transport=transport,
            # To wait for a free connection is no sign of a server that fails.
            timeout=httpx2.Timeout(wire.TIMEOUT_S, pool=None),
            # Neither a proxy nor a netrc of the environment has to do with the API server.
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close everything; to be called once."""
        await self._client.aclose()

    async def ask(
        self,
        verb: str,
        path: str,
        *,
        body: Object | None = None,
        query: Mapping[str, str | int] | None = None,
        media: str = "application/json",
    ) -> Object:
        """The object that the server answers. Tried once."""
        content = None if body is None else records.encode(body)
        headers = {} if body is None else {"content-type": media}
        try:
            response = await self._client.request(
                verb, path, content=content, params=query, headers=headers
            )
        except httpx2.TransportError as error:
            raise wire.unreachable(error) from error
        if not response.is_success:
            raise wire.failure(response)
        return wire.document(response.content, at=path)

    async def collect(
        self, kind: str, namespace: str, *, labels: str = ""
    ) -> tuple[list[Object], str]:
        """All objects of a collection, page by page, and the version at which it was so."""
        query: dict[str, str | int] = {"limit": _PAGE}
        if labels:
            query["labelSelector"] = labels
        found: list[Object] = []
        while True:
            answer = await self.ask("GET", wire.path(kind, namespace), query=query)
            found += wire.items(kind, answer)
            metadata = answer.get("metadata") or {}
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    @asynccontextmanager
    async def follow(
        self, path: str, query: Mapping[str, str | int], *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[Object]]:
        """The events of a watch, until the server ends it or is silent for `silence_s`."""
        timeout = httpx2.Timeout(wire.TIMEOUT_S, read=silence_s, pool=None)
        try:
            async with self._client.stream("GET", path, params=query, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise wire.failure(response)
                yield _events(response)
        except httpx2.TransportError as error:
            raise wire.unreachable(error) from error


async def _events(response: httpx2.Response) -> AsyncIterator[Object]:
    lines = wire.Lines()
    async for piece in response.aiter_bytes():
        for event in lines.feed(piece):
            yield event


class _Bearer(httpx2.Auth):
    """Shows a token that may be renewed while we run; none where a certificate says who we are."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        token = self._access.current()
        if token:
            request.headers["authorization"] = f"Bearer {token.reveal()}"
        yield request
