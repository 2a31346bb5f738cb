"""The Messages API as a client sees it: what a request must have, and an answer's shape.

Source: Anthropic's API reference, Messages and Streaming Messages (version 2023-06-01).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pressplay.base import ids
from pressplay.stages.scripted_model.scenario import ToolUse, Turn

SAYS = "[scripted double, not a model]"
"""Begins the first text of every answer, and the message of every error."""

BYTES_PER_TOKEN = 4
_PIECE = 400


class BadRequest(Exception):
    """The request would be refused by the real service too; the message says why."""


def check(request: object) -> dict[str, Any]:
    """The request, if the service would take it. Raises BadRequest."""
    if not isinstance(request, dict):
        raise BadRequest("the body is not a JSON object")
    if not isinstance(request.get("model"), str) or not request["model"]:
        raise BadRequest("model: Field required")
    limit = request.get("max_tokens")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise BadRequest("max_tokens: Input should be greater than or equal to 1")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: at least one message is required")
    for number, each in enumerate(messages):
        if not isinstance(each, dict) or each.get("role") not in ("user", "assistant", "system"):
            raise BadRequest(f"messages.{number}.role: Input should be 'user' or 'assistant'")
    if messages[0]["role"] != "user":
        raise BadRequest("messages: first message must use the user role")
    _check_results(messages)
    return request


def usage(request: Mapping[str, Any], content: list[dict[str, Any]]) -> dict[str, int]:
    """Tokens read and written, by their size: the double has no tokenizer."""
    return {
        "input_tokens": prompt_tokens(request),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": _tokens(content),
    }


def prompt_tokens(request: Mapping[str, Any]) -> int:
    """Tokens of what the model reads."""
    return _tokens([request.get(name) for name in ("system", "messages", "tools")])


def answer(request: Mapping[str, Any], turn: Turn) -> dict[str, Any]:
    """The whole message of a turn."""
    content = _content(request, turn)
    uses_tools = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_scripted_{ids.short_hash(json.dumps(request['messages'], sort_keys=True))}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": content,
        "stop_reason": "tool_use" if uses_tools else "end_turn",
        "stop_sequence": None,
        "usage": usage(request, content),
    }


def events(message: Mapping[str, Any]) -> Iterator[bytes]:
    """The message as server-sent events, in the service's order."""
    begun = {**message["usage"], "output_tokens": 1}
    head = {**message, "content": [], "stop_reason": None, "usage": begun}
    yield _event("message_start", message=head)
    yield _event("ping")
    for index, block in enumerate(message["content"]):
        yield from _block(index, block)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage_at_end = {"output_tokens": message["usage"]["output_tokens"]}
    yield _event("message_delta", delta=delta, usage=usage_at_end)
    yield _event("message_stop")


def error(kind: str, message: str) -> bytes:
    """The body of an error."""
    body = {"type": "error", "error": {"type": kind, "message": f"{SAYS} {message}"}}
    return json.dumps(body).encode()


def _check_results(messages: list[dict[str, Any]]) -> None:
    """Every use of a tool is answered in the message that follows."""
    for number, each in enumerate(messages[:-1]):
        used = {block.get("id") for block in _blocks(each, "tool_use")}
        given = {block.get("tool_use_id") for block in _blocks(messages[number + 1], "tool_result")}
        if each["role"] == "assistant" and used - given:
            raise BadRequest(
                f"messages.{number + 1}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(sorted(map(str, used - given)))}"
            )


def _blocks(message: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == kind:
            yield block


def _content(request: Mapping[str, Any], turn: Turn) -> list[dict[str, Any]]:
    offered = {each.get("name") for each in request.get("tools") or () if isinstance(each, dict)}
    missing = sorted({tool.name for tool in turn.tools} - offered)
    if missing:
        text = f"The script wants tools that were not offered: {', '.join(missing)}."
        return [{"type": "text", "text": f"{SAYS} {text}"}]
    first = {"type": "text", "text": f"{SAYS} {turn.text}".strip()}
    return [first, *(_tool(request, i, tool) for i, tool in enumerate(turn.tools))]


def _tool(request: Mapping[str, Any], number: int, tool: ToolUse) -> dict[str, Any]:
    of = f"toolu_scripted_{len(request['messages'])}_{number}"
    return {"type": "tool_use", "id": of, "name": tool.name, "input": dict(tool.input)}


def _block(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    empty: dict[str, object]
    if block["type"] == "text":
        empty, name, kind, whole = {"text": ""}, "text", "text_delta", block["text"]
    else:
        empty, name, kind = {"input": {}}, "partial_json", "input_json_delta"
        whole = json.dumps(block["input"])
    yield _event("content_block_start", index=index, content_block={**block, **empty})
    for start in range(0, len(whole), _PIECE):
        delta = {"type": kind, name: whole[start : start + _PIECE]}
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def _tokens(value: object) -> int:
    return max(1, len(json.dumps(value, ensure_ascii=False).encode()) // BYTES_PER_TOKEN)
