"""What a call used, read from its answer while it passes."""

from __future__ import annotations

import json
from typing import Any

from pressplay.stages.relays.prices import Usage

_LINE_LIMIT = 1024 * 1024
_BODY_LIMIT = 64 * 1024 * 1024
_BYTES_PER_TOKEN = 3


class Stream:
    """A stream of server-sent events. Cut off in its middle, what was seen is the estimate."""

    def __init__(self) -> None:
        self._rest = b""
        self._counts: dict[str, Any] = {}
        self._seen = 0
        self._is_whole = False

    def feed(self, data: bytes) -> None:
        """The next bytes of the answer."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        self._rest = rest if len(rest) <= _LINE_LIMIT else b""

    def usage(self, *, prompt: Usage) -> Usage:
        """The tokens used; `prompt` stands in where the answer did not get so far as to tell."""
        if not self._counts:
            return Usage(**{**vars(prompt), "output": self._estimate()})
        found = usage_of(self._counts)
        if self._is_whole:
            return found
        return Usage(**{**vars(found), "output": max(found.output, self._estimate())})

    def _estimate(self) -> int:
        return self._seen // _BYTES_PER_TOKEN

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        if b'"content_block_delta"' in line:
            self._seen += len(line)
            return
        try:
            event = json.loads(line[5:])
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict):
            return
        match event.get("type"):
            case "message_start":
                message = event.get("message")
                self._note(message.get("usage") if isinstance(message, dict) else None)
            case "message_delta":
                self._note(event.get("usage"))
                self._is_whole = True
            case _:
                pass

    def _note(self, counts: object) -> None:
        if isinstance(counts, dict):
            self._counts |= {name: each for name, each in counts.items() if each is not None}


class Whole:
    """A JSON answer in one piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """The next bytes of the answer."""
        self._size += len(data)
        if self._size <= _BODY_LIMIT:
            self._parts.append(data)

    def usage(self, *, prompt: Usage) -> Usage:
        """The tokens used; `prompt` and the answer's size stand in where it does not tell."""
        try:
            answer = json.loads(b"".join(self._parts))
            counts = answer["usage"]
        except (ValueError, KeyError, TypeError, RecursionError):
            counts = None
        if isinstance(counts, dict):
            return usage_of(counts)
        return Usage(**{**vars(prompt), "output": self._size // _BYTES_PER_TOKEN})


def usage_of(counts: dict[str, Any]) -> Usage:
    """The API's `usage` object as tokens by price."""
    created = counts.get("cache_creation")
    hourly = _count(created, "ephemeral_1h_input_tokens") if isinstance(created, dict) else 0
    written = _count(counts, "cache_creation_input_tokens")
    return Usage(
        input=_count(counts, "input_tokens"),
        output=_count(counts, "output_tokens"),
        write_5m=max(0, written - hourly),
        write_1h=hourly,
        read=_count(counts, "cache_read_input_tokens"),
    )


def _count(counts: dict[str, Any], name: str) -> int:
    found = counts.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0
