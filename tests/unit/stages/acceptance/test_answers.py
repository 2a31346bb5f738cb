"""One answer is good only by its status and, where asked, by what its body holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api.policy import Absent, BodyCheck, Endpoint
from pressplay.stages.acceptance import answers

BODY = json.dumps(
    {"id": 7, "name": "Ada L.", "ok": True, "none": None, "list": [1, {"a b": [0, "x"]}], "f": 1.0}
).encode()


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        (BodyCheck("$"), ""),
        (BodyCheck("$.id"), ""),
        (BodyCheck("$.id", equals=7), ""),
        (BodyCheck("$.id", equals=7.0), ""),
        (BodyCheck("$.f", equals=1), ""),
        (BodyCheck("$.id", equals="7"), "body: another value at $.id"),
        (BodyCheck("$.ok", equals=True), ""),
        (BodyCheck("$.ok", equals=1), "body: another value at $.ok"),
        (BodyCheck("$.none"), ""),
        (BodyCheck("$.none", equals=None), ""),
        (BodyCheck("$.none", equals=False), "body: another value at $.none"),
        (BodyCheck("$.list[1]['a b'][1]", equals="x"), ""),
        (BodyCheck("$.list", equals=[1, {"a b": [0, "x"]}]), ""),
        (BodyCheck("$.list", equals=[1, {"a b": [False, "x"]}]), "body: another value at $.list"),
        (BodyCheck("$.list[9]"), "body: nothing at $.list[9]"),
        (BodyCheck("$.list.a"), "body: nothing at $.list.a"),
        (BodyCheck("$.id.deeper"), "body: nothing at $.id.deeper"),
        (BodyCheck("$[0]"), "body: nothing at $[0]"),
        (BodyCheck("$.name", contains="Ada"), ""),
        (BodyCheck("$.name", contains="Bob"), "body: the wanted text is not at $.name"),
        (BodyCheck("$.id", contains="7"), "body: the wanted text is not at $.id"),
    ],
)
def test_a_body_is_checked_as_the_policy_says(check: BodyCheck, complaint: str) -> None:
    assert answers.complaint(Endpoint("/", body=check), status=200, body=BODY) == complaint


def test_the_status_comes_before_the_body() -> None:
    endpoint = Endpoint("/", expect=(200, 201), body=BodyCheck("$.id"))
    assert answers.complaint(endpoint, status=404, body=b"") == "status 404, expected 200 or 201"
    assert answers.complaint(endpoint, status=201, body=BODY) == ""


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 5000, b'{"id": NaN}'])
def test_a_body_that_is_no_json_is_no_good_answer(body: bytes) -> None:
    endpoint = Endpoint("/", body=BodyCheck("$"))
    assert answers.complaint(endpoint, status=200, body=body) == "body: not JSON"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
        max_leaves=8,
    )
)
def test_every_value_is_the_same_as_itself_and_found_at_the_root(value: object) -> None:
    assert answers.is_same(value, json.loads(json.dumps(value)))
    assert answers.find(value, "$") == value
    assert answers.find({"a": [value]}, "$.a[0]") == value
    assert answers.find(value, "$.zz") is Absent.ABSENT
