"""The object port over the API of a Kubernetes: how controllers of ours live on a cluster.

Beside the synchronous client of the stages (`cluster.kube`) and over the same library, so that
both read an answer with the same functions. What an API server cannot promise, the port says.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Self

from pressplay.api import kinds
from pressplay.base.errors import Refused
from pressplay.cluster import identities, records, selectors, wire
from pressplay.cluster.access import Access
from pressplay.cluster.connection import Connection
from pressplay.cluster.following import Following
from pressplay.cluster.port import Change, Conflict, Key, NotFound, Object, is_going
from pressplay.cluster.records import ROW_MAPS


class RemoteObjects:
    """The port (`cluster.port.Objects`) at an API server. A context manager; it keeps nothing.

    Every read and write is tried once, and may raise Unavailable beside what the port says. Only
    `watch` goes on by itself.
    """

    def __init__(self, access: Access) -> None:
        self._connection = Connection(access)
        self._followings: set[Following] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; to be called once."""
        await self._connection.aclose()

    async def version(self) -> str:
        """What the server says it is, such as v1.34.4."""
        answer = await self._connection.ask("GET", "/version")
        return str(answer.get("gitVersion", "unknown"))

    def watching(self) -> Mapping[str, str]:
        """The kinds that are watched, each with why nothing is heard of it now, or nothing."""
        return {each.kind: each.trouble for each in self._followings}

    async def get(self, key: Key) -> Object | None:
        try:
            return await self._connection.ask("GET", _path(key))
        except NotFound:
            return None

    async def list(self, kind: str, *, namespace: str = "", labels: str = "") -> list[Object]:
        selectors.parse(labels)
        found, _ = await self._connection.collect(kind, namespace, labels=labels)
        return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    async def create(self, obj: Object) -> Object:
        kind, given = identities.check(obj)
        metadata = {name: value for name, value in given.items() if name not in records.GIVEN}
        path = wire.path(kind.name, str(metadata.get("namespace") or ""))
        made = await self._connection.ask("POST", path, body={**obj, "metadata": metadata})
        if not kind.has_status or not obj.get("status"):
            return made
        key = Key(kind.name, str(metadata.get("namespace") or ""), made["metadata"]["name"])
        return await self._patch(f"{_path(key)}/status", {"status": obj["status"]}, version="")

    async def patch(self, key: Key, patch: Object, *, version: str = "") -> Object:
        answer: Object = {}
        for subresource, part in _parts(key, records.permitted(key, patch)):
            answer = await self._patch(_path(key) + subresource, part, version=version)
            version = answer["metadata"]["resourceVersion"] if version else ""
        return records.without_rows(answer, ROW_MAPS.get(key.kind, ()))

    async def delete(self, key: Key) -> None:
        query = {"propagationPolicy": "Background"}
        try:
            await self._connection.ask("DELETE", _path(key), query=query)
        except NotFound:
            return
        except Conflict:
            # So a Namespace answers, in some versions, that is on its way already.
            found = await self.get(key)
            if found is not None and not is_going(found):
                raise

    async def watch(self, kind: str, *, namespace: str = "") -> AsyncGenerator[Change, None]:
        following = Following(self._connection, kinds.by_name(kind).name, namespace=namespace)
        self._followings.add(following)
        try:
            async with aclosing(following.changes()) as changes:
                async for change in changes:
                    yield change
        finally:
            self._followings.discard(following)

    async def _patch(self, path: str, patch: Object, *, version: str) -> Object:
        if version:
            metadata = patch.get("metadata") or {}
            patch = {**patch, "metadata": {**metadata, "resourceVersion": version}}
        return await self._connection.ask("PATCH", path, body=patch, media=wire.MERGE_PATCH)


def _path(key: Key) -> str:
    if not key.name:
        # Its path would be that of the whole collection.
        raise Refused(f"A {key.kind} is asked for without a name")
    return wire.path(key.kind, key.namespace, key.name)


def _parts(key: Key, patch: Object) -> builtins.list[tuple[str, Object]]:
    """The calls that a patch takes: a status that is a subresource has one of its own.

    It comes last, because others take a status as said of all the rest.
    """
    if not kinds.by_name(key.kind).has_status or "status" not in patch:
        return [("", patch)]
    status = ("/status", {"status": patch["status"]})
    rest = {name: value for name, value in patch.items() if name != "status"}
    return [("", rest), status] if rest else [status]
