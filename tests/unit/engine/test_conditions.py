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
    "status": {
        "phase": "Failed",
        "count": 3,
        "outputs": {"urls": '{"a":1}', "a-b": "c"},
        "ready": True,
        "nothing": None,
    },
    "items": [{"n": "x"}],
    "list": ["a", "b"],
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
        ("status.phase notin (Succeeded,Failed)", False),
        ("status.gone notin (a)", True),
        ("status.gone != a", True),
        ("status.gone == ", False),
        ("status.count = 3", True),
        ("status.count > 0", True),
        ("status.phase > 1", False),
        ("status.nothing", True),
        ("status.nothing in (,a)", True),
        ("status.ready == true", True),
        ("items.1", False),
        (" status.phase , !status.gone ", True),
    ],
)
def test_a_condition_is_a_selector_over_the_object(text: str, *, holds: bool) -> None:
    assert Condition.parse(text).holds(_OBJECT) is holds


def test_any_one_of_several_is_enough_for_failure() -> None:
    condition = Condition.parse("status.phase == Failed, status.count > 5")
    assert condition.holds(_OBJECT, any_of=True)


@pytest.mark.parametrize(
    "text",
    [
        "status.phase in Succeeded",
        "status.phase in (Succeeded",
        "status.phase ~ a",
        "status.count > many",
        "!status.phase == Failed",
        "a,,b",
        "status.phase == 'Failed'",
        "(a)",
    ],
)
def test_a_condition_that_kubernetes_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"condition .* cannot read"):
        Condition.parse(text)


def test_a_condition_prints_as_it_was_written_and_is_false_without_words() -> None:
    condition = Condition.parse("status.phase in (Failed)")
    assert str(condition) == "status.phase in (Failed)"
    assert condition
    assert not Condition.parse("  ")


_VALUES = st.sampled_from(["Succeeded", "Failed", "Error", "Running"])


@given(st.none() | _VALUES, st.lists(_VALUES, min_size=1, max_size=3))
def test_a_set_agrees_with_pythons(phase: str | None, wanted: list[str]) -> None:
    obj = {"status": {} if phase is None else {"phase": phase}}
    inside = f"status.phase in ({', '.join(wanted)})"
    assert Condition.parse(inside).holds(obj) is (phase in wanted)
    outside = f"status.phase notin ({','.join(wanted)})"
    assert Condition.parse(outside).holds(obj) is (phase not in wanted)


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
        ("{.list[*]}", "a b"),
        ("{.list}", '["a","b"]'),
        ("{$.status.phase}", "Failed"),
        ("{.status.phase}/{.status.count}!", "Failed/3!"),
        ("{.status.ready}", "true"),
        ("{.status.nothing}", "null"),
    ],
)
def test_a_json_path_yields_text(path: str, text: str) -> None:
    assert conditions.json_path(_OBJECT, path) == text


def test_a_json_path_that_leads_nowhere_is_named() -> None:
    with pytest.raises(Refused, match="gone is not found"):
        conditions.json_path(_OBJECT, "{.status.gone}")


@pytest.mark.parametrize(
    "path",
    ["{.items[?(@.n)]}", "{.a", "{range .items}", "{.a}}", "{.a.}", ".status.phase", "{.list.0}"],
)
def test_a_json_path_that_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="jsonPath"):
        conditions.json_path(_OBJECT, path)


@given(st.text(max_size=30))
def test_no_text_breaks_a_json_path(path: str) -> None:
    try:
        assert isinstance(conditions.json_path(_OBJECT, path), str)
    except Refused as error:
        assert "jsonPath" in str(error)
