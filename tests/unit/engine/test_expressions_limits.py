"""No expression holds up the engine or fills its memory."""

from __future__ import annotations

import time

import pytest

from pressplay.engine.expressions import expr, govaluate
from pressplay.engine.expressions.errors import ExpressionError


def _doubled(first: str, again: str, last: str, *, times: int = 60) -> str:
    steps = "".join(f"let x{n + 1} = {again.replace('_', f'x{n}')}; " for n in range(times))
    return f"let x0 = {first}; {steps}{last.replace('_', f'x{times}')}"


_HOSTILE = {
    "loops in loops": "map(1..1000000, map(1..1000000, #))",
    "a range without end": "1..9223372036854775807",
    "a string doubled": _doubled("'x'", "_ + _", "len(_)"),
    "a list doubled": _doubled("[1]", "[_, _]", "toJSON(_)"),
    "lists compared": _doubled("[1]", "[_, _]", "_ == _"),
    "lists joined": _doubled("[1]", "concat(_, _)", "len(_)"),
    "an accumulator doubled": "reduce(1..60, #acc + #acc, 'x')",
    "repeat": "repeat('a', 1000000000)",
    "replace": "replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
    "join": "join(map(1..100000, 'x'), repeat('y', 1000000))",
    "until": "sprig.until(1000000000)",
    "seq": "sprig.seq(1, 1000000000)",
    "indent": "sprig.indent(1000000000, 'a')",
    "random letters": "sprig.randAlphaNum(1000000000)",
    "a search": "repeat('a', 1000000) matches '(a|aa)*b'",
    "a replacement": "sprig.regexReplaceAll('a', repeat('a', 100000), repeat('b', 10000))",
    "a pattern": "'a' matches '((a{100}){100}){100}'",
    "parentheses": "(" * 20000 + "1" + ")" * 20000,
    "exclamation marks": "!" * 9000 + "true",
    "a long sum": "+".join(["1"] * 4500),
    "many members": "e" + ".b" * 4500,
    "many ternaries": "true ? " * 4000 + "1" + " : 2" * 4000,
    "deep JSON": "fromJSON(repeat('[', 100000) + repeat(']', 100000))",
    "a long number": "1" * 100000,
    "a long path": "jsonpath('[' + join(map(1..100000, '[[1]]'), ',') + ']', '$..*..*')",
    "a long source": "'" + "x" * 300000 + "'",
}


@pytest.mark.parametrize("source", _HOSTILE.values(), ids=_HOSTILE.keys())
def test_a_hostile_expression_ends_soon_with_an_error(source: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ExpressionError):
        expr.evaluate(source, {"e": {}})
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "source",
    [
        "(" * 10000,
        "a in (" + "a," * 20000 + "b)",
        "1 + " * 20000 + "1",
        "!(" * 4000 + "true" + ")" * 4000,
        "'" + "a" * 300000 + "' == a",
    ],
)
def test_a_hostile_condition_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        govaluate.evaluate_bool(source)


def test_a_large_but_honest_value_is_no_problem() -> None:
    document = expr.evaluate("toJson(map(1..10000, ({'number': #, 'text': 'some text'})))", {})
    assert expr.evaluate("len(fromJSON(x))", {"x": document}) == 10000


def test_a_small_expression_is_quick_once_it_is_known() -> None:
    variables = {"lastRetry": {"exitCode": "3", "message": "gone"}}
    source = "asInt(lastRetry.exitCode) >= 2 && lastRetry.message != ''"
    expr.evaluate(source, variables)
    started = time.perf_counter()
    for _ in range(1000):
        expr.evaluate(source, variables)
    # 30 µs each on a quiet machine are asked for; this only catches a loss of the cache.
    assert time.perf_counter() - started < 0.5
