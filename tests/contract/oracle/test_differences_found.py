"""What the searches have found once, kept as it was found: the oracle and we agree on each."""

from __future__ import annotations

import pytest
from tests.contract.oracle.conftest import Oracle, Question

from pressplay.base.errors import Refused
from pressplay.engine import conditions, resolving
from pressplay.engine.expressions import expr, govaluate

_OBJECT = {"a": [1, 2], "m": {"b": 1, "a": 2}, "none": None}
_VARIABLES = {"v": {"l": [1.0, 2.0], "o": [{"a": 1.0, "b": "x"}], "n": None}, "j": '{"a": [1]}'}


def _ours(question: Question) -> object:
    match question.dialect:
        case "tags":
            return resolving.substitute_text(question.expression, question.input)
        case "jsonpath":
            return conditions.json_path(question.input, question.expression)
        case "condition":
            read = conditions.Condition.parse(question.expression)
            return [read.holds(question.input), read.holds(question.input, any_of=True)]
        case "govaluate":
            return govaluate.evaluate(question.expression)
        case _:
            return expr.evaluate(question.expression, question.input)


@pytest.mark.parametrize(
    "expression",
    [
        # Only map and reduce know the index.
        "map(v.l, #index)", "filter(v.l, #index > 0)", "count(v.l, #acc > 0)",
        "map(v.l, any(v.l, #index > 0))", "reduce(v.l, #index + #acc)",
        # Nothing follows a call behind a pipe but another pipe.
        "v.o | first().a", "(v.o | first()).a", "'a,b' | split(',')[0]", "v.l | map(#) | len()",
        # A map of these two has keys of any kind, and so no JSON form.
        "toJson(groupBy(v.o, .b))", "groupBy(v.o, .b).x", "1 in groupBy([1], #)",
        "toJson(fromPairs([['a', 1]]))",
        "fromPairs([[1, 2]])[1]", "fromPairs([['a', 1]]).a", "sprig.toJson(fromPairs([['a', 1]]))",
        "sprig.get(fromPairs([['a', 1]]), 'a')",
        # A map of texts has an empty text where nothing is.
        "sprig.split('/', 'a/b')._1", "sprig.split('/', 'a/b')._5",
        "sprig.splitn('/', 1, 'a/b')._9",
        "sprig.dig('_0', 'none', sprig.split('/', 'a'))",
        "sprig.merge({a: 1}, {b: nil, c: ''})", "sprig.mergeOverwrite({a: 1}, {a: nil})",
        "sprig.sortAlpha(v.n)", "sprig.sortAlpha('b')", "sprig.slice([], 3)", "sprig.slice([1], 3)",
        "sprig.slice([1, 2, 3], 1.0)", "sprig.slice([1, 2, 3], '1', 2)", "sprig.slice([1, 2])",
        "sprig.nospace('é → x')", "sprig.nospace('é→x')", "sprig.initials('é b')",
        "sprig.int(' 12')", "sprig.int('1_0')", "sprig.int('٣')", "sprig.atoi('٣')",
        "sprig.toDecimal(' 17')", "sprig.toDecimal('1_0')", "sprig.toDecimal('0o17')",
        "sprig.trimall('-', '-a-')", "sprig.toJson(1/0)", "sprig.addf(1, sprig.round(0.1, 400))",
        "jsonpath(j, 'a')", "jsonpath(j, '.a')", "jsonpath(j, '$.b[*]')", "jsonpath(j, '$.a[1:]')",
        "jsonpath(j, '$.a.0')", "jsonpath(j, '$[1:]')",
        "jsonpath('{\"b\": 1, \"a\": 2}', '$.*')",
    ],
)  # fmt: skip
def test_an_expression(oracle: Oracle, expression: str) -> None:
    assert not oracle.disagreement(Question("expr", expression, _VARIABLES), _ours)


@pytest.mark.parametrize(
    "text",
    [
        "{{ x{{a}}", "{{ x{{ a }}", "{{ x{{=1 + 1}}", "{{{a}}", "{{=nil}}", "{{=b ?? nil}}",
        "{{=groupBy([1], #)}}", "{{= a }}", "{{=1/0}}",
    ],
)  # fmt: skip
def test_a_tag(oracle: Oracle, text: str) -> None:
    assert not oracle.disagreement(Question("tags", text, {"a": "x"}), _ours)


@pytest.mark.parametrize(
    "question",
    [
        Question("jsonpath", "{.none}", _OBJECT),
        Question("condition", "a.0 > -1", _OBJECT),
        Question("condition", "a.0 in (a b, 1)", _OBJECT),
        Question("condition", "a.0 == _x", _OBJECT),
        Question("condition", "a.0 in (1, 3), m.b != 1", _OBJECT),
    ],
)
def test_a_look_into_a_resource(oracle: Oracle, question: Question) -> None:
    assert not oracle.disagreement(question, _ours)


@pytest.mark.parametrize("path", ["{.zz}", ".a", "{.a.0}"])
def test_a_path_that_kubectl_prints_nothing_or_itself_for_is_refused(
    oracle: Oracle, path: str
) -> None:
    asked = Question("jsonpath", path, _OBJECT)
    assert oracle.ask(asked).value in ("", path)
    with pytest.raises(Refused):
        _ours(asked)


def test_a_find_from_the_end_is_right_where_expr_leaves_a_value_behind(oracle: Oracle) -> None:
    """expr 1.17.8 keeps the predicate's answer, so that what stands before it is lost."""
    asked = Question("expr", "7 - findLast([1, 2], # > 0)", {})
    assert "bool" in oracle.ask(asked).error
    assert _ours(asked) == 5
