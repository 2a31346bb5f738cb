"""Conditions and outputs of resource templates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import conditions
from pressplay.engine.conditions import Condition

_OBJECT: dict[str, Any] = {
    "status": {"phase": "Failed", "count": 3, "outputs": {"urls": '{"a":1}', "a-b": "c"}},
    "items": [{"n": "x"}],
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status.phase in (Succeeded)", False),
        ("status.phase in (Failed, Error, Cancelled)", True),
        ("status.phase == Failed", True),
        ("status.phase != Failed", False),
        ("status.phase notin (Succeeded)", True),
        ("status.count > 2", True),
        ("status.count < 2", False),
        ("status.gone", False),
        ("!status.gone", True),
        ("items.0.n = x", True),
        ("status.phase == Failed, status.count > 5", False),
        ("", False),
    ],
)
def test_a_condition_is_a_selector_over_the_object(text: str, *, holds: bool) -> None:
    assert Condition.parse(text).holds(_OBJECT) is holds


def test_any_one_of_several_is_enough_for_failure() -> None:
    condition = Condition.parse("status.phase == Failed, status.count > 5")
    assert condition.holds(_OBJECT, any_of=True)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        assert Condition.parse(text).holds({}) in (True, False)
    except Refused as error:
        assert "cannot read" in str(error)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("{.status.outputs.urls}", '{"a":1}'),
        ("{.status.outputs['a-b']}", "c"),
        ("{.items[0].n}", "x"),
        ("{.items[0]}", '{"n":"x"}'),
        ("{.status.count}", "3"),
    ],
)
def test_a_json_path_yields_text(path: str, text: str) -> None:
    assert conditions.json_path(_OBJECT, path) == text


def test_a_json_path_that_leads_nowhere_is_named() -> None:
    with pytest.raises(Refused, match="gone is not found"):
        conditions.json_path(_OBJECT, "{.status.gone}")
