"""expr-lang with Argo's functions: what is asked of it beyond the recorded answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine.expressions import expr, printing
from pressplay.engine.expressions.errors import ExpressionError
from pressplay.engine.expressions.values import wrap

_NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


class _StandingClock:
    def now(self) -> datetime:
        return _NOON

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("asInt(lastRetry.exitCode) >= 2", True),
        ("lastRetry.exitCode == '3' || lastRetry.message contains 'victed'", True),
        ("inputs.parameters['base-sha'][:2]", "ab"),
        ("tasks['a-b'].outputs.parameters.z ?? 'none'", "none"),
        ("jsonpath(inputs.parameters.doc, '$.a[1].b')", 2.0),
        ("jsonpath(inputs.parameters.doc, '$.a[*].b')", [1.0, 2.0]),
        ("toJson(inputs.parameters.quoted)", '"say \\"hi\\"\\n"'),
        ("fromJSON(inputs.parameters.doc).a | map(.b) | sum()", 3.0),
        ("filter(fromJSON(inputs.parameters.doc).a, .b > 1)[0].b", 2.0),
    ],
)
def test_expressions_as_workflows_use_them(source: str, value: object) -> None:
    variables: dict[str, Any] = {
        "inputs": {
            "parameters": {
                "base-sha": "abcdef",
                "doc": '{"a": [{"b": 1}, {"b": 2}]}',
                "quoted": 'say "hi"\n',
            }
        },
        "lastRetry": {"exitCode": "3", "message": "Evicted"},
        "tasks": {"a-b": {"outputs": {"parameters": {}}}},
    }
    before = json.dumps(variables)
    assert expr.evaluate(source, variables) == value
    assert json.dumps(variables) == before


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("map([5, 6], #index)", [0, 1]),
        ("reduce([5, 6], #index + #acc)", 6),
        ("groupBy([{a: 'x'}], .a).x", [{"a": "x"}]),
        ("fromPairs([[1, 2]])[1]", 2),
        ("string(fromPairs([['a', 1]]))", "map[a:1]"),
        ("sprig.split('/', 'a')._0", "a"),
        ("sprig.split('/', 'a')._5", ""),
        ("sprig.toJson(fromPairs([['a', 1]]))", ""),
        ("sprig.merge({a: 1}, {b: nil})", {"a": 1}),
        ("sprig.sortAlpha(nil)", ["<nil>"]),
        ("sprig.int(' 12')", 0),
        ("sprig.toDecimal('1_0')", 0),
        ("1 in groupBy([1], #)", True),
        ("sprig.slice([1, 2, 3], '1', 2.0)", [2]),
        ("sprig.nospace('é b')", "\u00c3\u00a9b"),
    ],
)
def test_collections_and_sprig_do_as_go_does(source: str, value: object) -> None:
    assert expr.evaluate(source, {}) == value


@pytest.mark.parametrize(
    "source",
    [
        "filter([1], #index > 0)",
        "map([1], any([1], #index > 0))",
        "map([1], #acc)",
        "[1] | first().a",
        "'a,b' | split(',')[0]",
        "toJson(groupBy([1], #))",
        "sprig.get(fromPairs([['a', 1]]), 'a')",
        "sprig.keys(sprig.split('/', 'a'))",
        "sprig.addf(1, sprig.round(0.1, 400))",
        "jsonpath('{\"a\": 1}', '.a')",
        "jsonpath('{}', '$.a[*]')",
    ],
)
def test_what_go_refuses_is_refused_here_too(source: str) -> None:
    with pytest.raises(ExpressionError):
        expr.evaluate(source, {})


def test_now_asks_the_clock_that_was_handed_in() -> None:
    source = "now().Format('2006-01-02') + sprig.date(' 15:04', sprig.now())"
    assert expr.evaluate(source, {}, clock=_StandingClock()) == "2026-01-02 12:00"


@pytest.mark.parametrize(
    ("source", "position", "problem"),
    [
        ("1 + nobody", 4, "unknown name nobody"),
        ("1 + (2 * )", 9, "unexpected ')'"),
        ("a.b + shout('x')", 6, "unknown function shout"),
        ("1 + 'a'", 2, "invalid operation: int + string"),
        ("sprig.env('HOME')", 6, "sprig has no function env here"),
        ("upper('a', 'b')", 0, "upper takes 1 arguments, not 2"),
        ("'open", 0, "the string is not closed"),
        ("1 ? 2 : 3", 2, "must be true or false, not int"),
    ],
)
def test_an_error_names_the_expression_the_place_and_the_problem(
    source: str, position: int, problem: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        expr.evaluate(source, {"a": {"b": 1}})
    assert caught.value.position == position
    assert caught.value.problem == problem
    assert f"'{source}', character {position + 1}" in str(caught.value)
    assert isinstance(caught.value, Refused)


def test_a_long_expression_is_cut_short_in_its_error() -> None:
    with pytest.raises(ExpressionError) as caught:
        expr.evaluate("nobody + '" + "x" * 5000 + "'", {})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("source", ["'true'", "1", "nil"])
def test_a_condition_must_be_true_or_false(source: str) -> None:
    with pytest.raises(ExpressionError, match="must be true or false"):
        expr.evaluate_bool(source, {})


def test_a_condition_is_its_truth() -> None:
    assert expr.evaluate_bool("1 < 2", {}) is True


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("7 / 2", "3.5"),
        ("4 / 2", "2"),
        ("1000000.0", "1000000"),
        ("1e21", "1e+21"),
        ("'<a & \"b\">'", '<a & "b">'),
        ("['<']", '["\\u003c"]'),
        ("{b: 1, a: true}", '{"a":true,"b":1}'),
        ("date('2024-01-02')", "2024-01-02T00:00:00Z"),
        ("toJson('x')", '"x"'),
        ("nil", None),
    ],
)
def test_a_tag_prints_json_without_the_outer_quotes(source: str, text: str | None) -> None:
    assert expr.parse(source).evaluate_text({}) == text


def test_what_json_cannot_hold_is_refused_as_a_tag() -> None:
    with pytest.raises(ExpressionError, match="no JSON form"):
        expr.parse("1 / 0").evaluate_text({})


def test_functions_that_are_not_deterministic_answer_in_their_shape() -> None:
    assert str(expr.evaluate("sprig.randAlphaNum(8)", {})).isalnum()
    assert expr.evaluate("len(sprig.uuidv4())", {}) == 36
    assert expr.evaluate("sprig.randInt(3, 4)", {}) == 3


_WORDS = (
    "1 2.5 'a' \"b\" `c` x y.z ( ) [ ] { } , : ; . ?. ?? ? + - * / % ** .. | || && ! not in and "
    "== < matches contains let if else # .a nil true len( map( filter( reduce( sprig. trim( = "
    "0x 1e \\ $env :: // /* */ toJSON( now() duration('1h') ^"
)
_PIECES = st.sampled_from(_WORDS.split(" "))


@given(st.text(max_size=80) | st.lists(_PIECES, max_size=14).map(" ".join))
def test_no_text_breaks_the_language(text: str) -> None:
    variables: dict[str, object] = {"x": "1", "y": {"z": [1, "a"]}}
    try:
        value = expr.evaluate(text, variables)
    except ExpressionError as error:
        assert 0 <= error.position <= len(text)
        assert error.problem
    else:
        assert isinstance(printing.to_text(value), str)


class _Arithmetic:
    """A tree of numbers: how it is written down, and what Python makes of it."""

    def __init__(self, source: str, value: float) -> None:
        self.source = source
        self.value = value

    def __repr__(self) -> str:
        return self.source


def _quotient(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)


_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _quotient,
}


def _combined(left: _Arithmetic, sign: str, right: _Arithmetic) -> _Arithmetic:
    value = _OPERATIONS[sign](left.value, right.value)
    return _Arithmetic(
        f"({left.source} {sign} {right.source})", wrap(value) if isinstance(value, int) else value
    )


_NUMBERS = st.integers(0, 2**63 - 1) | st.floats(0, 1e12, allow_nan=False)
_TREES = st.recursive(
    _NUMBERS.map(lambda number: _Arithmetic(repr(number), number)),
    lambda each: (
        st.builds(_combined, each, st.sampled_from(list(_OPERATIONS)), each)
        | each.map(lambda inner: _Arithmetic(f"-{inner.source}", -inner.value))
    ),
    max_leaves=12,
)


@given(_TREES)
def test_arithmetic_agrees_with_pythons_in_64_bits(tree: _Arithmetic) -> None:
    value = expr.evaluate(tree.source, {})
    assert value == tree.value or (
        isinstance(value, float) and math.isnan(value) and math.isnan(tree.value)
    )
    assert isinstance(value, float) == isinstance(tree.value, float)


_BOOLEANS = st.recursive(
    st.sampled_from(["true", "false"]),
    lambda each: (
        st.builds("({} and {})".format, each, each)
        | st.builds("({} or {})".format, each, each)
        | st.builds("(not {})".format, each)
        | st.builds("({} == {})".format, each, each)
    ),
    max_leaves=12,
)


@given(_BOOLEANS)
def test_logic_agrees_with_pythons(source: str) -> None:
    python = source.replace("true", "True").replace("false", "False")
    assert expr.evaluate(source, {}) is eval(python)  # noqa: S307 - our own words


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(), each, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_goes_through_unharmed(value: object) -> None:
    assert expr.evaluate("fromJSON(toJSON(x)) == fromJSON(toJson(x))", {"x": value}) is True
    text = str(expr.evaluate("toJson(x)", {"x": value}))
    assert json.loads(text, parse_int=float) == value


@given(st.text())
def test_a_text_is_printed_as_it_is(text: str) -> None:
    assert expr.parse("x").evaluate_text({"x": text}) == text
