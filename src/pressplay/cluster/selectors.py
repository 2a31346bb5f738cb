"""Label selectors, as Kubernetes writes them.

Grammar and meaning: Kubernetes' documentation, "Labels and Selectors". As there, `!=` and `notin`
also match an object that lacks the key.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pressplay.base.errors import Refused

_KEY = (
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?"

# A comma ends a requirement, unless it stands between parentheses.
_COMMA = re.compile(r",(?![^()]*\))")
_EQUALITY = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EXISTENCE = re.compile(rf"(!?)\s*({_KEY})")
_ONE_VALUE = re.compile(_VALUE)
_HELP = "write it like a=b,c!=d,e,!f,g in (x,y),h notin (z)"


class Test(Enum):
    """What one requirement asks of a key's value."""

    # pytest takes a class called Test… for a collection of tests.
    __test__ = False

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    MISSING = "missing"


@dataclass(frozen=True)
class Requirement:
    """One condition; `values` is empty for EXISTS and MISSING."""

    key: str
    test: Test
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.test:
            case Test.IN:
                return labels.get(self.key) in self.values
            case Test.NOT_IN:
                return labels.get(self.key) not in self.values
            case Test.EXISTS:
                return self.key in labels
            case Test.MISSING:
                return self.key not in labels


Selector = tuple[Requirement, ...]


@functools.lru_cache(maxsize=512)
def parse(text: str) -> Selector:
    """The requirements in `text`, all of which must hold; none for empty text. Raises Refused."""
    if not text.strip():
        return ()
    return tuple(_requirement(part.strip(), whole=text) for part in _COMMA.split(text))


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether an object with these labels is selected."""
    return all(requirement.matches(labels) for requirement in selector)


def _requirement(part: str, *, whole: str) -> Requirement:
    if found := _EQUALITY.fullmatch(part):
        key, sign, value = found.groups()
        return Requirement(key, Test.NOT_IN if sign == "!=" else Test.IN, frozenset([value]))
    if found := _SET.fullmatch(part):
        key, word, inside = found.groups()
        return Requirement(key, Test(word), _values(inside, whole=whole))
    if found := _EXISTENCE.fullmatch(part):
        sign, key = found.groups()
        return Requirement(key, Test.MISSING if sign else Test.EXISTS)
    raise Refused(f"Label selector {whole!r} cannot be read at {part!r}; {_HELP}")


def _values(inside: str, *, whole: str) -> frozenset[str]:
    values = frozenset(value.strip() for value in inside.split(","))
    for value in values:
        if not _ONE_VALUE.fullmatch(value):
            raise Refused(f"Label selector {whole!r} holds {value!r}, which is no label's value")
    return values
