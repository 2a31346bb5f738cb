"""The two expression dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.engine import resolving
from pressplay.engine.expressions import expr, govaluate
from pressplay.engine.expressions.errors import ExpressionError
from pressplay.engine.resolving import Scope

_VARIABLES = {
    "inputs": {"parameters": {"a-b": "x", "n": "7"}},
    "lastRetry": {"exitCode": "3", "message": "Evicted: node pressure"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3.5),
        ("-7 % 3", -1),
        ("2 ** 3 ** 2", 512.0),
        ("'a' + \"b\"", "ab"),
        ("not true || true", True),
        ("1 in [1, 2] and 3 not in [1, 2]", True),
        ("inputs.parameters['a-b']", "x"),
        ("asInt(inputs.parameters.n) > 6 ? 'big' : 'small'", "big"),
        ("{a: 1, 'b': [2]}.b[0]", 2),
        ("inputs?.gone?.further", None),
        ("nil ?? 5", 5),
        ("lastRetry.exitCode == '3' || lastRetry.message contains 'victed'", True),
        ("'abc' matches '^a.c$'", True),
        ("toJson(inputs.parameters.n + '\"')", '"7\\""'),
        ("sprig.trimSuffix('.git', 'x.git')", "x"),
        ("split('a,b', ',')[-1]", "b"),
        ("jsonpath('{\"a\":{\"b\":[1,2]}}', '$.a.b[1]')", 2),
    ],
)
def test_expr_lang_means_what_its_definition_says(source: str, value: object) -> None:
    assert expr.evaluate(source, _VARIABLES) == value


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("foo == foo", True),
        ("foo-bar == foo", None),
        ("'proceed' == 'proceed'", True),
        ("true == true && !false", True),
        ("5 >= 4.5", True),
        ("a in (a, b)", True),
        ("c in (a, b)", False),
        ("'abc' =~ '^a'", True),
        ("'abc' !~ '^a'", False),
        ("Succeeded != Failed", True),
    ],
)
def test_a_when_takes_bare_words_for_texts(source: str, *, holds: bool | None) -> None:
    if holds is None:
        with pytest.raises(ExpressionError):
            govaluate.evaluate_bool(source)
    else:
        assert govaluate.evaluate_bool(source) is holds


@pytest.mark.parametrize(
    "source",
    [
        *("", "1 +", "(1", "nobody", "[1][5]", "'a' matches '(?=a)'"),
        *("'a' - 1", "len(1)", "{a: }", "((((" * 40, "'\\xZZ'"),
    ],
)
def test_what_cannot_be_worked_out_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        expr.evaluate(source, {})


@given(st.text(max_size=60))
def test_no_text_breaks_a_parser(text: str) -> None:
    for work in (expr.evaluate_bool, lambda source, _: govaluate.evaluate_bool(source)):
        try:
            assert work(text, {}) in (True, False)
        except ExpressionError as error:
            assert str(error)


_NUMBERS = st.integers(min_value=-1000, max_value=1000)


@given(_NUMBERS, _NUMBERS, _NUMBERS)
def test_arithmetic_agrees_with_pythons(a: int, b: int, c: int) -> None:
    source = f"({a}) + ({b}) * ({c}) - ({a}) * ({c})"
    assert expr.evaluate(source, {}) == a + b * c - a * c


@given(
    st.recursive(st.none() | st.booleans() | st.text(), lambda each: st.lists(each), max_leaves=9)
)
def test_any_value_goes_through_json_unharmed(value: object) -> None:
    assert expr.evaluate("fromJSON(toJSON(x)) == x", {"x": value}) is True


@pytest.mark.parametrize(
    ("source", "text"),
    [("3.0", "3"), ("7 / 2", "3.5"), ("true", "true"), ("'a'", "a"), ("[1, 'b']", '[1,"b"]')],
)
def test_results_print_as_go_prints_them(source: str, text: str) -> None:
    assert resolving.substitute_text("{{=" + source + "}}", Scope({})) == text
