"""JSONPath: what a path such as `$.items[0].name` names in a JSON value.

Two languages use it: `jsonpath()` in expressions, and kubectl's templates in the outputs of
resource templates. Both read the same steps. Source: RFC 9535, and the page "JSONPath Support" of
kubectl's documentation. Filters and scripts are left out: nothing here evaluates code in a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pressplay.base.errors import Refused

_MOST = 100_000
_STEP = re.compile(
    r"""
      (?P<deep>\.\.)? (?:
          (?(deep)|\.) (?P<name> \* | (?:[^\W\d]|-|/|\\.)(?:\w|-|/|\\.)* | \d+ )
        | \[ \s* (?:
              (?P<quote>['"]) (?P<quoted> (?:(?!(?P=quote))[^\\]|\\.)* ) (?P=quote)
            | (?P<index> -?\d{1,9} )
            | (?P<all> \* )
            | (?P<start> (?:-?\d{1,9})? ) \s* : \s* (?P<stop> (?:-?\d{1,9})? )
          ) \s* \]
      )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Step:
    """One step: a key, an index, a slice, or all; `is_deep` looks at every depth below."""

    key: str | int | slice | None
    is_deep: bool = False

    @property
    def is_single(self) -> bool:
        """Whether it leads to one value at most."""
        return isinstance(self.key, str | int) and not self.is_deep


@lru_cache(maxsize=256)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path that may begin with `$`. Raises Refused."""
    rest = path.strip().removeprefix("$").removeprefix("@")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps: list[Step] = []
    position = 0
    while position < len(rest) and rest[position:] != ".":
        match = _STEP.match(rest, position)
        if match is None:
            raise Refused(f"path {path!r} is not understood at {rest[position:]!r}")
        steps.append(Step(_key(match), bool(match["deep"])))
        position = match.end()
    return tuple(steps)


def _key(match: re.Match[str]) -> str | int | slice | None:
    if match["all"] or match["name"] == "*":
        return None
    if match["index"]:
        return int(match["index"])
    if match["start"] is not None:
        return slice(*(int(match[each]) if match[each] else None for each in ("start", "stop")))
    return re.sub(r"\\(.)", r"\1", match["name"] or match["quoted"])


def find(value: object, steps: tuple[Step, ...]) -> list[object]:
    """All values at the path, those of a map in the order of its keys; none if it leads nowhere."""
    found = [value]
    for step in steps:
        found = [each for start in found for each in _take(start, step)]
        if len(found) > _MOST:
            raise Refused(f"the path names more than {_MOST} values; make it narrower")
    return found


def _take(value: object, step: Step) -> Iterator[object]:
    starts = _all_below(value) if step.is_deep else (value,)
    for start in starts:
        match start, step.key:
            case dict(), str() as key if key in start:
                yield start[key]
            case dict(), None:
                yield from _values_of(start)
            case list(), int() as index if -len(start) <= index < len(start):
                yield start[index]
            case list(), slice() as part:
                yield from start[part]
            case list(), None:
                yield from start
            case _:
                pass


def _values_of(mapping: dict[str, object]) -> list[object]:
    return [mapping[key] for key in sorted(mapping)]


def _all_below(value: object) -> Iterator[object]:
    yield value
    inside = _values_of(value) if isinstance(value, dict) else value
    if not isinstance(inside, list):
        return
    for each in inside:
        yield from _all_below(each)
