from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.relays import prices, requests
from pressplay.stages.relays.heads import BadRequest
from pressplay.stages.relays.ledger import SHORTEST

PRICES = prices.parse('{"models": {"m": {"input": 1, "output": 5}}}')


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 100, "messages": [], **fields}


def said(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


def read(**fields: Any) -> dict[str, Any]:
    return requests.read(json.dumps(request(**fields)).encode())


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "mine", "input_schema": {"type": "object"}},
        {"type": "custom", "name": "mine", "input_schema": {}},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "edit"},
        {"type": "memory_20250818", "name": "memory"},
    ],
)
def test_tools_of_the_client_are_let_through(tool: dict[str, Any]) -> None:
    assert read(tools=[tool])["tools"] == [tool]


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_20250305",
        "web_fetch_20250910",
        "code_execution_20250825",
        "mcp_toolset",
        "anything_new",
        "",
        7,
        ["custom"],
        {"a": 1},
    ],
)
def test_tools_of_the_service_would_reach_past_the_sandbox(kind: object) -> None:
    with pytest.raises(BadRequest, match="outside of the sandbox"):
        read(tools=[{"type": kind, "name": "x"}])


@pytest.mark.parametrize(
    "fields",
    [
        {"mcp_servers": [{"type": "url", "url": "https://evil.example"}]},
        {"container": {"id": "x"}},
        {"container": "x"},
        {"speed": "fast"},
    ],
)
def test_what_runs_elsewhere_or_has_no_known_price_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read(**fields)


PICTURE = {"type": "image", "source": {"type": "url", "url": "https://evil.example/?secret"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": said(PICTURE)},
        {"messages": said({"type": "document", "source": PICTURE["source"]})},
        {"messages": said({"type": "tool_result", "content": [PICTURE]})},
        {
            "messages": said(
                {"type": "document", "source": {"type": "content", "content": [PICTURE]}}
            )
        },
        {"system": [PICTURE]},
    ],
)
def test_the_service_is_not_sent_to_an_address(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="may not fetch"):
        read(**fields)


def test_an_address_in_the_use_of_a_tool_is_only_text() -> None:
    use = {"type": "tool_use", "name": "x", "input": {"source": {"type": "url", "url": "u"}}}
    assert read(messages=said(use))["messages"][0]["content"] == [use]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": ""},
        {"model": None},
        {"model": 7},
        {"max_tokens": 0},
        {"max_tokens": -1},
        {"max_tokens": 1.5},
        {"max_tokens": True},
        {"max_tokens": "9"},
        {"max_tokens": 10**9},
    ],
)
def test_a_call_without_a_model_or_an_end_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        requests.asked(request(**fields), PRICES)


def test_the_worst_case_holds_the_prompt_and_the_longest_answer() -> None:
    found = requests.asked(request(max_tokens=5000, system="x" * 3000), PRICES)
    assert found.worst(found.longest).output == 5000
    assert 1000 < found.prompt.input < 3000
    assert found.shortest == SHORTEST


def test_a_prompt_that_goes_into_the_cache_is_put_aside_at_its_price() -> None:
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert requests.asked(request(system=[block]), PRICES).prompt.write_5m > 0
    block["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    assert requests.asked(request(system=[block]), PRICES).prompt.write_1h > 0
    quoted = {"type": "text", "text": '"cache_control" "1h"'}
    assert requests.asked(request(system=[quoted]), PRICES).prompt.input > 0


def test_a_picture_counts_by_itself_and_not_by_its_bytes() -> None:
    data = base64.b64encode(b"x" * 3_000_000).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    tokens = requests.prompt_tokens(request(messages=said({"type": "image", "source": source})))
    assert requests.PICTURE_TOKENS < tokens < 2 * requests.PICTURE_TOKENS


def test_an_answer_is_not_cut_into_the_thoughts_that_were_asked_for() -> None:
    thinking = {"type": "enabled", "budget_tokens": 8000}
    found = requests.asked(request(max_tokens=32_000, thinking=thinking), PRICES)
    assert found.shortest == 8000 + SHORTEST


def test_an_answer_that_is_short_already_is_not_cut() -> None:
    found = requests.asked(request(max_tokens=10), PRICES)
    assert found.shortest == found.longest == 10


def test_what_is_written_is_what_was_read() -> None:
    body = '{"model":"m","max_tokens":9,"system":"\\ud800 \\u00e9 \U0001f600","x":1.25,"y":null}'
    request = requests.read(body.encode())
    assert json.loads(requests.write(request)) == json.loads(body)
    assert json.loads(requests.write(request, answer=3))["max_tokens"] == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "content", "source", "tools", "messages", "system", "url"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON, JSON, JSON)
def test_any_document_is_a_request_or_refused(system: Any, messages: Any, tools: Any) -> None:
    body = json.dumps(request(system=system, messages=messages, tools=tools)).encode()
    try:
        found = requests.read(body)
    except BadRequest:
        return
    assert requests.asked(found, PRICES).prompt.prompt > 0
