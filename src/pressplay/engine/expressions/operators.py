"""The operators of expr-lang: how tightly they bind and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from pressplay.engine.expressions import regex, values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.pratt import Power
from pressplay.engine.expressions.syntax import Frame, Node

POWERS: Mapping[str, Power] = {
    "|": Power(0),
    **dict.fromkeys(("or", "||"), Power(10)),
    **dict.fromkeys(("and", "&&"), Power(15)),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), Power(20)),
    **dict.fromkeys(("in", "matches", "contains", "startsWith", "endsWith"), Power(20)),
    "..": Power(25),
    **dict.fromkeys(("+", "-"), Power(30)),
    **dict.fromkeys(("*", "/", "%"), Power(60)),
    **dict.fromkeys(("**", "^"), Power(100, from_right=True)),
    "??": Power(500),
}
PREFIX_POWERS: Mapping[str, int] = {"not": 50, "!": 50, "-": 90, "+": 90}
NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})
COMPARISONS = frozenset({"<", ">", "<=", ">="})


def invert(value: object) -> bool:
    """The `not` operator."""
    return not values.to_bool(value)


def _on_texts(test: Callable[[str, str], bool], left: object, right: object, *, name: str) -> bool:
    if left is None or right is None:
        return False
    if isinstance(left, str) and isinstance(right, str):
        return test(left, right)
    raise Fault(f"invalid operation: {values.kind_of(left)} {name} {values.kind_of(right)}")


PREFIXES: Mapping[str, Callable[[object], object]] = {
    "not": invert,
    "!": invert,
    "-": values.negate,
    "+": lambda value: value,
}
EAGER: Mapping[str, Callable[[object, object], object]] = {
    "==": values.equal,
    "!=": lambda left, right: not values.equal(left, right),
    "<": values.less,
    ">": lambda left, right: values.less(right, left),
    "<=": lambda left, right: values.less(left, right) or values.equal(left, right),
    ">=": lambda left, right: values.less(right, left) or values.equal(left, right),
    "in": values.contains,
    "contains": partial(_on_texts, lambda left, right: right in left, name="contains"),
    "startsWith": partial(_on_texts, str.startswith, name="startsWith"),
    "endsWith": partial(_on_texts, str.endswith, name="endsWith"),
    "+": values.add,
    "-": values.subtract,
    "*": values.multiply,
    "/": values.divide,
    "%": values.modulo,
    "**": values.power,
    "^": values.power,
}


def _right(left: object, right: object) -> object:
    return right


def _right_truth(left: object, right: object) -> object:
    return values.to_bool(right)


@dataclass(frozen=True)
class Lazy:
    """What a Shortcut needs to know of its operator."""

    settled: Callable[[object], bool]
    finish: Callable[[object, object], object]


_AND = Lazy(lambda value: not values.to_bool(value), _right_truth)
_OR = Lazy(values.to_bool, _right_truth)
SHORTCUTS: Mapping[str, Lazy] = {
    "and": _AND,
    "&&": _AND,
    "or": _OR,
    "||": _OR,
    "??": Lazy(lambda value: value is not None, _right),
}


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`from..to`, both ends included."""

    start: Node
    stop: Node
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        try:
            start = values.to_int(self.start.evaluate(frame))
            stop = values.to_int(self.stop.evaluate(frame))
            frame.run.budget.spend(max(stop - start, 0))
        except Fault as fault:
            raise fault.at(self.position) from None
        return list(range(start, stop + 1))

    def children(self) -> Iterator[Node]:
        yield self.start
        yield self.stop


@dataclass(frozen=True, slots=True)
class Matches(Node):
    """`text matches pattern`."""

    text: Node
    pattern: Node
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        text = self.text.evaluate(frame)
        pattern = self.pattern.evaluate(frame)
        try:
            return _on_texts(partial(_is_match, frame), text, pattern, name="matches")
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        yield self.text
        yield self.pattern


def _is_match(frame: Frame, text: str, pattern: str) -> bool:
    return regex.compile_pattern(pattern).is_match(text, budget=frame.run.budget)
