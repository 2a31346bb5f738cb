"""Regular expressions: RE2's language, in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.engine.expressions import regex
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.limits import Budget

_ATOMS = st.sampled_from(["a", "b", "ab", ".", "[ab]", "[^a]", "\\w", "\\d", "^", "\\b", "x|y"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda each: (
        st.builds("{}{}".format, each, each)
        | st.builds("(?:{}|{})".format, each, each)
        | st.builds(
            "(?:{}){}".format, each, st.sampled_from(["*", "+", "?", "*?", "+?", "{1,2}", "{2}"])
        )
        | st.builds("({})".format, each)
    ),
    max_leaves=6,
)


@given(_PATTERNS, st.text("abxy1 \n", max_size=8))
def test_it_finds_a_match_exactly_where_pythons_engine_does(pattern: str, text: str) -> None:
    expected = re.search(pattern, text, re.ASCII)
    found = regex.compile_pattern(pattern).find_all(text, limit=1, budget=Budget())
    assert [places[0] for places in found] == ([] if expected is None else [expected.start()])
    assert regex.compile_pattern(pattern).is_match(text, budget=Budget()) is (expected is not None)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(pattern: str) -> None:
    try:
        regex.compile_pattern(pattern).is_match("some text", budget=Budget())
    except Fault as fault:
        assert fault.problem.startswith("regular expression: ")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_quoted_text_is_found_as_it_is(part: str, around: str) -> None:
    pattern = "".join(f"\\x{{{ord(each):x}}}" for each in part)
    text = around + part + around
    assert regex.compile_pattern(pattern).find_all(text, limit=1, budget=Budget()) == [
        (text.find(part), text.find(part) + len(part))
    ]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*$", "(a|a)*b", "(.*)*b", "a*a*a*a*a*b"])
def test_a_pattern_that_is_slow_elsewhere_is_not_slow_here(pattern: str) -> None:
    started = time.perf_counter()
    regex.compile_pattern(pattern).is_match("a" * 2000 + "c", budget=Budget())
    assert time.perf_counter() - started < 2


def test_a_search_pays_for_its_steps() -> None:
    with pytest.raises(Fault, match="steps"):
        regex.compile_pattern("(a|aa)*b").is_match("a" * 2000, budget=Budget(1000))


@pytest.mark.parametrize(
    ("pattern", "template", "text"),
    [
        ("(?P<first>a)(b)", "${first}-$2-$$-$none", "a-b-$-"),
        ("(?P<first>a)(b)", "$1x", ""),
        ("b", "", "a"),
        ("", "-", "-a-b-"),
    ],
)
def test_a_replacement_fills_its_references_in(pattern: str, template: str, text: str) -> None:
    compiled = regex.compile_pattern(pattern)
    assert compiled.replace("ab", template, budget=Budget()) == text


def test_a_literal_replacement_is_not_looked_into() -> None:
    compiled = regex.compile_pattern("a")
    assert compiled.replace("a", "$0", budget=Budget(), expand=False) == "$0"


@pytest.mark.parametrize(
    ("limit", "parts"), [(-1, ["a", "b", "", "c"]), (2, ["a", "b,,c"]), (0, [])]
)
def test_a_split_stops_at_its_limit(limit: int, parts: list[str]) -> None:
    assert regex.compile_pattern(",").split("a,b,,c", limit=limit, budget=Budget()) == parts
