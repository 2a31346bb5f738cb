from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.limits import Limits
from pressplay.stages.relays import prices
from pressplay.stages.relays.ledger import SHORTEST, Asked, Ledger, Spent
from pressplay.stages.relays.prices import Usage

PRICE = prices.parse('{"models": {"m": {"input": 1, "output": 10}}}').of("m")


def asked(*, prompt: int = 1000, longest: int = 2000, shortest: int = SHORTEST) -> Asked:
    return Asked(
        model="m",
        price=PRICE,
        prompt=Usage(input=prompt),
        longest=longest,
        shortest=min(longest, shortest),
    )


def spend(ledger: Ledger, used: Usage, **kinds: int) -> int:
    with ledger.call(asked(**kinds)) as call:
        call.was_answered = True
        call.used = used
        return call.answer


def test_without_limits_everything_is_let_through() -> None:
    ledger = Ledger(Limits(), keep=lambda record: None)
    assert spend(ledger, Usage(output=10**6), longest=10**6) == 10**6


def test_what_was_put_aside_comes_back_where_less_was_used() -> None:
    ledger = Ledger(Limits(usd=0.04), keep=lambda record: None)
    for _ in range(10):
        assert spend(ledger, Usage(input=1000, output=10)) == 2000


def test_a_call_that_was_not_answered_costs_nothing() -> None:
    records: list[dict[str, Any]] = []
    ledger = Ledger(Limits(turns=1), keep=records.append)
    with ledger.call(asked()) as call:
        call.used = Usage(input=5)
    assert (records[-1]["calls"], records[-1]["usd"]) == (0, 0)
    assert spend(ledger, Usage()) == 2000


def test_a_call_that_broke_is_settled_too() -> None:
    records: list[dict[str, Any]] = []
    ledger = Ledger(Limits(), keep=records.append)

    def broken() -> None:
        with ledger.call(asked()) as call:
            call.was_answered = True
            call.used = Usage(input=7)
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        broken()
    assert records[-1]["tokens"]["input"] == 7
    assert records[-1]["open"]["calls"] == 0


def test_the_record_tells_of_open_calls() -> None:
    records: list[dict[str, Any]] = []
    ledger = Ledger(Limits(), keep=records.append)
    with ledger.call(asked()):
        assert records[-1]["open"] == {"calls": 1, "usd": 0.021}


def test_a_call_waits_for_what_others_may_give_back() -> None:
    ledger = Ledger(Limits(usd=0.022), keep=lambda record: None)
    granted: list[int] = []
    waiting = threading.Thread(target=lambda: granted.append(spend(ledger, Usage())))
    with ledger.call(asked()) as call:
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        call.was_answered = True
    waiting.join(5)
    assert granted == [2000]


def test_the_last_part_of_a_budget_buys_a_shorter_answer() -> None:
    ledger = Ledger(Limits(usd=0.0155), keep=lambda record: None)
    assert spend(ledger, Usage()) == 1450


def test_an_answer_is_not_cut_below_what_is_worth_making() -> None:
    ledger = Ledger(Limits(usd=0.011), keep=lambda record: None)
    with pytest.raises(Spent, match="budget"), ledger.call(asked()):
        pytest.fail("was let through")


def test_a_refusal_is_on_record() -> None:
    records: list[dict[str, Any]] = []
    ledger = Ledger(Limits(usd=0, turns=3), keep=records.append)
    with pytest.raises(Spent, match=r"the budget of \$0 is used up"), ledger.call(asked()):
        pytest.fail("was let through")
    assert records[-1]["refused"] == 1
    assert records[-1]["limits"] == {"usd": 0, "turns": 3}


@given(
    st.floats(0, 1),
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(1, 9000), st.floats(0, 1), st.booleans()),
        max_size=12,
    ),
    st.integers(0, 60_000),
    st.integers(0, 12),
)
def test_whatever_is_asked_no_limit_is_passed(
    usd: float, calls: list[tuple[int, int, float, bool]], tokens: int, turns: int
) -> None:
    records: list[dict[str, Any]] = []
    ledger = Ledger(Limits(usd=usd, tokens=tokens, turns=turns), keep=records.append)
    for prompt, longest, share, was_answered in calls:
        try:
            with ledger.call(asked(prompt=prompt, longest=longest)) as call:
                call.was_answered = was_answered
                call.used = Usage(input=prompt, output=int(call.answer * share))
                assert min(longest, SHORTEST) <= call.answer <= longest
        except Spent:
            continue
    last = records[-1]
    assert last["usd"] <= usd + 1e-6
    assert last["tokens"]["input"] + last["tokens"]["output"] <= tokens
    assert last["calls"] <= turns
