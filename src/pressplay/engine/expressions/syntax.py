"""The tree of an expression: each node is frozen and knows how to work out its value.

Both dialects build these nodes; what an operator does is handed to the node by its dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field

from pressplay.engine.expressions import values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, Run

_SIZED: Container[type] = frozenset({str, list, dict})


class Item:
    """What `#`, `#index` and `#acc` mean inside a closure; it moves on from item to item."""

    __slots__ = ("accumulated", "index", "value")

    def __init__(self, accumulated: object = None) -> None:
        self.value: object = None
        self.index = 0
        self.accumulated = accumulated


@dataclass(frozen=True, slots=True)
class Frame:
    """What names mean at one place of one evaluation."""

    variables: Mapping[str, object]
    run: Run
    local: Mapping[str, object] = field(default_factory=dict)
    item: Item | None = None


class Absent(Exception):
    """No error: an optional member of nil was asked for, and so the whole chain is nil."""


class Node:
    """A part of an expression."""

    __slots__ = ()

    def evaluate(self, frame: Frame) -> object:
        """The value. Raises Fault, with a position where one is known."""
        raise NotImplementedError

    def children(self) -> Iterator[Node]:
        """The parts of this part."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value that is written down."""

    value: object

    def evaluate(self, frame: Frame) -> object:
        return self.value


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, given from outside or by `let`."""

    name: str
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        name = self.name
        if name in frame.local:
            return frame.local[name]
        try:
            return frame.variables[name]
        except KeyError:
            if name == "$env":
                return dict(frame.variables)
            raise Fault(f"unknown name {name}", position=self.position) from None


@dataclass(frozen=True, slots=True)
class Pointer(Node):
    """`#`, `#index` or `#acc`: only the parser of a closure makes one."""

    name: str
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        item = frame.item
        if item is None:
            raise Fault("# is outside of a closure", position=self.position)
        if self.name == "":
            return item.value
        return item.index if self.name == "index" else item.accumulated


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`a.b`, `a?.b` or `a[b]`; a key that a map lacks is nil."""

    base: Node
    key: Node
    is_optional: bool = False
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        base = self.base.evaluate(frame)
        if base is None and self.is_optional:
            raise Absent
        key = self.key.evaluate(frame)
        if base.__class__ is dict and key.__class__ is str:
            return base.get(key)
        try:
            return _fetch(base, key)
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        yield self.base
        yield self.key


def _fetch(base: object, key: object) -> object:
    if isinstance(base, values.AnyMap) and not isinstance(key, list | dict):
        return base.get(key)
    if isinstance(base, values.TextMap) and isinstance(key, str):
        return base.get(key, "")
    if isinstance(base, list):
        index = values.to_int(key)
        if -len(base) <= index < len(base):
            return base[index]
        raise Fault(f"index out of range: {index} (array length is {len(base)})")
    if isinstance(base, str):
        # A string is its UTF-8 bytes: Go answers with one byte, as a number.
        return _fetch(list(base.encode(errors="replace")), key)
    raise Fault(f"cannot fetch {key} from {values.kind_of(base)}")


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """A row of members with a `?.` in it: nil as soon as that meets nil."""

    inside: Node

    def evaluate(self, frame: Frame) -> object:
        try:
            return self.inside.evaluate(frame)
        except Absent:
            return None

    def children(self) -> Iterator[Node]:
        yield self.inside


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`a[from:to]`, of an array or of a string's bytes; beyond the ends there is nothing."""

    base: Node
    start: Node | None
    stop: Node | None
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        base = self.base.evaluate(frame)
        limits = slice(*(_limit(each, frame) for each in (self.start, self.stop)))
        frame.run.budget.charge(base)
        if isinstance(base, list):
            return base[limits]
        if isinstance(base, str):
            return base.encode(errors="replace")[limits].decode(errors="replace")
        raise Fault(f"cannot slice {values.kind_of(base)}", position=self.position)

    def children(self) -> Iterator[Node]:
        yield self.base
        yield from (each for each in (self.start, self.stop) if each is not None)


def _limit(node: Node | None, frame: Frame) -> int | None:
    return None if node is None else values.to_int(node.evaluate(frame))


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """An operator before its operand."""

    apply: Callable[[object], object]
    operand: Node
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        value = self.operand.evaluate(frame)
        try:
            return self.apply(value)
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        yield self.operand


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An operator between two operands that are both worked out first."""

    apply: Callable[[object, object], object]
    left: Node
    right: Node
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        left = self.left.evaluate(frame)
        right = self.right.evaluate(frame)
        try:
            if left.__class__ in _SIZED:
                frame.run.budget.charge(left)
            if right.__class__ in _SIZED:
                frame.run.budget.charge(right)
            return self.apply(left, right)
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(frozen=True, slots=True)
class Shortcut(Node):
    """An operator that may do without its right operand.

    `settled` says of the left value whether it is the answer already; `finish` makes the answer
    of both.
    """

    settled: Callable[[object], bool]
    finish: Callable[[object, object], object]
    left: Node
    right: Node
    is_fallback: bool = False
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        left = self.left.evaluate(frame)
        try:
            if self.settled(left):
                return left
            return self.finish(left, self.right.evaluate(frame))
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        condition = self.condition.evaluate(frame)
        try:
            chosen = self.then if values.to_bool(condition) else self.otherwise
        except Fault as fault:
            raise fault.at(self.position) from None
        return chosen.evaluate(frame)

    def children(self) -> Iterator[Node]:
        yield self.condition
        yield self.then
        yield self.otherwise


@dataclass(frozen=True, slots=True)
class Array(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]

    def evaluate(self, frame: Frame) -> object:
        made = [each.evaluate(frame) for each in self.items]
        frame.run.budget.charge(made)
        return made

    def children(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Map(Node):
    """`{a: 1, "b": 2, (c): 3}`."""

    pairs: tuple[tuple[Node, Node], ...]
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        made: dict[str, object] = {}
        for key, value in self.pairs:
            name = key.evaluate(frame)
            if not isinstance(name, str):
                raise Fault(
                    f"a key must be a string, not {values.kind_of(name)}", position=self.position
                )
            made[name] = value.evaluate(frame)
        frame.run.budget.charge(made)
        return made

    def children(self) -> Iterator[Node]:
        for key, value in self.pairs:
            yield key
            yield value


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function that the parser found."""

    function: Function
    arguments: tuple[Node, ...]
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        arguments = [each.evaluate(frame) for each in self.arguments]
        try:
            return self.function.call(frame.run, arguments)
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        return iter(self.arguments)


@dataclass(frozen=True, slots=True)
class Method(Node):
    """A call of a method that a value has: `now().Year()`. The table is by kind, then name."""

    base: Node
    name: str
    arguments: tuple[Node, ...]
    table: Mapping[str, Mapping[str, Function]]
    is_optional: bool = False
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        base = self.base.evaluate(frame)
        if base is None and self.is_optional:
            raise Absent
        kind = values.kind_of(base)
        function = self.table.get(kind, {}).get(self.name)
        if function is None:
            raise Fault(f"{kind} has no method {self.name}", position=self.position)
        arguments = [base, *(each.evaluate(frame) for each in self.arguments)]
        try:
            function.check_count(len(arguments))
            return function.call(frame.run, arguments)
        except Fault as fault:
            raise fault.at(self.position) from None

    def children(self) -> Iterator[Node]:
        yield self.base
        yield from self.arguments


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`let name = value; inside`."""

    name: str
    value: Node
    inside: Node
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        if self.name in frame.variables:
            raise Fault(f"cannot redeclare {self.name}", position=self.position)
        local = {**frame.local, self.name: self.value.evaluate(frame)}
        return self.inside.evaluate(Frame(frame.variables, frame.run, local, frame.item))

    def children(self) -> Iterator[Node]:
        yield self.value
        yield self.inside


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """`a; b`: the value of the last."""

    nodes: tuple[Node, ...]

    def evaluate(self, frame: Frame) -> object:
        for each in self.nodes[:-1]:
            each.evaluate(frame)
        return self.nodes[-1].evaluate(frame)

    def children(self) -> Iterator[Node]:
        return iter(self.nodes)
