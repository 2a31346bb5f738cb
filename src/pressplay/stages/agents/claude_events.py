"""What the Claude Code CLI prints while it works: one JSON object a line, as frozen values.

The shapes are those of `claude --print --output-format stream-json --verbose` from 2.1.197 to
2.1.330. A kind that is not known is passed over: a newer CLI must not stop a run for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LINE_LIMIT = 32 * 1024 * 1024
"""Bytes of a line; a longer one is passed over. Files that the agent reads come in one."""

_ABOUT = ("command", "file_path", "pattern", "path", "url", "description")
"""The inputs of tools that tell people most, in this order."""


@dataclass(frozen=True)
class Begun:
    """The session stands. `servers` are MCP servers."""

    version: str
    model: str
    session: str
    tools: tuple[str, ...]
    servers: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """The model said something."""

    text: str


@dataclass(frozen=True)
class Called:
    """The model uses a tool, `about` something."""

    tool: str
    about: str


@dataclass(frozen=True)
class Declined:
    """A tool answered with an error."""

    text: str


@dataclass(frozen=True)
class Retried:
    """A call of the model failed and is made again; `status` is 0 where nothing answered."""

    attempt: int
    attempts: int
    status: int
    why: str


@dataclass(frozen=True)
class Ended:
    """The result. `status` is that of the model's service where it refused, else 0.

    `usd` is what the CLI thinks that it cost; `usage` counts tokens. Beware: `subtype` is
    `success` for a refusal of the service too, with `is_error`.
    """

    subtype: str
    is_error: bool
    text: str
    turns: int
    usd: float
    session: str
    status: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plain:
    """A line that is no event: a warning of the CLI's, or another program's word."""

    text: str


Event = Begun | Said | Called | Declined | Retried | Ended | Plain


class Reader:
    """Makes events of output that comes in pieces."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._skips = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take in output, give the events of the lines that it ends."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._take(line)
            whole, skipped = bytes(self._pending), self._skips
            self._pending.clear()
            self._skips = False
            if not skipped:
                yield from parse(whole)
        self._take(rest)

    def close(self) -> Iterator[Event]:
        """The events of a last line without an end."""
        if self._pending and not self._skips:
            yield from parse(bytes(self._pending))
        self._pending.clear()

    def _take(self, piece: bytes) -> None:
        self._skips = self._skips or len(self._pending) + len(piece) > LINE_LIMIT
        if self._skips:
            self._pending.clear()
        else:
            self._pending += piece


def parse(line: bytes) -> Iterator[Event]:
    """The events of one line; none for an empty one and for a kind that is not known."""
    text = line.decode(errors="replace").strip()
    if not text:
        return
    try:
        value = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        yield Plain(text)
        return
    match value.get("type"):
        case "system":
            yield from _system(value)
        case "assistant":
            yield from _assistant(value)
        case "user":
            yield from _results(value)
        case "result":
            yield _ended(value)
        case _:
            return


def _system(value: Mapping[str, Any]) -> Iterator[Event]:
    match value.get("subtype"):
        case "init":
            yield Begun(
                version=_text(value.get("claude_code_version")),
                model=_text(value.get("model")),
                session=_text(value.get("session_id")),
                tools=_texts(value.get("tools")),
                servers=tuple(_text(each.get("name")) for each in _dicts(value.get("mcp_servers"))),
            )
        case "api_retry":
            yield Retried(
                attempt=_count(value.get("attempt")),
                attempts=_count(value.get("max_retries")),
                status=_count(value.get("error_status")),
                why=_text(value.get("error")),
            )
        case _:
            return


def _assistant(value: Mapping[str, Any]) -> Iterator[Event]:
    for block in _content(value):
        match block.get("type"):
            case "text" if _text(block.get("text")).strip():
                yield Said(_text(block["text"]).strip())
            case "tool_use":
                yield Called(_text(block.get("name")), _about(block.get("input")))
            case _:
                continue


def _results(value: Mapping[str, Any]) -> Iterator[Event]:
    for block in _content(value):
        if block.get("type") == "tool_result" and block.get("is_error") is True:
            content = block.get("content")
            parts = [_text(each.get("text")) for each in _dicts(content)]
            yield Declined(_text(content) or "\n".join(parts))


def _ended(value: Mapping[str, Any]) -> Ended:
    usage, models = value.get("usage"), value.get("modelUsage")
    counted = usage if isinstance(usage, dict) else {}
    return Ended(
        subtype=_text(value.get("subtype")),
        # Whatever is not plainly well is not.
        is_error=value.get("is_error") is not False,
        text=_text(value.get("result")),
        turns=_count(value.get("num_turns")),
        usd=_amount(value.get("total_cost_usd")),
        session=_text(value.get("session_id")),
        status=_count(value.get("api_error_status")),
        usage={
            name: _count(counted.get(key))
            for name, key in {
                "input": "input_tokens",
                "output": "output_tokens",
                "cache_write": "cache_creation_input_tokens",
                "cache_read": "cache_read_input_tokens",
            }.items()
        },
        models=tuple(str(each) for each in models) if isinstance(models, dict) else (),
        errors=_texts(value.get("errors")),
        denied=tuple(
            _text(each.get("tool_name")) for each in _dicts(value.get("permission_denials"))
        ),
    )


def _content(value: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    message = value.get("message")
    return _dicts(message.get("content")) if isinstance(message, dict) else ()


def _about(given: object) -> str:
    if not isinstance(given, dict):
        return ""
    for name in _ABOUT:
        if isinstance(given.get(name), str):
            return str(given[name])
    return ", ".join(str(name) for name in given)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _dicts(value: object) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list):
        return ()
    return tuple(each for each in value if isinstance(each, dict))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if math.isfinite(value) and value >= 0 else 0.0
