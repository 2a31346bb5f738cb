"""Foreign JSON becomes plain values, or is refused in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base import documents
from pressplay.base.errors import Refused

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_whatever_json_can_say_is_read_as_it_is(value: object) -> None:
    assert documents.read_json(json.dumps(value), source="it") == value
    assert documents.read_json(documents.canonical_json(value), source="it") == value


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_bytes_from_anywhere_are_read_or_refused(data: bytes | str) -> None:
    said = "it"
    try:
        documents.canonical_json(documents.read_json(data, source="it"))
    except Refused as error:
        said = str(error)
    assert said.startswith("it")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ("[NaN]", "NaN is not a JSON number"),
        ("[1e999]", "too large"),
        ('"\\ud800"', "half a character"),
        ('{"\\ud800": 1}', "half a character"),
        ("[" * 70 + "]" * 70, "nested deeper than 64"),
        ("[" * 100_000, "not plain JSON"),
        ("9" * 5000, "not plain JSON"),
        ("", "not plain JSON"),
    ],
)
def test_what_other_readers_let_through_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        documents.read_json(text, source="it")


def test_values_that_json_cannot_say_are_refused() -> None:
    for value in ({1: "a"}, [b"x"], [{1, 2}], float("inf")):
        with pytest.raises(Refused):
            documents.check_plain(value, source="it")


def test_the_canonical_form_does_not_depend_on_the_order_of_keys() -> None:
    one = documents.canonical_json({"b": [1, "é"], "a": None})
    assert one == documents.canonical_json({"a": None, "b": [1, "é"]})
    assert one == '{"a":null,"b":[1,"é"]}\n'.encode()
