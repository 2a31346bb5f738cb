"""The object port in memory; with a journal behind it, the port on disk.

All changes happen at once, on the event loop, before the first wait: no change ever sees half of
another. What a journal adds is only the wait for the disk.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pressplay.api import kinds
from pressplay.base import clocks, ids
from pressplay.base.clocks import Clock
from pressplay.cluster import identities, records, selectors
from pressplay.cluster.port import AlreadyExists, Change, Conflict, Key, NotFound, Object
from pressplay.cluster.records import ROW_MAPS, Record, RowPath
from pressplay.cluster.watching import Feed

_NAME_TRIES = 8
_PREFIX_LIMIT = 58
"""Longest part of generateName that is kept: with its suffix it is still a label."""

_BREATH = 64
"""A reader that falls behind lets others run after so many changes."""


@dataclass(frozen=True)
class Write:
    """One change of one record, as values that stay what they are.

    `body` is None where it stays, None among `rows` removes one, `cleared` removes all rows first.
    """

    id: int
    key: Key
    version: int
    body: bytes | None = None
    rows: Mapping[str, bytes | None] = field(default_factory=dict)
    cleared: bool = False
    removed: bool = False


class Journal(Protocol):
    """Keeps what a store does. Called on the event loop only."""

    def check(self) -> None:
        """Raises Unavailable when nothing can be kept any more."""

    def append(self, write: Write) -> None:
        """Take down a change; the order of calls is the order in which it is kept."""

    async def settled(self) -> None:
        """Wait until all that was appended is kept. Raises Unavailable where it cannot be."""


class _Forgetful:
    """The journal of a store that lives and dies with its process."""

    def check(self) -> None:
        """Nothing to check."""

    def append(self, write: Write) -> None:
        """Nothing is kept."""

    async def settled(self) -> None:
        """Nothing to wait for."""


class MemoryObjects:
    """The port (`cluster.port.Objects`) over dictionaries.

    Every method belongs to one event loop. Finalizers are not waited for.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        row_maps: Mapping[str, RowPath] = ROW_MAPS,
        journal: Journal | None = None,
        kept: Iterable[Record] = (),
        version: int = 0,
    ) -> None:
        """`kept` are records of an earlier life, oldest first, and `version` its last version."""
        self._clock = clock
        self._paths = row_maps
        self._journal: Journal = journal or _Forgetful()
        self._version = version
        self._kinds: dict[str, dict[Key, Record]] = {}
        self._uids: dict[str, Record] = {}
        self._owned: dict[str, dict[int, Record]] = {}
        self._feed = Feed()
        for record in kept:
            self._enter(record)

    async def get(self, key: Key) -> Object | None:
        return self.peek(key)

    def peek(self, key: Key) -> Object | None:
        """`get` for whoever cannot wait; on the store's own loop only."""
        record = self._find(key)
        return None if record is None else self._read(record)

    async def list(self, kind: str, *, namespace: str = "", labels: str = "") -> list[Object]:
        selector = selectors.parse(labels)
        return [
            self._read(record)
            for key, record in self._kinds.get(kinds.by_name(kind).name, {}).items()
            if (not namespace or key.namespace == namespace)
            and selectors.matches(selector, record.labels)
        ]

    async def create(self, obj: Object) -> Object:
        self._journal.check()
        try:
            return self._read(self._create(obj))
        finally:
            # Also where the name is taken: whoever hears so may act on what it means.
            await self._journal.settled()

    async def patch(self, key: Key, patch: Object, *, version: str = "") -> Object:
        self._journal.check()
        try:
            return records.read_body(self._patch(key, patch, version))
        finally:
            await self._journal.settled()

    async def delete(self, key: Key) -> None:
        self._journal.check()
        record = self._find(key)
        if record is not None:
            self._remove(record)
        await self._journal.settled()

    async def watch(self, kind: str, *, namespace: str = "") -> AsyncGenerator[Change, None]:
        self._journal.check()
        present = self._kinds.get(kinds.by_name(kind).name, {}).values()
        with self._feed.subscribe(kind, namespace=namespace, present=present) as reader:
            heard = 0
            while True:
                happening, record = await reader.next()
                whole = happening == "ADDED"
                obj = self._read(record) if whole else records.read_body(record)
                yield Change(happening, obj)
                heard += 1
                if heard % _BREATH == 0:
                    await asyncio.sleep(0)

    def _find(self, key: Key) -> Record | None:
        return self._kinds.get(key.kind, {}).get(key)

    def _read(self, record: Record) -> Object:
        return records.read(record, path=self._path(record))

    def _path(self, record: Record) -> RowPath:
        return self._paths.get(record.key.kind, ())

    def _create(self, obj: Object) -> Record:
        key = self._free_key(obj)
        metadata = {name: value for name, value in obj["metadata"].items() if value is not None}
        metadata |= {
            "name": key.name,
            "uid": ids.new_uid(),
            "creationTimestamp": clocks.to_text(self._clock.now()),
            "generation": 1,
        }
        metadata.pop("resourceVersion", None)
        number = self._version + 1
        record = records.make(
            number=number,
            key=key,
            obj={**obj, "metadata": metadata},
            path=self._paths.get(key.kind, ()),
        )
        self._version = number
        self._enter(record)
        rows = dict(record.rows or {})
        self._journal.append(Write(number, key, number, body=record.body, rows=rows))
        self._feed.publish("ADDED", record)
        return record

    def _free_key(self, obj: Object) -> Key:
        """The address of a new object. Raises Refused, NotFound, AlreadyExists."""
        kind, metadata = identities.check(obj)
        namespace = str(metadata.get("namespace") or "")
        if namespace and self._find(Key("Namespace", "", namespace)) is None:
            raise NotFound(f'namespaces "{namespace}" not found; create the namespace first')
        if metadata.get("name"):
            key = Key(kind.name, namespace, metadata["name"])
            if self._find(key) is not None:
                raise AlreadyExists(f"{key} already exists")
            return key
        for _ in range(_NAME_TRIES):
            name = metadata["generateName"][:_PREFIX_LIMIT] + ids.random_suffix()
            key = Key(kind.name, namespace, name)
            if self._find(key) is None:
                return key
        raise AlreadyExists(f"No free name after {metadata['generateName']!r}; use another prefix")

    def _patch(self, key: Key, patch: Object, version: str) -> Record:
        record = self._find(key)
        if record is None:
            raise NotFound(f"{key} not found")
        if version and version != str(record.version):
            raise Conflict(f"{key} changed since version {version}; read it again and repeat")
        update = records.plan(record, patch, path=self._path(record))
        if update is None:
            return record
        had_rows = record.rows is not None
        self._version += 1
        self._leave_owners(record)
        records.carry_out(record, update, version=self._version)
        self._join_owners(record)
        self._journal.append(
            Write(
                record.id,
                key,
                record.version,
                body=update.body,
                rows=update.rows,
                cleared=had_rows and not update.has_rows,
            )
        )
        self._feed.publish("MODIFIED", record)
        return record

    def _remove(self, first: Record) -> None:
        """Remove a record, then whatever lived in it or only through it."""
        doomed = [first]
        while doomed:
            record = doomed.pop()
            if self._kinds[record.key.kind].pop(record.key, None) is None:
                continue
            del self._uids[record.uid]
            self._leave_owners(record)
            self._version += 1
            record.version = self._version
            self._journal.append(Write(record.id, record.key, record.version, removed=True))
            self._feed.publish("DELETED", record)
            doomed += self._content(record)
            owned = self._owned.get(record.uid, {}).values()
            doomed += [each for each in owned if not any(u in self._uids for u in each.owners)]

    def _content(self, record: Record) -> builtins.list[Record]:
        """What a namespace holds; nothing for other kinds."""
        if record.key.kind != "Namespace":
            return []
        return [
            each
            for held in self._kinds.values()
            for key, each in held.items()
            if key.namespace == record.key.name
        ]

    def _enter(self, record: Record) -> None:
        self._kinds.setdefault(record.key.kind, {})[record.key] = record
        self._uids[record.uid] = record
        self._join_owners(record)

    def _join_owners(self, record: Record) -> None:
        for uid in record.owners:
            self._owned.setdefault(uid, {})[record.id] = record

    def _leave_owners(self, record: Record) -> None:
        for uid in record.owners:
            self._owned[uid].pop(record.id)
            if not self._owned[uid]:
                del self._owned[uid]
