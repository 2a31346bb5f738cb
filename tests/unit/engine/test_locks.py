"""Mutexes between runs."""

from __future__ import annotations

import asyncio

import pytest

from pressplay.engine.locks import Locks


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_free_lock_is_had_at_once_and_again_by_its_holder() -> None:
    locks = Locks()
    await locks.acquire("m", holder="a", created="1")
    await locks.acquire("m", holder="a", created="1")
    assert locks.is_free("m", holder="a")
    assert not locks.is_free("m", holder="b")


async def test_the_older_run_gets_a_lock_first() -> None:
    locks, order = Locks(), list[str]()
    await locks.acquire("m", holder="first", created="1")

    async def want(holder: str, created: str) -> None:
        await locks.acquire("m", holder=holder, created=created)
        order.append(holder)
        locks.release("m", holder=holder)

    async with asyncio.TaskGroup() as group:
        group.create_task(want("young", "3"))
        group.create_task(want("old", "2"))
        await _turn()
        locks.release("m", holder="first")
    assert order == ["old", "young"]


async def test_whoever_stops_waiting_leaves_the_line() -> None:
    locks = Locks()
    await locks.acquire("m", holder="a", created="1")
    waiting = asyncio.ensure_future(locks.acquire("m", holder="b", created="2"))
    await _turn()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    locks.release("m", holder="a")
    assert locks.is_free("m", holder="c")


async def test_a_lock_that_came_in_the_moment_of_giving_up_is_passed_on() -> None:
    locks = Locks()
    await locks.acquire("m", holder="a", created="1")
    waiting = asyncio.ensure_future(locks.acquire("m", holder="b", created="2"))
    await _turn()
    locks.release("m", holder="a")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    locks.release("m", holder="b")
    assert locks.is_free("m", holder="c")


async def test_after_a_restart_the_old_holder_has_its_lock() -> None:
    locks = Locks()
    locks.restore("m", holder="a")
    assert not locks.is_free("m", holder="b")
    await locks.acquire("m", holder="a", created="9")
    assert locks.is_free("m", holder="a")
