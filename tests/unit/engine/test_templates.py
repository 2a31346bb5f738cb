"""Argo templates as typed values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import nodes, templates

_BODY: dict[str, Any] = {"name": "t", "container": {"image": "x", "command": ["true"]}}


@pytest.mark.parametrize(
    "extra",
    [
        {"daemon": True},
        {"memoize": {"key": "k"}},
        {"parallelism": 2},
        {"suspend": {}},
    ],
)
def test_what_the_engine_does_not_run_is_refused_by_name(extra: dict[str, Any]) -> None:
    name = next(iter(extra))
    with pytest.raises(Refused, match=f"{name}.*docs/roadmap.md|exactly one of"):
        templates.parse_template({**_BODY, **extra}, where="templates.t")


def test_a_template_has_one_body() -> None:
    with pytest.raises(Refused, match="exactly one of"):
        templates.parse_template({"name": "t"}, where="templates.t")


def test_a_loop_over_items_is_refused_and_not_run_once() -> None:
    raw = {"name": "t", "steps": [[{"name": "a", "template": "b", "withItems": [1, 2]}]]}
    with pytest.raises(Refused, match=r"templates\.t\.a: withItems"):
        templates.parse_template(raw, where="templates.t")


def test_dependencies_are_read_as_depends() -> None:
    raw = {
        "name": "t",
        "dag": {"tasks": [{"name": "c", "template": "x", "dependencies": ["a-1", "b"]}]},
    }
    assert templates.parse_template(raw, where="t").tasks[0].depends == "a-1 && b"


def test_a_retry_with_an_expression_tries_after_any_failure() -> None:
    raw = {**_BODY, "retryStrategy": {"limit": "3", "expression": "true"}}
    retry = templates.parse_template(raw, where="t").retry
    assert retry is not None
    assert (retry.limit, retry.policy) == (3, "Always")


def test_booleans_and_numbers_of_parameters_become_text_as_argo_prints_them() -> None:
    found = templates.parse_bindings(
        {"parameters": [{"name": "a", "value": True}, {"name": "b", "value": 3}]}
    )
    assert [each.value for each in found.parameters] == ["true", "3"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5m", 90)]
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert templates.duration_s(text, where="w") == seconds


@given(st.text(max_size=8))
def test_any_other_duration_is_refused(text: str) -> None:
    try:
        assert templates.duration_s(text, where="w") is not None
    except Refused as error:
        assert "is no duration" in str(error)


def test_backoff_grows_up_to_its_cap() -> None:
    backoff = templates.Backoff(duration_s=1, factor=2, cap_s=5)
    assert [backoff.delay_s(tries) for tries in (1, 2, 3, 4)] == [1, 2, 4, 5]


def test_node_ids_are_argos() -> None:
    # The root's id is the workflow's name; others carry the FNV-1a hash of their full name.
    assert nodes.node_id("wf", "wf") == "wf"
    assert nodes.node_id("hello", "hello[0].a").startswith("hello-")
    assert nodes.node_id("hello", "hello[0].a") != nodes.node_id("hello", "hello[0].b")
