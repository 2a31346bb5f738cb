"""The language of `when`, beyond the recorded answers."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.engine.expressions import govaluate
from pressplay.engine.expressions.errors import ExpressionError


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("'proceed' == 'proceed'", True),
        ("heads == heads", True),
        ("heads == tails", False),
        ("foo in (a, b, foo)", True),
        ("'2026-01-01' == '2026-01-01T00:00:00Z'", False),
        ("'2026-01-01' < '2026-02-01'", True),
        ("'a b' =~ '^a b$' && !('x' == 'y')", True),
    ],
)
def test_a_condition_holds_or_not(source: str, *, holds: bool) -> None:
    assert govaluate.evaluate_bool(source) is holds


@pytest.mark.parametrize("source", ["foo", "1", "(a, b)", "false ? true", ""])
def test_what_is_neither_true_nor_false_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        govaluate.evaluate_bool(source)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("v1.2 == v1.2", "put it in quotes"),
        ("1==-1", "leave a space between signs"),
        ("foo in (foo)", "at least two values"),
        ("foo-bar == foo-bar", "in quotes"),
    ],
)
def test_a_refusal_says_what_to_do(source: str, hint: str) -> None:
    with pytest.raises(ExpressionError, match=hint):
        govaluate.evaluate_bool(source)


_SIGNS_AND_WORDS = (
    "a foo 1 2.5 'a' \"b\" [c d] true false ( ) , == != < >= =~ !~ && || + - * / % ** & | ^ << >> "
    "! ~ ? : ?? in IN \\ _ . # @ {{x}} 0x1"
)
_PIECES = st.sampled_from(_SIGNS_AND_WORDS.split(" "))


@given(st.text(max_size=60) | st.lists(_PIECES, max_size=10).map(" ".join))
def test_no_text_breaks_the_language(text: str) -> None:
    try:
        assert govaluate.evaluate_bool(text) in (True, False)
    except ExpressionError as error:
        assert error.problem


_WORDS = st.text(st.characters(min_codepoint=32, exclude_characters="'\"\\"), max_size=12)


@given(_WORDS, _WORDS)
def test_quoted_texts_compare_as_texts(left: str, right: str) -> None:
    assert govaluate.evaluate_bool(f"'{left}' == \"{right}\"") is (left == right)
    assert govaluate.evaluate_bool(f"'{left}' <= '{right}'") is (left <= right)
    assert govaluate.evaluate_bool(f"'{left}' in ('{right}', '{left}')") is True


_SMALL = st.integers(0, 1000)
_SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@given(_SMALL, st.sampled_from(sorted(_SIGNS)), _SMALL, st.sampled_from(sorted(_SIGNS)), _SMALL)
def test_arithmetic_agrees_with_pythons(a: int, one: str, b: int, two: str, c: int) -> None:
    value = eval(f"{a} {one} {b} {two} {c}")  # noqa: S307 - numbers and signs
    assert govaluate.evaluate(f"{a} {one} {b} {two} {c}") == value
