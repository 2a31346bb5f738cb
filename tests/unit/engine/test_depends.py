"""`depends` of a DAG task."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import depends
from pressplay.engine.depends import Ended

_WORDS = ("a", "b-1.Failed", "c.AnySucceeded", "&&", "||", "!", "(", ")", ".", "&", "a.Won")
_PHASES = ("Succeeded", "Failed", "Error", "Skipped", "Omitted")


@pytest.mark.parametrize(
    ("text", "phases", "holds"),
    [
        ("a", {"a": "Succeeded"}, True),
        ("a", {"a": "Skipped"}, True),
        ("a", {"a": "Failed"}, False),
        ("a.Failed", {"a": "Failed"}, True),
        ("a.Errored || b-2.Succeeded", {"a": "Failed", "b-2": "Succeeded"}, True),
        ("!(a && b)", {"a": "Succeeded", "b": "Omitted"}, True),
        ("", {}, True),
    ],
)
def test_a_sentence_holds_by_how_its_tasks_ended(
    text: str, phases: dict[str, str], *, holds: bool
) -> None:
    assert depends.parse(text).holds(phases) is holds


@pytest.mark.parametrize("text", ["a &&", "a.Won", "(a", "a b", "a & b", "&& a", "a.b.c"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="depends"):
        depends.parse(text)


@pytest.mark.parametrize(
    ("text", "ended", "holds"),
    [
        ("a.AnySucceeded", Ended("Failed", items=("Failed", "Succeeded")), True),
        ("a.AllFailed", Ended("Failed", items=("Failed", "Succeeded")), False),
        ("a.AllFailed", Ended("Failed", items=("Failed", "Failed")), True),
        ("a.AnySucceeded", Ended("Succeeded"), True),
        ("a.Daemoned", Ended("Running", is_daemoned=True), True),
        ("a", Ended("Running", is_daemoned=True), True),
        ("a", Ended("Failed", is_forgiven=True), True),
        ("a.Succeeded", Ended("Failed", is_forgiven=True), False),
    ],
)
def test_more_than_a_phase_can_count(text: str, ended: Ended, *, holds: bool) -> None:
    assert depends.parse(text).holds({"a": ended}) is holds


def test_a_task_that_is_missing_has_no_result() -> None:
    assert not depends.parse("a || a.Failed || a.Omitted").holds({})
    assert depends.parse("!a.Failed").holds({})


@pytest.mark.parametrize("text", ["!" * 1000 + "a", "(" * 1000 + "a" + ")" * 1000])
def test_a_deep_sentence_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="nested deeper"):
        depends.parse(text)


@given(st.text(max_size=30) | st.lists(st.sampled_from(_WORDS), max_size=8).map(" ".join))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        assert depends.parse(text).holds({"a": "Succeeded"}) in (True, False)
    except Refused as error:
        assert "depends" in str(error)


def test_names_are_listed_once_in_order() -> None:
    assert depends.parse("b && a-1.Failed || b.Succeeded").tasks == ("b", "a-1")


_ATOMS = st.sampled_from(["a.Succeeded", "b.Failed", "c.Skipped", "a.Omitted"])
_SENTENCES = st.recursive(
    _ATOMS,
    lambda each: (
        st.builds("!({})".format, each)
        | st.builds("({}) && ({})".format, each, each)
        | st.builds("({}) || ({})".format, each, each)
    ),
    max_leaves=6,
)


@given(_SENTENCES)
def test_it_agrees_with_pythons_booleans_on_every_case(text: str) -> None:
    parsed = depends.parse(text)
    names = {"Succeeded": "Succeeded", "Failed": "Failed", "Skipped": "Skipped"}
    for a, b, c in itertools.product(_PHASES, repeat=3):
        phases = {"a": a, "b": b, "c": c}
        python = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
        for task, result in itertools.product("abc", (*names, "Omitted")):
            python = python.replace(f"{task}.{result}", str(phases[task] == result))
        assert parsed.holds(phases) is eval(python)  # noqa: S307 - our own words
