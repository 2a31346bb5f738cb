"""The Claude Code CLI's lines, as they are and as they should not be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.agents import claude_events
from pressplay.stages.agents.claude_events import (
    Begun,
    Called,
    Declined,
    Ended,
    Event,
    Plain,
    Reader,
    Retried,
    Said,
)

BEGUN = {
    "type": "system",
    "subtype": "init",
    "session_id": "s-1",
    "tools": ["Bash", "Edit"],
    "mcp_servers": [{"name": "evil", "status": "failed"}],
    "model": "claude-opus-4-8[1m]",
    "claude_code_version": "2.1.197",
}
ENDED = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "api_error_status": None,
    "num_turns": 5,
    "result": "All done.",
    "session_id": "s-1",
    "total_cost_usd": 0.007,
    "usage": {"input_tokens": 400, "output_tokens": 200, "cache_read_input_tokens": 7},
    "modelUsage": {"claude-opus-4-8[1m]": {}},
    "permission_denials": [{"tool_name": "WebFetch"}],
}


def _read(value: Any) -> list[Event]:
    return list(claude_events.parse(json.dumps(value).encode()))


def _message(kind: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "message": {"content": list(blocks)}}


def test_the_first_line_says_who_works_with_what() -> None:
    assert _read(BEGUN) == [
        Begun("2.1.197", "claude-opus-4-8[1m]", "s-1", ("Bash", "Edit"), ("evil",))
    ]


def test_texts_and_tools_of_the_model_are_told_in_their_order() -> None:
    blocks = (
        {"type": "text", "text": " I look. \n"},
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "name": "Bash", "input": {"description": "x", "command": "ls -l"}},
        {"type": "tool_use", "name": "Task", "input": {"odd": 1, "more": 2}},
        {"type": "text", "text": "  "},
    )
    assert _read(_message("assistant", *blocks)) == [
        Said("I look."),
        Called("Bash", "ls -l"),
        Called("Task", "odd, more"),
    ]


def test_only_failed_results_of_tools_are_told() -> None:
    good = {"type": "tool_result", "content": "fine", "is_error": False}
    bad = {"type": "tool_result", "content": [{"type": "text", "text": "no"}], "is_error": True}
    assert _read(_message("user", good, bad)) == [Declined("no")]


def test_a_retry_says_which_and_why() -> None:
    line = {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10}
    assert _read({**line, "error_status": 529, "error": "overloaded"}) == [
        Retried(1, 10, 529, "overloaded")
    ]
    assert _read({**line, "error_status": None, "error": "unknown"}) == [
        Retried(1, 10, 0, "unknown")
    ]


def test_the_result_carries_cost_usage_and_session() -> None:
    (ended,) = _read(ENDED)
    assert isinstance(ended, Ended)
    assert (ended.subtype, ended.is_error, ended.turns, ended.usd) == ("success", False, 5, 0.007)
    assert ended.usage == {"input": 400, "output": 200, "cache_write": 0, "cache_read": 7}
    assert (ended.session, ended.models) == ("s-1", ("claude-opus-4-8[1m]",))
    assert ended.denied == ("WebFetch",)


def test_a_result_that_does_not_say_that_it_is_well_is_an_error() -> None:
    (ended,) = _read({"type": "result", "subtype": "success", "total_cost_usd": "NaN"})
    assert isinstance(ended, Ended)
    assert ended.is_error
    assert ended.usd == 0.0


def test_costs_that_are_no_amounts_count_as_nothing() -> None:
    for odd in ("NaN", "-1", "1e999", "true"):
        line = b'{"type": "result", "total_cost_usd": ' + odd.encode() + b"}"
        (ended,) = claude_events.parse(line)
        assert isinstance(ended, Ended)
        assert ended.usd == 0.0


def test_kinds_of_a_newer_version_are_passed_over() -> None:
    assert _read({"type": "rate_limit_event"}) == []
    assert _read({"type": "system", "subtype": "novelty"}) == []
    assert _read(_message("assistant", {"type": "novelty"})) == []


def test_what_is_no_json_object_is_a_plain_line() -> None:
    assert list(claude_events.parse(b"Warning: x")) == [Plain("Warning: x")]
    assert list(claude_events.parse(b'{"type": ')) == [Plain('{"type":')]
    assert list(claude_events.parse(b"[1]")) == [Plain("[1]")]
    assert next(claude_events.parse(b"{" * 100_000)) == Plain("{" * 100_000)
    assert list(claude_events.parse(b"  ")) == []


def test_a_line_that_never_ends_is_skipped_and_the_next_one_read() -> None:
    reader = Reader()
    piece = b"x" * (4 * 1024 * 1024)
    found: list[Event] = []
    for _ in range(10):
        found += reader.feed(piece)
    found += reader.feed(b"\n" + json.dumps(BEGUN).encode() + b"\n")
    assert [type(each) for each in found] == [Begun]


@given(st.data())
def test_events_do_not_depend_on_where_the_output_was_cut(data: st.DataObject) -> None:
    lines = [BEGUN, _message("assistant", {"type": "text", "text": "ü\u2028"}), ENDED]
    text = b"\n".join(json.dumps(each, ensure_ascii=False).encode() for each in lines)
    reader, found = Reader(), list[Event]()
    rest = text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += reader.feed(rest[:size])
        rest = rest[size:]
    found += reader.close()
    assert found == [event for each in lines for event in _read(each)]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_KNOWN = st.sampled_from(
    ["message", "content", "usage", "modelUsage", "tools", "mcp_servers", "errors", "input", "text"]
)


@given(
    kind=st.sampled_from(["system", "assistant", "user", "result"]),
    subtype=st.sampled_from(["init", "api_retry", "success", ""]),
    rest=st.dictionaries(_KNOWN, _JSON),
)
def test_no_shape_of_a_line_is_too_odd(kind: str, subtype: str, rest: dict[str, Any]) -> None:
    value = {"type": kind, "subtype": subtype, **rest}
    assert all(not isinstance(event, Plain) for event in _read(value))


@given(st.binary())
def test_no_output_is_too_odd(output: bytes) -> None:
    reader = Reader()
    events = [*reader.feed(output), *reader.close()]
    assert len(events) <= output.count(b"\n") + 1
