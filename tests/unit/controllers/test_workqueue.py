"""A queue of names to reconcile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pressplay.base.errors import Unavailable
from pressplay.cluster.port import Key
from pressplay.controllers.workqueue import Reconcile, WorkQueue

_A, _B = Key("K", "n", "a"), Key("K", "n", "b")


@asynccontextmanager
async def _running(reconcile: Reconcile) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(reconcile, name="test")
    task = asyncio.ensure_future(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_name_is_never_worked_on_twice_at_a_time_and_never_forgotten() -> None:
    busy, most, count = 0, 0, 0

    async def reconcile(_: Key) -> None:
        nonlocal busy, most, count
        busy, count = busy + 1, count + 1
        most = max(most, busy)
        await asyncio.sleep(0.01)
        busy -= 1

    async with _running(reconcile) as queue:
        queue.add(_A)
        queue.add(_A)
        await asyncio.sleep(0.005)
        queue.add(_A)
        queue.add(_A)
        await asyncio.sleep(0.05)
    assert (most, count) == (1, 2)


async def test_an_error_is_tried_again_and_stops_no_other_name() -> None:
    seen: list[str] = []

    async def reconcile(key: Key) -> None:
        seen.append(key.name)
        if key == _A and seen.count("a") == 1:
            raise Unavailable("not now")
        if key == _B:
            raise ValueError("a bug")

    async with _running(reconcile) as queue:
        queue.add(_A)
        queue.add(_B)
        async with asyncio.timeout(5):
            while seen.count("a") < 2 or seen.count("b") < 2:
                await asyncio.sleep(0.01)
    assert seen.count("a") == 2


async def test_a_name_can_ask_to_be_looked_at_again() -> None:
    count = 0

    async def reconcile(_: Key) -> float | None:
        nonlocal count
        count += 1
        return 0.01 if count < 3 else None

    async with _running(reconcile) as queue:
        queue.add(_A)
        await asyncio.sleep(0.1)
    assert count == 3
