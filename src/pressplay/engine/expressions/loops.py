"""Functions that run a closure over an array: `filter(items, # > 1)`.

Source: the chapters "Predicate" and "Array Functions" of expr-lang's language definition.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key

from pressplay.engine.expressions import values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.syntax import Frame, Item, Node


class Sweep:
    """One loop under way: the items, and what the closure makes of each of them."""

    def __init__(self, loop: Loop, items: list[object], frame: Frame) -> None:
        self.items = items
        self.extra = None if loop.extra is None else loop.extra.evaluate(frame)
        self.has_extra = loop.extra is not None
        self._loop = loop
        self._item = Item()
        self._frame = Frame(frame.variables, frame.run, frame.local, self._item)

    def value(self, index: int, *, accumulated: object = None) -> object:
        """What the closure makes of the item at `index`."""
        self._frame.run.budget.spend(self._loop.size)
        item = self._item
        item.index, item.value, item.accumulated = index, self.items[index], accumulated
        return self._loop.body.evaluate(self._frame)

    def values(self) -> Iterator[object]:
        """What the closure makes of every item."""
        return (self.value(index) for index in range(len(self.items)))

    def matching(self, *, backwards: bool = False) -> Iterator[int]:
        """The indexes of the items of which the closure says true."""
        indexes: Sequence[int] = range(len(self.items))
        for index in reversed(indexes) if backwards else indexes:
            if values.to_bool(self.value(index)):
                yield index


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """A call with a closure; `size` is the closure's number of parts, its price each time."""

    name: str
    source: Node
    body: Node
    size: int
    extra: Node | None = None
    position: int = field(default=0, compare=False)

    def evaluate(self, frame: Frame) -> object:
        items = self.source.evaluate(frame)
        if not isinstance(items, list):
            problem = f"{self.name} takes an array, not {values.kind_of(items)}"
            raise Fault(problem, position=self.position)
        try:
            result = LOOPS[self.name](Sweep(self, items, frame))
            frame.run.budget.charge(result)
        except Fault as fault:
            raise fault.at(self.position) from None
        return result

    def children(self) -> Iterator[Node]:
        yield self.source
        yield self.body
        if self.extra is not None:
            yield self.extra


def sort(items: Sequence[object], keys: Sequence[object], *, order: object) -> list[object]:
    """The items in the order of their keys; `order` is `asc` (also for None) or `desc`."""
    if order not in (None, "asc", "desc"):
        raise Fault(f"sort order must be asc or desc, not {order}")
    down = order == "desc"

    def compare(one: int, other: int) -> int:
        left, right = (keys[other], keys[one]) if down else (keys[one], keys[other])
        return -1 if values.less(left, right) else int(values.less(right, left))

    return [items[index] for index in sorted(range(len(items)), key=cmp_to_key(compare))]


def _first(sweep: Sweep, *, backwards: bool = False) -> object:
    index = next(sweep.matching(backwards=backwards), None)
    return None if index is None else sweep.items[index]


def _group(sweep: Sweep) -> object:
    groups: dict[object, list[object]] = {}
    for each, key in zip(sweep.items, sweep.values(), strict=True):
        if isinstance(key, list | dict):
            raise Fault(f"groupBy cannot group by {values.kind_of(key)}")
        groups.setdefault(key, []).append(each)
    return values.AnyMap(groups)


def _sum(sweep: Sweep) -> object:
    total: object = 0
    for each in sweep.values():
        total = values.add(total, each)
    return total


def _reduce(sweep: Sweep) -> object:
    if not sweep.items and not sweep.has_extra:
        raise Fault("reduce of an empty array with no initial value")
    start = 0 if sweep.has_extra else 1
    total = sweep.extra if sweep.has_extra else sweep.items[0]
    for index in range(start, len(sweep.items)):
        total = sweep.value(index, accumulated=total)
    return total


LOOPS: Mapping[str, Callable[[Sweep], object]] = {
    "all": lambda sweep: all(values.to_bool(each) for each in sweep.values()),
    "none": lambda sweep: next(sweep.matching(), None) is None,
    "any": lambda sweep: next(sweep.matching(), None) is not None,
    "one": lambda sweep: sum(1 for _ in sweep.matching()) == 1,
    "filter": lambda sweep: [sweep.items[index] for index in sweep.matching()],
    "map": lambda sweep: list(sweep.values()),
    "count": lambda sweep: sum(1 for _ in sweep.matching()),
    "sum": _sum,
    "find": _first,
    "findIndex": lambda sweep: next(sweep.matching(), None),
    "findLast": lambda sweep: _first(sweep, backwards=True),
    "findLastIndex": lambda sweep: next(sweep.matching(backwards=True), None),
    "groupBy": _group,
    "sortBy": lambda sweep: sort(sweep.items, list(sweep.values()), order=sweep.extra),
    "reduce": _reduce,
}
WITHOUT_CLOSURE = frozenset({"count", "sum"})
POINTERS: Mapping[str, Container[str]] = {"map": {"index"}, "reduce": {"index", "acc"}}
"""What a closure may name besides `#`, by the function that runs it."""
WITH_EXTRA = frozenset({"sortBy", "reduce"})
