from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.manifests import loading
from pressplay.stages.relays import prices
from pressplay.stages.relays.prices import Rate, Usage

TEXT = """{"models": {
  "claude-a": {"input": 4, "output": 20},
  "claude-b": {"input": 1, "output": 30, "cache_read": 0.5,
               "beyond": {"tokens": 1000, "input": 2, "output": 40}}
}}"""


def test_cache_prices_follow_from_the_inputs() -> None:
    price = prices.parse(TEXT).of("claude-a")
    assert price.rate(1) == price.rate(10**9) == Rate(4, 20, 5, 8, 0.4)


def test_a_cache_price_of_its_own_counts() -> None:
    assert prices.parse(TEXT).of("claude-b").rate(1).read == 0.5


def test_a_long_prompt_has_its_own_price() -> None:
    price = prices.parse(TEXT).of("claude-b")
    assert (price.rate(1000).input, price.rate(1001).input) == (1, 2)
    assert price.rate(1001).output == 40


def test_the_cost_is_the_sum_over_all_kinds_of_tokens() -> None:
    rate = Rate(1, 2, 3, 4, 5)
    usage = Usage(input=10, output=100, write_5m=1000, write_1h=10_000, read=100_000)
    assert rate.cost(usage) == pytest.approx((10 + 200 + 3000 + 40_000 + 500_000) / 1e6)
    assert (usage.prompt, usage.total) == (111_010, 111_110)


@pytest.mark.parametrize(
    "name",
    [
        "claude-a",
        " Claude-A ",
        "claude-a-20260101",
        "claude-a@20260101",
        "claude-a-latest",
        "claude-a[1m]",
        "anthropic/claude-a",
        "anthropic.claude-a-20260101-v1:0",
        "us.anthropic.claude-a-v2",
    ],
)
def test_a_model_is_known_by_all_its_names(name: str) -> None:
    known = prices.parse(TEXT)
    assert known.knows(name)
    assert known.of(name) == known.of("claude-a")


@pytest.mark.parametrize("name", ["claude-a-9", "claude", "claude-a-2", "x-claude-a", ""])
def test_another_model_costs_the_dearest_of_everything(name: str) -> None:
    known = prices.parse(TEXT)
    assert not known.knows(name)
    assert known.of(name).rate(1) == Rate(4, 40, 5, 8, 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"models": {}}',
        '{"models": []}',
        '{"models": {"a": {}}}',
        '{"models": {"a": {"input": -1, "output": 1}}}',
        '{"models": {"a": 3}}',
        '{"models": {"a": {"input": true, "output": 1}}}',
        '{"models": {"a": {"input": 1, "output": 1, "beyond": {"input": 1, "output": 1}}}}',
    ],
)
def test_a_list_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"models\.json"):
        prices.parse(text)


def test_the_shipped_list_is_one() -> None:
    shipped = loading.shipped(namespace="agents")
    found = next(each for each in shipped if each["metadata"]["name"] == "model-prices")
    known = prices.parse(found["data"]["models.json"])
    assert known.of("claude-haiku-4-5-20251001").rate(1) == Rate(1, 5, 1.25, 2, 0.1)
    assert known.of("claude-sonnet-4-5").rate(200_001).input == 6
    assert known.of("not-known").rate(1).output == 75


@given(st.text(max_size=40))
def test_every_name_has_a_price(name: str) -> None:
    assert prices.parse(TEXT).of(name).rate(1).input >= 1
