"""sprig's functions for lists and dicts, for defaults and for JSON.

Nothing here changes a value in place: `set` and its like answer with a copy. Source: sprig's
documentation, the chapters "Lists and List Functions", "Dictionaries and Dict Functions" and
"Default Functions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from pressplay.engine.expressions import (
    builtin_collections,
    encoding,
    printing,
    sprig_numbers,
    values,
)
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, table

Dict = dict[str, object]

_GO_KINDS: Mapping[str, str] = {
    "nil": "invalid",
    "float": "float64",
    "array": "slice",
    "time.Time": "struct",
    "time.Duration": "int64",
}


def is_empty(value: object) -> bool:
    """Whether it is nil, false, zero, or has no elements. A time is never empty."""
    return not isinstance(value, datetime) and not value


def _default(default: object, *given: object) -> object:
    return given[0] if given and not is_empty(given[0]) else default


def _coalesce(*items: object) -> object:
    return next((each for each in items if not is_empty(each)), None)


def _from_json(text: str) -> object:
    try:
        return encoding.from_json(text)
    except Fault:
        return None


def _dict(*items: object) -> Dict:
    made: Dict = {}
    for number in range(0, len(items), 2):
        value = items[number + 1] if number + 1 < len(items) else ""
        made[printing.to_text(items[number])] = value
    return made


def _dig(*arguments: object) -> object:
    *path, default, value = arguments
    if not path:
        raise Fault("dig needs at least one key, a default and a dict")
    for key in path:
        if value.__class__ is not dict:
            raise Fault(f"dig: {values.kind_of(value)} is no dict")
        if key not in value:
            return default
        value = value[key]
    return value


def _pluck(key: str, *dicts: Dict) -> list[object]:
    return [each[key] for each in dicts if key in each]


def _merge(first: Dict, *others: Dict) -> Dict:
    made = first
    for other in others:
        made = _merged(made, other, overwrite=False)
    return made


def _merge_overwrite(first: Dict, *others: Dict) -> Dict:
    made = first
    for other in others:
        made = _merged(made, other, overwrite=True)
    return made


def _merged(into: Dict, other: Dict, *, overwrite: bool) -> Dict:
    made = dict(into)
    for key, value in other.items():
        there = made.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            made[key] = _merged(there, value, overwrite=overwrite)
        elif overwrite or (value is not None and is_empty(there)):
            made[key] = value
    return made


def _has(item: object, items: object) -> bool:
    if isinstance(items, list):
        return any(values.deep_equal(each, item) for each in items)
    if items is None:
        return False
    raise Fault(f"has takes a list, not {values.kind_of(items)}")


def _without(items: list[object], *unwanted: object) -> list[object]:
    return [each for each in items if not _has(each, list(unwanted))]


def _slice(items: list[object], *limits: object) -> list[object] | None:
    if not items:
        return None
    start, end = [*map(sprig_numbers.to_int, limits), *(0, len(items))[len(limits) :]]
    if not 0 <= start <= end <= len(items):
        raise Fault(f"slice: {start} to {end} lies outside of the list")
    return items[start:end]


def _chunk(size: int, items: list[object]) -> list[object]:
    if size <= 0:
        raise Fault("chunk: the size must be positive")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _keys(*dicts: Dict) -> list[str]:
    return [key for each in dicts for key, _ in builtin_collections.sorted_items(each)]


def _json_or_empty(value: object, *, indent: str = "") -> str:
    try:
        return printing.to_json(value, indent=indent)
    except Fault:
        return ""


def _kind(value: object) -> str:
    kind = values.kind_of(value)
    return _GO_KINDS.get(kind, kind)


_LISTS: Mapping[str, Callable[..., object]] = {
    "first(array)": lambda items: items[0] if items else None,
    "last(array)": lambda items: items[-1] if items else None,
    "rest(array)": lambda items: items[1:] if items else None,
    "initial(array)": lambda items: items[:-1] if items else None,
    "append(array, any)": lambda items, item: [*items, item],
    "push(array, any)": lambda items, item: [*items, item],
    "prepend(array, any)": lambda items, item: [item, *items],
    "reverse(array)": lambda items: items[::-1],
    "uniq(array)": builtin_collections.unique,
    "without(array, any*)": _without,
    "has(any, any)": _has,
    "slice(array, any?, any?)": _slice,
    "chunk(int, array)": _chunk,
    "compact(array)": lambda items: [each for each in items if not is_empty(each)],
    "toRawJson(any)": lambda value: printing.to_json(value, html=False),
    "merge(map, map*)": _merge,
    "mergeOverwrite(map, map*)": _merge_overwrite,
    "deepCopy(any)": lambda value: value,
}

FUNCTIONS: Mapping[str, Function] = table(
    {
        **_LISTS,
        **{f"must{each[0].upper()}{each[1:]}": body for each, body in _LISTS.items()},
        "toJson(any)": _json_or_empty,
        "toPrettyJson(any)": lambda value: _json_or_empty(value, indent="  "),
        "mustToJson(any)": printing.to_json,
        "mustToPrettyJson(any)": lambda value: printing.to_json(value, indent="  "),
        "list(any*)": lambda *items: list(items),
        "tuple(any*)": lambda *items: list(items),
        "concat(array*)": lambda *lists: [each for items in lists for each in items],
        "dict(any*)": _dict,
        "get(map, string)": lambda mapping, key: mapping.get(key, ""),
        "set(map, string, any)": lambda mapping, key, value: {**mapping, key: value},
        "unset(map, string)": lambda mapping, key: {
            each: value for each, value in mapping.items() if each != key
        },
        "hasKey(map, string)": lambda mapping, key: key in mapping,
        "pluck(string, map*)": _pluck,
        "keys(map*)": _keys,
        "values(map)": lambda mapping: [
            value for _, value in builtin_collections.sorted_items(mapping)
        ],
        "pick(map, string*)": lambda mapping, *keys: {
            key: value for key, value in mapping.items() if key in keys
        },
        "omit(map, string*)": lambda mapping, *keys: {
            key: value for key, value in mapping.items() if key not in keys
        },
        "dig(any, any, any*)": _dig,
        "default(any, any*)": _default,
        "empty(any)": is_empty,
        "coalesce(any*)": _coalesce,
        "all(any*)": lambda *items: not any(map(is_empty, items)),
        "any(any*)": lambda *items: not all(map(is_empty, items)),
        "ternary(any, any, bool)": lambda yes, no, condition: yes if condition else no,
        "fromJson(string)": _from_json,
        "mustFromJson(string)": encoding.from_json,
        "deepEqual(any, any)": values.deep_equal,
        "kindOf(any)": _kind,
        "kindIs(string, any)": lambda kind, value: _kind(value) == kind,
    },
    lenient=True,
)
