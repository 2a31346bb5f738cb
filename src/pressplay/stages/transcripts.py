"""What a program of strangers prints: passed on as it comes, kept in part, never unredacted.

A runaway program must fill neither our memory nor the step's log, so of long output only the
beginning and the end are kept: the beginning says what was tried, the end how it failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pressplay.base import redaction

KEPT = 256 * 1024
"""Characters kept of the beginning, and as many of the end."""

PASSED_ON = 4 * 1024 * 1024
"""Characters passed on to the step's log."""

LINE = 16 * 1024
"""A longer line is cut into pieces of this many characters."""

KEY_LINES = 200
"""A private key with more lines than this is none, and what follows is shown again."""

_KEY_BEGINS, _KEY_ENDS = "-----BEGIN ", "-----END "


class Transcript:
    """Takes output in pieces; `redact` and `write` are called with whole lines."""

    def __init__(self, *, redact: Callable[[str], str], write: Callable[[str], None]) -> None:
        self._redact = redact
        self._write = write
        self._pending = b""
        self._notes: set[str] = set()
        self._key_lines_left = 0
        self._written = 0
        self._head: list[str] = []
        self._head_size = 0
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Take in output as it comes, in whatever pieces."""
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            self.say(line.decode(errors="replace"))
        while len(self._pending) >= LINE:
            self.say(self._pending[:LINE].decode(errors="replace"))
            self._pending = self._pending[LINE:]

    def say(self, line: str) -> None:
        """Take in one line."""
        clean = self._clean(line.rstrip("\r"))
        if clean is None:
            return
        self._pass_on(clean + "\n")
        self._keep(clean + "\n")

    def close(self) -> None:
        """Take in what was left without a line end."""
        rest, self._pending = self._pending, b""
        if rest:
            self.say(rest.decode(errors="replace"))

    def text(self) -> str:
        """The beginning and the end, with a line between them that says how much is missing."""
        self.close()
        gap = [f"[... {self._dropped} lines left out ...]\n"] if self._dropped else []
        return "".join([*self._head, *gap, *self._tail])

    def note(self, line: str) -> None:
        """Take in a line of our own, which is no answer to what the program said last."""
        self._notes.add(f"{line}\n")
        self.say(line)

    def last_line(self) -> str:
        """The last line that says something; empty where none does."""
        self.close()
        for line in (*reversed(self._tail), *reversed(self._head)):
            if line.strip() and line not in self._notes:
                return line.strip()
        return ""

    def _clean(self, line: str) -> str | None:
        """The line without secrets; None inside a private key, which spans lines."""
        if self._key_lines_left:
            self._key_lines_left = 0 if _KEY_ENDS in line else self._key_lines_left - 1
            return None
        if _KEY_BEGINS in line and "PRIVATE KEY" in line and _KEY_ENDS not in line:
            self._key_lines_left = KEY_LINES
            return redaction.STARS
        return self._redact(line)

    def _pass_on(self, line: str) -> None:
        if self._written > PASSED_ON:
            return
        self._written += len(line)
        if self._written > PASSED_ON:
            line = "[... more output; only its end is kept, in logs.txt ...]\n"
        self._write(line)

    def _keep(self, line: str) -> None:
        if self._head_size < KEPT:
            self._head.append(line)
            self._head_size += len(line)
            return
        self._tail.append(line)
        self._tail_size += len(line)
        while self._tail_size > KEPT:
            self._tail_size -= len(self._tail.popleft())
            self._dropped += 1
