"""The locks of one run: taken for its nodes, and written down in its status as Argo does.

A record is what a restart gives each lock back by, before anybody else may ask; so it is written
before whatever the lock protects begins, and again when that has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pressplay.cluster.port import Object, Objects
from pressplay.engine import limits, nodes, synchronizing
from pressplay.engine.locks import Locks, Request, Turn
from pressplay.engine.records import Records
from pressplay.engine.synchronizing import Lock

Waiting: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Is told the lock that is not to be had yet, and what to say of it."""


class Held:
    """What one run holds and waits for, in memory and in its record."""

    def __init__(
        self, *, objects: Objects, locks: Locks, records: Records, workflow: Object, priority: int
    ) -> None:
        self._objects = objects
        self._locks = locks
        self._records = records
        self._metadata = workflow["metadata"]
        self._priority = priority
        self._holding: dict[str, list[str]] = {}
        self._waiting: dict[str, Request] = {}
        for name, holder in recorded(workflow):
            self._holding.setdefault(holder, []).append(name)

    async def take(self, wanted: Iterable[Lock], *, node: str, waiting: Waiting) -> None:
        """Wait until the node called `node` has them all; the run itself where that is empty.

        It is written down before, or with, the beginning of the first step that needs them.
        Raises Refused for a semaphore without a limit.
        """
        names = list(dict.fromkeys(each.full_name(self._metadata["namespace"]) for each in wanted))
        if not names:
            return
        for name in names:
            if synchronizing.kind_of(name) == synchronizing.SEMAPHORE:
                await self._know(name)
        holder = self._holder(node)
        created = self._metadata["creationTimestamp"]
        request = self._locks.ask(names, turn=Turn(holder, created, self._priority))
        try:
            if not request.is_granted:
                self._waiting[holder] = request
                obstacle = self._locks.obstacle(request)
                await self._write()
                await waiting(obstacle, self._locks.describe(obstacle))
            # Shielded: it is for the locks to say whether it was granted or withdrawn.
            await asyncio.shield(request.ready)
        except BaseException:
            self._locks.withdraw(request)
            raise
        finally:
            self._waiting.pop(holder, None)
        self._holding[holder] = names
        if node:
            self._records.add_status(self._to_json())
        else:
            await self._write()

    async def give_back(self, *, node: str) -> None:
        """Let the next in line have what this node holds, if anything."""
        holder = self._holder(node)
        names = self._holding.pop(holder, [])
        if names:
            # The next in line may be another run, whose record must not come before ours.
            await self._records.settled()
            self._locks.release(names, holder=holder)
            # No need to wait: the end of the node is written, and an ended node holds nothing.
            self._records.add_status(self._to_json())

    def let_go(self) -> None:
        """Give back everything without a word in the record, which may be gone."""
        for holder, names in self._holding.items():
            self._locks.release(names, holder=holder)
        self._holding.clear()

    async def _know(self, name: str) -> None:
        if not self._locks.knows(name):
            await limits.tell(self._locks, name, objects=self._objects)

    def _holder(self, node: str) -> str:
        """Argo's key of a holder: `namespace/run`, for a node with its id."""
        run = f"{self._metadata['namespace']}/{self._metadata['name']}"
        return f"{run}/{nodes.node_id(self._records.workflow, node)}" if node else run

    async def _write(self) -> None:
        await self._records.patch_status(self._to_json())

    def _to_json(self) -> dict[str, Any]:
        held: dict[str, list[str]] = {}
        for holder, names in self._holding.items():
            for name in names:
                held.setdefault(name, []).append(holder)
        awaited = {
            name: list(self._locks.holders(name))
            for request in self._waiting.values()
            for name in request.names
        }
        written = {"mutex": _mutex(held, awaited), "semaphore": _semaphore(held, awaited)}
        return {"synchronization": written}


def recorded(workflow: Object) -> Iterator[tuple[str, str]]:
    """The locks that a run's record says it holds: name and holder.

    A node that has ended holds nothing any more, though a restart came before it was written.
    """
    ended = {
        node["id"]
        for node in (workflow.get("status", {}).get("nodes") or {}).values()
        if nodes.outcome_of(node) is not None
    }
    for name, holder in _written(workflow):
        if holder.count("/") < 2 or holder.rpartition("/")[2] not in ended:
            yield name, holder


def _written(workflow: Object) -> Iterator[tuple[str, str]]:
    metadata = workflow["metadata"]
    run = f"{metadata['namespace']}/{metadata['name']}"
    written = workflow.get("status", {}).get("synchronization") or {}
    for each in (written.get("mutex") or {}).get("holding") or ():
        # Argo's older records, and ours, have the node's id alone.
        holder = each["holder"]
        yield each["mutex"], holder if "/" in holder else f"{run}/{holder}"
    for each in (written.get("semaphore") or {}).get("holding") or ():
        for holder in each.get("holders") or ():
            yield each["semaphore"], holder


def _mutex(held: Mapping[str, Sequence[str]], awaited: Mapping[str, Sequence[str]]) -> Any:  # noqa: ANN401 - JSON leaves here
    return _part(
        [{"mutex": name, "holder": holders[0]} for name, holders in _of(held, synchronizing.MUTEX)],
        [
            {"mutex": name, "holder": next(iter(holders), "")}
            for name, holders in _of(awaited, synchronizing.MUTEX)
        ],
    )


def _semaphore(held: Mapping[str, Sequence[str]], awaited: Mapping[str, Sequence[str]]) -> Any:  # noqa: ANN401 - JSON leaves here
    holding, waiting = (
        [
            {"semaphore": name, "holders": list(holders)}
            for name, holders in _of(each, synchronizing.SEMAPHORE)
        ]
        for each in (held, awaited)
    )
    return _part(holding, waiting)


def _part(holding: list[Any], waiting: list[Any]) -> dict[str, Any] | None:
    """One kind's part of the status; nothing where there is nothing, also not what was before."""
    if not holding and not waiting:
        return None
    return {"holding": holding or None, "waiting": waiting or None}


def _of(locks: Mapping[str, Sequence[str]], kind: str) -> list[tuple[str, Sequence[str]]]:
    return [each for each in locks.items() if synchronizing.kind_of(each[0]) == kind]
