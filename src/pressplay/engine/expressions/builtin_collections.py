"""The functions of expr-lang for arrays and maps that take no closure.

Source: the chapters "Array Functions" and "Map Functions" of its documentation. Where Go leaves a
map's order open, it is the order of the keys here.
"""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.engine.expressions import loops, printing, values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, table


def flatten(items: list[object]) -> list[object]:
    """The items, with those of every array in it, at any depth, in its place."""
    made: list[object] = []
    for each in items:
        made += flatten(each) if isinstance(each, list) else [each]
    return made


def unique(items: list[object]) -> list[object]:
    """The items without repetitions; the first of equal ones stays."""
    kept: dict[object, object] = {}
    for each in items:
        kept.setdefault(values.to_key(each), each)
    return list(kept.values())


def sorted_items(mapping: dict[str, object]) -> list[tuple[str, object]]:
    """The pairs of a map in the order of their keys."""
    return sorted(mapping.items(), key=lambda pair: printing.to_text(pair[0]))


def _get(value: object, key: object) -> object:
    match value:
        case dict():
            return value.get(key) if isinstance(key, str) else None
        case list():
            index = values.to_int(key)
            return value[index] if -len(value) <= index < len(value) else None
        case _:
            return None


def _end(value: object, *, index: int) -> object:
    items = list(value.encode(errors="replace")) if isinstance(value, str) else value
    return items[index] if isinstance(items, list) and items else None


def _take(items: list[object], count: int) -> list[object]:
    if count < 0:
        raise Fault(f"take cannot take {count} items")
    return items[:count]


def _concat(*arrays: list[object]) -> list[object]:
    return [each for array in arrays for each in array]


def _from_pairs(pairs: list[object]) -> values.AnyMap:
    made = values.AnyMap()
    for pair in pairs:
        match pair:
            case [key, value] if not isinstance(key, list | dict):
                made[key] = value
            case _:
                raise Fault("fromPairs takes pairs such as [['name', value]]")
    return made


FUNCTIONS: Mapping[str, Function] = table(
    {
        "first(any)": lambda value: _end(value, index=0),
        "last(any)": lambda value: _end(value, index=-1),
        "get(any, any)": _get,
        "take(array, int)": _take,
        "keys(map)": lambda mapping: [key for key, _ in sorted_items(mapping)],
        "values(map)": lambda mapping: [value for _, value in sorted_items(mapping)],
        "toPairs(map)": lambda mapping: [list(pair) for pair in sorted_items(mapping)],
        "fromPairs(array)": _from_pairs,
        "reverse(array)": lambda items: items[::-1],
        "uniq(array)": unique,
        "concat(array, array*)": _concat,
        "flatten(array)": flatten,
        "sort(array, string?)": lambda items, order=None: loops.sort(items, items, order=order),
    }
)
