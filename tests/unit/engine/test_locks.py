"""Mutexes and semaphores between runs: who gets them, in which order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pressplay.engine.locks import Locks, Request, Turn

M, N = "agents/Mutex/m", "agents/Mutex/n"
S = "agents/ConfigMap/limits/s"


def _turn(holder: str, created: str = "1", priority: int = 0) -> Turn:
    return Turn(holder, created, priority)


async def test_a_free_mutex_is_had_at_once_and_again_by_its_holder() -> None:
    locks = Locks()
    assert locks.ask([M], turn=_turn("a")).is_granted
    assert locks.ask([M], turn=_turn("a")).is_granted
    assert not locks.ask([M], turn=_turn("b")).is_granted
    assert locks.holders(M) == ("a",)


async def test_as_many_as_the_limit_says_have_a_semaphore() -> None:
    locks = Locks()
    locks.resize(S, 2)
    granted = [locks.ask([S], turn=_turn(str(n))).is_granted for n in range(3)]
    assert granted == [True, True, False]
    assert locks.describe(S) == f"Waiting for {S} lock. Lock status: 0/2"


async def test_the_older_run_goes_first_and_a_higher_priority_before_it() -> None:
    locks = Locks()
    locks.ask([M], turn=_turn("first"))
    young, old, urgent = (
        locks.ask([M], turn=_turn("young", "3")),
        locks.ask([M], turn=_turn("old", "2")),
        locks.ask([M], turn=_turn("urgent", "4", priority=1)),
    )
    order = []
    for holder in ("first", "urgent", "old"):
        locks.release([M], holder=holder)
        order.append([each.is_granted for each in (urgent, old, young)])
    assert order == [[True, False, False], [True, True, False], [True, True, True]]


async def test_whoever_stops_waiting_leaves_the_line() -> None:
    locks = Locks()
    locks.ask([M], turn=_turn("a"))
    waiting = locks.ask([M], turn=_turn("b"))
    locks.withdraw(waiting)
    locks.release([M], holder="a")
    assert locks.holders(M) == ()


async def test_a_lock_that_came_in_the_moment_of_giving_up_is_passed_on() -> None:
    locks = Locks()
    locks.ask([M], turn=_turn("a"))
    waiting = locks.ask([M], turn=_turn("b"))
    locks.release([M], holder="a")
    locks.withdraw(waiting)
    assert locks.ask([M], turn=_turn("c")).is_granted


async def test_several_locks_are_had_together_or_not_at_all() -> None:
    locks = Locks()
    locks.resize(S, 1)
    locks.ask([S], turn=_turn("a"))
    both = locks.ask([M, S], turn=_turn("b", "2"))
    assert locks.obstacle(both) == S
    assert locks.holders(M) == ()
    locks.release([S], holder="a")
    assert both.is_granted
    assert (locks.holders(M), locks.holders(S)) == (("b",), ("b",))


async def test_a_ring_of_waiters_cannot_come_about() -> None:
    locks = Locks()
    locks.ask([M], turn=_turn("a"))
    locks.ask([N], turn=_turn("b"))
    older, younger = (
        locks.ask([M, N], turn=_turn("c", "2")),
        locks.ask([N, M], turn=_turn("d", "3")),
    )
    locks.release([M], holder="a")
    locks.release([N], holder="b")
    assert (older.is_granted, younger.is_granted) == (True, False)
    locks.release([M, N], holder="c")
    assert younger.is_granted


async def test_a_larger_limit_lets_the_next_in_and_a_smaller_one_throws_nobody_out() -> None:
    locks = Locks()
    locks.resize(S, 1)
    locks.ask([S], turn=_turn("a"))
    second, third = (locks.ask([S], turn=_turn(each, each)) for each in ("b", "c"))
    locks.resize(S, 2)
    assert (second.is_granted, third.is_granted) == (True, False)
    locks.resize(S, 1)
    assert locks.holders(S) == ("a", "b")
    locks.release([S], holder="a")
    assert not third.is_granted
    locks.release([S], holder="b")
    assert third.is_granted


async def test_without_a_limit_nobody_gets_in_and_it_is_said() -> None:
    locks = Locks()
    locks.resize(S, None)
    waiting = locks.ask([S], turn=_turn("a"))
    assert locks.describe(locks.obstacle(waiting)) == f"Failed to get semaphore limit for {S}"
    locks.resize(S, 1)
    assert waiting.is_granted


async def test_after_a_restart_the_old_holders_have_their_locks_beyond_any_limit() -> None:
    locks = Locks()
    for holder in ("a", "b"):
        locks.restore(S, holder=holder)
    locks.restore(M, holder="a")
    locks.resize(S, 1)
    assert locks.ask([S, M], turn=_turn("a", "9")).is_granted
    assert not locks.ask([S], turn=_turn("c")).is_granted
    assert not locks.ask([M], turn=_turn("c")).is_granted


async def test_two_records_of_one_mutex_give_it_to_the_older_run() -> None:
    locks = Locks()
    for holder in ("a", "b"):
        locks.restore(M, holder=holder)
    assert locks.holders(M) == ("a",)


async def test_a_cancelled_wait_is_no_grant() -> None:
    locks = Locks()
    locks.ask([M], turn=_turn("a"))
    waiting = locks.ask([M], turn=_turn("b"))
    locks.withdraw(waiting)
    assert not waiting.is_granted
    with pytest.raises(asyncio.CancelledError):
        await waiting.ready


_NAMES = (M, N, S, "agents/ConfigMap/limits/t")


class LockMachine(RuleBasedStateMachine):
    """Any order of asking, giving back, giving up and resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.locks = Locks()
        self.limits = dict.fromkeys(_NAMES, 1)
        # The most that a lock may hold: its limit, or what it held when the limit shrank.
        self.ceilings = dict(self.limits)
        self.requests: list[Request] = []
        self.count = 0
        for name in _NAMES[2:]:
            self.locks.resize(name, 1)

    def teardown(self) -> None:
        """Whatever happened, all that still wait get their turn in the end."""
        for name in _NAMES[2:]:
            self._resize(name, 1)
        while self.requests:
            done = [each for each in self.requests if each.is_granted]
            assert done, "nobody can go on"
            self._release(done[0])
        self.loop.close()

    @rule(
        names=st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4, unique=True),
        created=st.integers(0, 3),
        priority=st.integers(0, 2),
    )
    def ask(self, names: list[str], created: int, priority: int) -> None:
        self.count += 1

        async def asking() -> Request:
            turn = Turn(f"h{self.count}", str(created), priority)
            return self.locks.ask(names, turn=turn)

        self.requests.append(self.loop.run_until_complete(asking()))

    @precondition(lambda self: any(each.is_granted for each in self.requests))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        granted = [each for each in self.requests if each.is_granted]
        self._release(data.draw(st.sampled_from(granted)))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.requests))
        self.requests.remove(request)
        self.locks.withdraw(request)

    @rule(name=st.sampled_from(_NAMES[2:]), limit=st.integers(1, 4) | st.none())
    def resize(self, name: str, limit: int | None) -> None:
        self._resize(name, limit)

    @invariant()
    def nobody_has_more_than_the_limit(self) -> None:
        for name in _NAMES:
            held = len(self.locks.holders(name))
            assert held <= self.ceilings[name]
            if name in (M, N):
                assert held <= 1

    @invariant()
    def holders_are_those_who_were_granted(self) -> None:
        for name in _NAMES:
            granted = {e.holder for e in self.requests if e.is_granted and name in e.names}
            assert set(self.locks.holders(name)) == granted

    @invariant()
    def nobody_waits_who_is_first_everywhere_and_has_room(self) -> None:
        waiting = [each for each in self.requests if not each.is_granted]
        if waiting:
            assert self.locks.obstacle(min(waiting))

    def _release(self, request: Request) -> None:
        self.requests.remove(request)
        self.locks.release(request.names, holder=request.holder)
        for name in _NAMES:
            self.ceilings[name] = max(self.limits[name], len(self.locks.holders(name)))

    def _resize(self, name: str, limit: int | None) -> None:
        self.limits[name] = limit or 0
        self.ceilings[name] = max(self.limits[name], len(self.locks.holders(name)))
        self.locks.resize(name, limit)


TestLockMachine = LockMachine.TestCase
TestLockMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
