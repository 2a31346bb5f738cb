"""What expr 1.17.8, sprig 3.3, govaluate and Go's regexp answered to the same questions.

The files were recorded from those programs: a line is a question and its answer. A number in the
variables is a float there, as everything that comes out of JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pressplay.engine.expressions import expr, govaluate, printing, regex
from pressplay.engine.expressions.errors import ExpressionError, Fault
from pressplay.engine.expressions.limits import Budget

_FOLDER = Path(__file__).parent / "golden"
_VARIABLES: dict[str, Any] = {
    "v": {"n": None, "s": "abc", "i": 3.0, "l": [1.0, 2.0], "m": {"a": 1.0}},
    "t": "true",
}


def _lines(name: str) -> list[dict[str, Any]]:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


_EXPRESSIONS = _lines("expressions.jsonl")
_ANSWERED = [line for line in _EXPRESSIONS if "refused" not in line]
_REFUSED = [line for line in _EXPRESSIONS if "refused" in line]
_PATTERNS = _lines("regular_expressions.jsonl")


def _evaluate(line: dict[str, Any]) -> object:
    if line["language"] == "govaluate":
        return govaluate.evaluate(line["source"])
    return expr.evaluate(line["source"], _VARIABLES)


@pytest.mark.parametrize("line", _ANSWERED, ids=[line["source"] for line in _ANSWERED])
def test_the_value_is_the_one_that_go_printed(line: dict[str, Any]) -> None:
    value = _evaluate(line)
    assert printing.to_text(value) == line["text"]
    if "value" in line:
        assert json.loads(printing.to_json(value)) == line["value"]


@pytest.mark.parametrize("line", _REFUSED, ids=[line["source"] for line in _REFUSED])
def test_what_go_refused_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError):
        _evaluate(line)


@pytest.mark.parametrize("line", _PATTERNS, ids=[line["pattern"] for line in _PATTERNS])
def test_a_regular_expression_matches_where_go_matches(line: dict[str, Any]) -> None:
    if line.get("refused"):
        with pytest.raises(Fault, match="regular expression"):
            regex.compile_pattern(line["pattern"])
        return
    pattern = regex.compile_pattern(line["pattern"])
    found = pattern.find_groups(line["text"], budget=Budget())
    assert [list(places) for places in found] == line["matches"]
