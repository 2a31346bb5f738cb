"""`depends` of a DAG task: a boolean sentence over how other tasks ended.

Source: Argo's documentation, "Enhanced Depends Logic".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pressplay.base.errors import Refused

_TOKEN = re.compile(
    r"\s*(?:(&&|\|\||[!()])|([A-Za-z0-9_][A-Za-z0-9_-]*)(?:\.([A-Za-z]+)(?![A-Za-z0-9_.-]))?)"
)
_MAX_NESTING = 50


@dataclass(frozen=True)
class Ended:
    """How a task ended: its phase, and the phases of its items if it has several.

    `is_forgiven` says that its own `continueOn` covers the way it failed.
    """

    phase: str
    items: tuple[str, ...] = ()
    is_daemoned: bool = False
    is_forgiven: bool = False


_Test = Callable[[Mapping[str, "str | Ended"]], bool]

_RESULTS: Mapping[str, Callable[[Ended], bool]] = {
    "Succeeded": lambda ended: ended.phase == "Succeeded",
    "Failed": lambda ended: ended.phase == "Failed",
    "Errored": lambda ended: ended.phase == "Error",
    "Skipped": lambda ended: ended.phase == "Skipped",
    "Omitted": lambda ended: ended.phase == "Omitted",
    "Daemoned": lambda ended: ended.is_daemoned or ended.phase == "Daemoned",
    "AnySucceeded": lambda ended: "Succeeded" in (ended.items or (ended.phase,)),
    "AllFailed": lambda ended: set(ended.items or (ended.phase,)) == {"Failed"},
}


def _has_passed(ended: Ended) -> bool:
    """What a bare task name asks."""
    return ended.is_forgiven or any(
        _RESULTS[result](ended) for result in ("Succeeded", "Skipped", "Daemoned")
    )


@dataclass(frozen=True)
class Depends:
    """A parsed sentence; `tasks` are the names in it, in order, each once."""

    text: str
    tasks: tuple[str, ...]
    _test: _Test = field(repr=False, compare=False)

    def holds(self, results: Mapping[str, str | Ended]) -> bool:
        """Whether it is true when the tasks ended so; a phase alone is enough.

        An empty sentence is true; a task that is missing has no result at all.
        """
        return self._test(results)


def parse(text: str) -> Depends:
    """Read a sentence such as `a && (b.Failed || !c.Skipped)`. Raises Refused."""
    if not text.strip():
        return Depends(text, (), lambda _: True)
    parser = _Parser(text)
    test = parser.whole()
    return Depends(text, tuple(dict.fromkeys(parser.tasks)), test)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tasks: list[str] = []
        self._text = text
        self._position = 0
        self._nesting = 0

    def whole(self) -> _Test:
        """The sentence up to its end."""
        test = self._either()
        if self._text[self._position :].strip():
            raise self._wrong(f"unexpected {self._text[self._position :].strip()[:20]!r}")
        return test

    def _either(self) -> _Test:
        branches = [self._both()]
        while self._take("||"):
            branches.append(self._both())
        return lambda results: any(branch(results) for branch in branches)

    def _both(self) -> _Test:
        parts = [self._one()]
        while self._take("&&"):
            parts.append(self._one())
        return lambda results: all(part(results) for part in parts)

    def _one(self) -> _Test:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise self._wrong(f"it is nested deeper than {_MAX_NESTING}")
        if self._take("!"):
            test = _opposite(self._one())
        elif self._take("("):
            test = self._either()
            if not self._take(")"):
                raise self._wrong("a ) is missing")
        else:
            test = self._task()
        self._nesting -= 1
        return test

    def _task(self) -> _Test:
        found = _TOKEN.match(self._text, self._position)
        if found is None or found[1]:
            rest = self._text[self._position :].strip()
            raise self._wrong(f"unexpected {rest[:20]!r}" if rest else "it ends too early")
        _, name, result = found.groups()
        if result is not None and result not in _RESULTS:
            raise self._wrong(f"{result!r} is no result; use one of {', '.join(_RESULTS)}")
        self._position = found.end()
        self.tasks.append(name)
        return _asks(name, _has_passed if result is None else _RESULTS[result])

    def _take(self, sign: str) -> bool:
        found = _TOKEN.match(self._text, self._position)
        if found is None or found[1] != sign:
            return False
        self._position = found.end()
        return True

    def _wrong(self, what: str) -> Refused:
        return Refused(f"depends {self._text!r}: {what}; write it like a.Succeeded && !b.Failed")


def _opposite(test: _Test) -> _Test:
    return lambda results: not test(results)


def _asks(name: str, question: Callable[[Ended], bool]) -> _Test:
    def test(results: Mapping[str, str | Ended]) -> bool:
        result = results.get(name)
        if result is None:
            return False
        return question(Ended(result) if isinstance(result, str) else result)

    return test
