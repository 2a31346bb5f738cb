"""Pods that are over, removed in moments in which no other one starts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pressplay.pods.removing import Remover

_LONG_S = 60.0
"""Longer than any of these tests."""


class Pods:
    """What was removed, in order."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def add(self, remover: Remover, *uids: str) -> None:
        for uid in uids:
            remover.add(uid, lambda uid=uid: self.removed.append(uid))  # type: ignore[misc]

    async def until(self, *uids: str) -> None:
        async with asyncio.timeout(20):
            while self.removed != [*uids]:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def working(**settings: float) -> AsyncIterator[Remover]:
    remover = Remover(**settings)  # type: ignore[arg-type]
    run = asyncio.ensure_future(remover.run())
    yield remover
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


@pytest.fixture
def pods() -> Pods:
    return Pods()


async def test_pods_leave_in_their_order_where_nothing_starts(pods: Pods) -> None:
    async with working(patience_s=_LONG_S) as remover:
        pods.add(remover, "a", "b")
        await pods.until("a", "b")


async def test_nothing_is_removed_while_pods_start_one_upon_the_other(pods: Pods) -> None:
    async with working(calm_s=1.0, patience_s=_LONG_S) as remover:
        for number in range(20):
            remover.disturb()
            pods.add(remover, str(number))
            await asyncio.sleep(0.01)
        assert pods.removed == []
        await pods.until(*map(str, range(20)))


async def test_a_pod_does_not_wait_for_ever(pods: Pods) -> None:
    async with working(calm_s=_LONG_S, patience_s=0.05) as remover:
        remover.disturb()
        pods.add(remover, "a", "b")
        await pods.until("a", "b")


async def test_no_more_than_so_many_wait(pods: Pods) -> None:
    async with working(calm_s=_LONG_S, patience_s=_LONG_S, most=2) as remover:
        remover.disturb()
        pods.add(remover, "a", "b", "c", "d")
        await pods.until("a", "b")


async def test_what_still_waits_goes_at_the_end(pods: Pods) -> None:
    async with working(calm_s=_LONG_S, patience_s=_LONG_S) as remover:
        remover.disturb()
        pods.add(remover, "a", "b")
    assert pods.removed == []
    await remover.close()
    assert pods.removed == ["a", "b"]


async def test_one_that_cannot_be_removed_is_logged_and_holds_up_nobody(
    pods: Pods, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    async with working() as remover:
        with caplog.at_level(logging.WARNING):
            remover.add("bad", fail)
            pods.add(remover, "good")
            await pods.until("good")
        assert "pod_not_removed name=bad error=[Errno 5] Input/output error" in caplog.text


async def test_a_pod_that_is_added_when_all_have_gone_leaves_too(pods: Pods) -> None:
    async with working() as remover:
        pods.add(remover, "a")
        await pods.until("a")
        await asyncio.sleep(0.02)
        pods.add(remover, "b")
        await pods.until("a", "b")
