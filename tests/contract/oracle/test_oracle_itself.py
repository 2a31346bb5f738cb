"""The oracle answers in every dialect; fixed questions whose answers are known otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.oracle.conftest import Oracle, Question

_CRON = {"zone": "Europe/Berlin", "after": "2026-03-28T12:00:00Z", "count": 2}


@pytest.mark.parametrize(
    ("question", "value"),
    [
        (Question("expr", "a + 1", {"a": 2}), 3.0),
        (Question("expr", "[nil, {a: 1}, toJson(a)]", {"a": "x"}), [None, {"a": 1}, '"x"']),
        (Question("govaluate", "foo == foo && 1 < 2"), True),
        (Question("tags", "{{a}} {{=a + 'x'}} {{b}}", {"a": "é\n"}), "é\n é\nx {{b}}"),
        (Question("condition", "a.b in (x, y), !c", {"a": {"b": "y"}}), [True, True]),
        (Question("jsonpath", "{.a[1]}!", {"a": [1, {"b": 2}]}), '{"b":2}!'),
        (Question("gjson", "a.#.b", {"a": [{"b": 1}, {"b": "x"}]}), ['[1,"x"]', '[1,"x"]']),
        (Question("gjson", "zz", {}), None),
        (Question("gojq", ".a[] | . + 1", {"a": [1, 2]}), ["2", "3"]),
        (Question("regexp", "(é)|b", "aéb"), [[1, 2, 1, 2], [2, 3, -1, -1]]),
        # The clocks go forward in the night between the two.
        (
            Question("cron", "0 6 * * *", more=_CRON),
            ["2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"],
        ),
    ],
)
def test_a_value_is_answered(oracle: Oracle, question: Question, value: Any) -> None:
    answer = oracle.ask(question)
    assert (answer.value, answer.error) == (value, "")


@pytest.mark.parametrize(
    ("question", "stage"),
    [
        (Question("expr", "1 +"), "parse"),
        (Question("expr", "fromJSON(a)", {"a": "x"}), "run"),
        (Question("tags", "{{a}}", {}, {"strict": True}), "run"),
        (Question("cron", "60 * * * *", more=_CRON), "parse"),
        (Question("gojq", ".a", [1]), "run"),
        (Question("condition", "a ==== b", {}), "parse"),
    ],
)
def test_a_refusal_is_told_with_its_stage(oracle: Oracle, question: Question, stage: str) -> None:
    answer = oracle.ask(question)
    assert answer.error
    assert answer.stage == stage
