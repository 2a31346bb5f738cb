"""A Messages API request as far as the meter must understand it.

It is written anew from what was understood, so that the service reads exactly what was checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from pressplay.stages.relays.heads import BadRequest
from pressplay.stages.relays.ledger import SHORTEST, Asked
from pressplay.stages.relays.prices import Prices, Usage

BYTES_PER_TOKEN = 3
"""Text and programs have more. Where a prompt has fewer (digits, rare scripts), the call that
reaches a limit may pass it by the difference."""

PICTURE_TOKENS = 5000
"""More than the largest picture takes, whatever its bytes are."""

_OVERHEAD_TOKENS = 1000
"""What the service adds by itself, such as its own words on the use of tools."""

_OWN_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_")
"""Kinds of tools that the client carries out itself, or that look only into the request."""

_LONGEST = 10_000_000
"""Tokens; above every model's."""


def read(body: bytes) -> dict[str, Any]:
    """The request. Raises BadRequest, also for what would reach past the sandbox."""
    try:
        request = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON") from error
    if not isinstance(request, dict):
        raise BadRequest("The body is not a JSON object")
    _check_reach(request)
    return request


def asked(request: dict[str, Any], prices: Prices) -> Asked:
    """The worst case of a call. Raises BadRequest."""
    model, longest = request.get("model"), request.get("max_tokens")
    if not isinstance(model, str) or not model:
        raise BadRequest("model: a name is needed")
    if isinstance(longest, bool) or not isinstance(longest, int) or not 0 < longest < _LONGEST:
        raise BadRequest("max_tokens: a whole number above 0 is needed")
    return Asked(
        model=model[:100],
        price=prices.of(model),
        prompt=_prompt(request),
        longest=longest,
        shortest=min(longest, _thinking(request) + SHORTEST),
    )


def write(request: dict[str, Any], *, answer: int | None = None) -> bytes:
    """The body to send, with an answer of at most that many tokens."""
    sent = request if answer is None else {**request, "max_tokens": answer}
    return json.dumps(sent, separators=(",", ":")).encode()


def prompt_tokens(request: dict[str, Any]) -> int:
    """At most so many tokens the model has to read."""
    read_by_model = {name: request.get(name) for name in ("system", "messages", "tools")}
    size, pictures = 0, 0
    for each in _leaves(read_by_model):
        if each is _PICTURE:
            pictures += 1
        else:
            size += len(str(each).encode("utf-8", "surrogatepass")) + 1
    return size // BYTES_PER_TOKEN + pictures * PICTURE_TOKENS + _OVERHEAD_TOKENS


def _prompt(request: dict[str, Any]) -> Usage:
    """The prompt at the price of a first look: put into the cache where that is asked for."""
    tokens = prompt_tokens(request)
    text = json.dumps(request)
    if '"cache_control"' not in text:
        return Usage(input=tokens)
    return Usage(write_1h=tokens) if '"1h"' in text else Usage(write_5m=tokens)


def _thinking(request: dict[str, Any]) -> int:
    """Tokens of thought that were asked for; an answer must be longer."""
    thinking = request.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return budget if isinstance(budget, int) and 0 < budget < _LONGEST else 0


def _check_reach(request: dict[str, Any]) -> None:
    if request.get("mcp_servers") or request.get("container"):
        raise BadRequest("Servers and containers of the model's side are not allowed here")
    if request.get("speed") not in (None, "standard"):
        raise BadRequest("speed: only the standard one has a known price")
    for tool in _dicts(request.get("tools")):
        kind = tool.get("type")
        if kind is not None and kind != "custom" and not str(kind).startswith(_OWN_TOOLS):
            raise BadRequest(
                f"The tool {str(kind)[:60]!r} would be carried out outside of the sandbox; "
                "it is not allowed here"
            )
    for block in _blocks(request):
        source = block.get("source")
        if isinstance(source, dict) and source.get("type") == "url":
            raise BadRequest("The model may not fetch an address; send the content itself")


def _blocks(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every content block, those inside of results too."""
    waiting: list[object] = [request.get("system")]
    waiting += [message.get("content") for message in _dicts(request.get("messages"))]
    while waiting:
        for block in _dicts(waiting.pop()):
            yield block
            waiting.append(block.get("content"))
            source = block.get("source")
            if isinstance(source, dict):
                waiting.append(source.get("content"))


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (cast("dict[str, Any]", each) for each in value if isinstance(each, dict))


_PICTURE = object()


def _leaves(value: object) -> Iterator[object]:
    """All keys and values of a document; a picture's bytes as one mark."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            if current.get("type") == "base64" and str(current.get("media_type")).startswith(
                "image/"
            ):
                yield _PICTURE
                continue
            for key, each in current.items():
                yield key
                waiting.append(each)
        elif isinstance(current, list):
            waiting.extend(current)
        else:
            yield current


def _refuse_constant(name: str) -> None:
    raise BadRequest(f"The body holds {name}, which is not JSON")
