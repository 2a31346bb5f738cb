"""`depends` of a DAG task."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import depends

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
