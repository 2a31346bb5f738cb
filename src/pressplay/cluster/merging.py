"""JSON merge patches: RFC 7386, with an account of what changed.

Equality is JSON's and not Python's: `true` is not `1`, so that setting one over the other is a
change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(target: dict[str, Any], patch: Mapping[str, Any]) -> set[str]:
    """Merge `patch` into `target`, which changes in place; the names whose values changed.

    The target may afterwards share values with the patch.
    """
    changed = set()
    for name, value in patch.items():
        if value is None:
            if name in target:
                del target[name]
                changed.add(name)
        elif isinstance(value, dict):
            if _merge_object(target, name, value):
                changed.add(name)
        elif name not in target or not same(target[name], value):
            target[name] = value
            changed.add(name)
    return changed


def without_nulls(patch: Mapping[str, Any]) -> dict[str, Any]:
    """What `patch` makes where nothing was before; nulls inside lists stay."""
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in patch.items()
        if value is not None
    }


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The patch that makes `new` of `old`; a null in `new` counts as absent."""
    patch: dict[str, Any] = {name: None for name in old if new.get(name) is None}
    for name, value in new.items():
        if value is None:
            continue
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := diff(before, value):
                patch[name] = inner
        elif name not in old or not same(before, value):
            patch[name] = value
    return patch


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON values
    """Whether two JSON values are equal; the order of an object's names does not count."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _merge_object(target: dict[str, Any], name: str, value: Mapping[str, Any]) -> bool:
    before = target.get(name)
    if isinstance(before, dict):
        return bool(merge(before, value))
    target[name] = without_nulls(value)
    return True
