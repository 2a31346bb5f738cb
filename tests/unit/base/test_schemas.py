"""A value that does not fit gets a message that says what would."""

from __future__ import annotations

import pytest

from pressplay.base import schemas
from pressplay.base.errors import Refused

SCHEMA = schemas.Schema(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "load": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"rate": {"maximum": 9, "description": "up to 9"}, "samples": {}},
            },
            "parts": {"type": "array", "items": {"type": "integer"}},
        },
    }
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "a", "lod": {}}, "unknown key 'lod'; did you mean 'load'?"),
        ({"name": "a", "zzz": {}}, "unknown key 'zzz'; known: load, name, parts"),
        (
            {"name": "a", "load": {"sample": 1}},
            "load: unknown key 'sample'; did you mean 'samples'?",
        ),
        ({"name": "a", "load": {"rate": 10}}, "load.rate: 10 does not fit; expected: up to 9"),
        ({}, "the key 'name' is missing"),
        ({"name": "a", "parts": [1, "x"]}, 'parts[1]: "x" is not of type "integer"'),
    ],
)
def test_each_problem_names_its_place_and_what_would_fit(value: object, message: str) -> None:
    assert [str(problem) for problem in SCHEMA.problems(value)] == [message]
    with pytest.raises(Refused) as refused:
        SCHEMA.check(value, source="it")
    assert str(refused.value) == f"it: {message}"


def test_many_problems_are_cut_to_five_and_a_count() -> None:
    with pytest.raises(Refused, match=r"and 3 more$"):
        SCHEMA.check({"name": "a"} | {f"k{i}": 1 for i in range(8)}, source="it")


def test_a_long_value_is_not_repeated_in_full() -> None:
    with pytest.raises(Refused) as refused:
        SCHEMA.check({"name": "a", "load": {"rate": 10, "x" * 5000: 1}}, source="it")
    assert len(str(refused.value)) < 400


def test_a_value_that_fits_has_no_problems() -> None:
    SCHEMA.check({"name": "a", "load": {"rate": 3}, "parts": [1]}, source="it")
    assert SCHEMA.problems({"name": "a"}) == ()
