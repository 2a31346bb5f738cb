"""`depends` of a DAG task: a boolean sentence over how other tasks ended.

Source: Argo's documentation, "Enhanced Depends Logic".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pressplay.base.errors import Refused

_TOKEN = re.compile(r"\s*(?:(&&|\|\||!|\(|\))|([A-Za-z0-9_-]+)(?:\.([A-Za-z]+))?)")
_RESULTS: Mapping[str, frozenset[str]] = {
    "": frozenset({"Succeeded", "Skipped", "Daemoned"}),
    "Succeeded": frozenset({"Succeeded"}),
    "Failed": frozenset({"Failed"}),
    "Errored": frozenset({"Error"}),
    "Skipped": frozenset({"Skipped"}),
    "Omitted": frozenset({"Omitted"}),
    "Daemoned": frozenset({"Daemoned"}),
    # Without loops a task is one node, so that any and all of its nodes are the same.
    "AnySucceeded": frozenset({"Succeeded"}),
    "AllFailed": frozenset({"Failed"}),
}

_Test = Callable[[Mapping[str, str]], bool]


@dataclass(frozen=True)
class Depends:
    """A parsed sentence; `tasks` are the names in it, in order, each once."""

    text: str
    tasks: tuple[str, ...]
    _test: _Test

    def holds(self, phases: Mapping[str, str]) -> bool:
        """Whether it is true when the tasks ended in these phases. An empty sentence is true."""
        return self._test(phases)


def parse(text: str) -> Depends:
    """Read a sentence such as `a && (b.Failed || !c.Skipped)`. Raises Refused."""
    if not text.strip():
        return Depends(text, (), lambda _: True)
    parser = _Parser(text)
    test = parser.either()
    parser.expect_end()
    return Depends(text, tuple(dict.fromkeys(parser.tasks)), test)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tasks: list[str] = []
        self._text = text
        self._tokens = self._read(text)
        self._at = 0

    def either(self) -> _Test:
        left = self._both()
        while self._take("||"):
            left = _or(left, self._both())
        return left

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._wrong(f"unexpected {self._tokens[self._at][0]!r}")

    def _both(self) -> _Test:
        left = self._one()
        while self._take("&&"):
            left = _and(left, self._one())
        return left

    def _one(self) -> _Test:
        if self._take("!"):
            inner = self._one()
            return lambda phases: not inner(phases)
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise self._wrong("a ) is missing")
            return inner
        if self._at >= len(self._tokens):
            raise self._wrong("it ends too early")
        name, result = self._tokens[self._at]
        if result is None:
            raise self._wrong(f"unexpected {name!r}")
        self._at += 1
        if result not in _RESULTS:
            raise self._wrong(f"{result!r} is no result; use one of {', '.join(_RESULTS)[2:]}")
        self.tasks.append(name)
        wanted = _RESULTS[result]
        return lambda phases: phases[name] in wanted

    def _take(self, symbol: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (symbol, None):
            self._at += 1
            return True
        return False

    def _read(self, text: str) -> list[tuple[str, str | None]]:
        """Tokens: a symbol with None, or a task's name with its result ("" for none)."""
        tokens: list[tuple[str, str | None]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._wrong(f"unexpected {text[at:].strip()[0]!r}")
            symbol, name, result = found.groups()
            tokens.append((symbol, None) if symbol else (name, result or ""))
            at = found.end()
        return tokens

    def _wrong(self, what: str) -> Refused:
        return Refused(f"depends {self._text!r}: {what}; write it like a.Succeeded && !b.Failed")


def _or(left: _Test, right: _Test) -> _Test:
    return lambda phases: left(phases) or right(phases)


def _and(left: _Test, right: _Test) -> _Test:
    return lambda phases: left(phases) and right(phases)
