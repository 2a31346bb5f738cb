from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import policy
from pressplay.base.errors import Refused
from pressplay.stages import limits
from pressplay.stages.limits import Limits

LIMITS = st.builds(
    Limits,
    usd=st.none() | st.floats(0, 1000),
    tokens=st.none() | st.integers(0, 10**9),
    turns=st.none() | st.integers(0, 1000),
)


def test_a_request_says_what_it_may_use() -> None:
    found = limits.of_request({"budget": {"usd": 1.5, "tokens": 10}, "maxTurns": 3})
    assert found == Limits(usd=1.5, tokens=10, turns=3)
    assert limits.of_request({}) == Limits()
    assert limits.of_request({"budget": {"usd": 0}}) == Limits(usd=0)


def test_the_policy_has_limits_of_its_own() -> None:
    assert limits.of_policy(policy.DEFAULT) == Limits(usd=5, turns=60)


@pytest.mark.parametrize(
    "request_",
    [
        {"budget": 5},
        {"budget": {"usd": "5"}},
        {"maxTurns": -1},
        {"maxTurns": True},
        {"budget": {"tokens": float("nan")}},
        {"budget": {"usd": float("inf")}},
    ],
)
def test_a_limit_that_is_no_number_is_refused(request_: dict[str, object]) -> None:
    with pytest.raises(Refused):
        limits.of_request(request_)


@given(LIMITS, LIMITS)
def test_of_two_the_tighter_holds_for_each(one: Limits, other: Limits) -> None:
    both = one.tighter(other)
    assert both == other.tighter(one)
    for name, value in vars(both).items():
        given_ = [getattr(each, name) for each in (one, other)]
        assert value == min((each for each in given_ if each is not None), default=None)


@given(LIMITS)
def test_limits_travel_as_json(found: Limits) -> None:
    assert Limits.from_json(found.to_json()) == found
