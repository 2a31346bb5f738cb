"""Foreign YAML becomes the values that it seems to say, or is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base import yaml_documents
from pressplay.base.errors import Refused


def read(text: str) -> object:
    return yaml_documents.read_yaml(text, source="it")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on: yes", {"on": "yes"}),
        ("12:30:45", "12:30:45"),
        ("2026-01-02", "2026-01-02"),
        ("0o17", "0o17"),
        ("017", 17),
        ("1_000", "1_000"),
        ("-3", -3),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        (".nan", ".nan"),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ('""', ""),
        ("a: [1, {b: c}]\nd: |\n  text\n", {"a": [1, {"b": "c"}], "d": "text\n"}),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text("abc \"'\\:{}\n#é"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc:- "), inner),
        max_leaves=15,
    )
)
def test_json_is_read_as_itself(value: object) -> None:
    assert read(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: &x 1\nb: *x", "line 1: anchors and aliases"),
        ("a:\n  - *x", "line 2: anchors and aliases"),
        ("a: 1\na: 2", "line 2: the key 'a' is given twice"),
        ("!!python/object:os.system x", "the tag"),
        ("a: !custom 1", "the tag"),
        ("1: a", "key '1' is no text"),
        ("? [a]\n: b", "is no text"),
        ("a: 1\n---\nb: 2", "several documents"),
        ("[" * 60_000, "nesting deeper than 64"),
        ("{a: " * 60_000, "nesting deeper than 64"),
        ("a: [", "is not YAML"),
        ("a\x00b", "is not YAML"),
        ("a: \ud800", "is not YAML"),
    ],
)
def test_what_could_mean_two_things_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        read(text)


@given(st.text(max_size=300) | st.text("[]{}&*!-?:, \n#'\"|>%@`a1", max_size=120))
def test_text_from_anywhere_is_read_or_refused(text: str) -> None:
    said = "it"
    try:
        json.dumps(read(text), allow_nan=False)
    except Refused as error:
        said = str(error)
    assert said.startswith("it")
