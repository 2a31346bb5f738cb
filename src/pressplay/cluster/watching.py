"""Who watches what: one entry for each changed object, whatever happened to it meanwhile.

A reader that stands still therefore costs at most one entry for each object that lives now or
lived when it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from pressplay.cluster.records import Record

Happening: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


class Subscription:
    """What one reader has yet to hear."""

    def __init__(self, *, namespace: str, present: Iterable[Record]) -> None:
        self._namespace = namespace
        self._pending: dict[int, tuple[Happening, Record]] = {}
        self._wake = asyncio.Event()
        self._failure: Exception | None = None
        for record in present:
            self.note("ADDED", record)

    @property
    def waiting(self) -> int:
        """How many changes the reader has yet to hear."""
        return len(self._pending)

    def note(self, happening: Happening, record: Record) -> None:
        """Take down a change; what the reader has not heard of an object yet becomes one change."""
        if self._namespace and record.key.namespace != self._namespace:
            return
        unheard = self._pending.get(record.id)
        if unheard is not None and unheard[0] == "ADDED":
            if happening == "DELETED":
                del self._pending[record.id]
        else:
            self._pending[record.id] = (happening, record)
            self._wake.set()

    def fail(self, failure: Exception) -> None:
        """Raise this from now on: there is nothing more to hear."""
        self._failure = failure
        self._wake.set()

    async def next(self) -> tuple[Happening, Record]:
        """The change that waits longest; its record is as it is now."""
        while not self._pending or self._failure is not None:
            if self._failure is not None:
                raise self._failure
            self._wake.clear()
            await self._wake.wait()
        return self._pending.pop(next(iter(self._pending)))


class Feed:
    """All readers of one store."""

    def __init__(self) -> None:
        self._readers: dict[str, set[Subscription]] = {}

    def publish(self, happening: Happening, record: Record) -> None:
        """Tell every reader of this kind."""
        for reader in self._readers.get(record.key.kind, ()):
            reader.note(happening, record)

    def fail(self, failure: Exception) -> None:
        """End what every reader hears with this."""
        for readers in self._readers.values():
            for reader in readers:
                reader.fail(failure)

    @contextmanager
    def subscribe(
        self, kind: str, *, namespace: str, present: Iterable[Record]
    ) -> Iterator[Subscription]:
        """A reader from now on, who first hears of all that is there."""
        reader = Subscription(namespace=namespace, present=present)
        self._readers.setdefault(kind, set()).add(reader)
        try:
            yield reader
        finally:
            self._readers[kind].discard(reader)
