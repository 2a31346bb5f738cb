"""Mutexes between runs, first come first served in the order of the runs' creation.

Holders are recorded in the Workflow's status, so that a restart gives each lock back to whoever
held it before anybody else may ask.
"""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

from pressplay.cluster.port import Object
from pressplay.engine import nodes
from pressplay.engine.records import Records


@dataclass(order=True)
class _Waiter:
    created: str
    holder: str
    ready: asyncio.Future[None] = field(compare=False)


class Locks:
    """All mutexes of one engine; a name is `namespace/Mutex/name`, a holder a node id."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        self._waiting: dict[str, list[_Waiter]] = {}

    def restore(self, name: str, *, holder: str) -> None:
        """Record a holder from before a restart."""
        self._holders.setdefault(name, holder)

    def is_free(self, name: str, *, holder: str) -> bool:
        """Whether `holder` would get the lock at once."""
        return self._holders.get(name, holder) == holder and not self._waiting.get(name)

    async def acquire(self, name: str, *, holder: str, created: str) -> None:
        """Wait for the lock; `created` (RFC 3339) decides between waiters. Safe to cancel."""
        if self._holders.get(name) == holder:
            return
        if name not in self._holders:
            self._holders[name] = holder
            return
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(created, holder, ready)
        bisect.insort(self._waiting.setdefault(name, []), waiter)
        try:
            await ready
        except asyncio.CancelledError:
            if ready.done() and not ready.cancelled():
                self.release(name, holder=holder)
            else:
                self._waiting[name].remove(waiter)
            raise

    def release(self, name: str, *, holder: str) -> None:
        """Give the lock to the next in line; quiet if `holder` does not have it."""
        if self._holders.get(name) != holder:
            return
        del self._holders[name]
        waiting = self._waiting.get(name, [])
        if waiting:
            following = waiting.pop(0)
            self._holders[name] = following.holder
            following.ready.set_result(None)


class Held:
    """The mutexes that one run holds, in memory and in its record."""

    def __init__(self, *, locks: Locks, records: Records, workflow: Object) -> None:
        self._locks = locks
        self._records = records
        self._metadata = workflow["metadata"]
        self._holders: dict[str, str] = {}

    async def take(self, names: Sequence[str], *, node: str) -> None:
        """Wait until the node called `node` has them all, in an order that cannot deadlock."""
        holder = nodes.node_id(self._records.workflow, node)
        taken: list[str] = []
        try:
            for name in sorted(self._full(names)):
                await self._locks.acquire(
                    name, holder=holder, created=self._metadata["creationTimestamp"]
                )
                taken.append(name)
        except asyncio.CancelledError:
            for name in taken:
                self._locks.release(name, holder=holder)
            raise
        self._holders.update(dict.fromkeys(taken, holder))
        if names:
            await self._write()

    async def give_back(self, names: Sequence[str], *, node: str) -> None:
        """Let the next in line have them."""
        holder = nodes.node_id(self._records.workflow, node)
        for name in self._full(names):
            self._holders.pop(name, None)
            self._locks.release(name, holder=holder)
        if names:
            await self._write()

    def let_go(self) -> None:
        """Give back everything without a word in the record, which may be gone."""
        for name, holder in self._holders.items():
            self._locks.release(name, holder=holder)
        self._holders.clear()

    def _full(self, names: Sequence[str]) -> list[str]:
        return [f"{self._metadata['namespace']}/Mutex/{name}" for name in names]

    async def _write(self) -> None:
        holding = [{"mutex": name, "holder": holder} for name, holder in self._holders.items()]
        await self._records.patch_status({"synchronization": {"mutex": {"holding": holding}}})
