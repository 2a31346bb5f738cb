"""Strategic merge patches: what `kubectl apply` sends for Kubernetes' own kinds.

Lists of named things merge by their names, and directives that begin with `$` say what a plain
merge cannot. Source: Kubernetes' design page "strategic-merge-patch"; the keys are the
patchMergeKey tags of its API types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "volumeMounts": ("mountPath",),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    # A container's ports, and a Service's.
    "ports": ("containerPort", "port"),
}
_ORDER = "$setElementOrder/"
_REMOVE = "$deleteFromPrimitiveList/"


def merge(current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The object after the patch; neither of the two changes."""
    if patch.get("$patch") == "replace":
        return _without_directives(patch)
    result = dict(current)
    for name, value in patch.items():
        if name.startswith(_REMOVE):
            field = name.removeprefix(_REMOVE)
            result[field] = [each for each in result.get(field, ()) if each not in value]
        elif not name.startswith("$"):
            _merge_field(result, name, value)
    for name, order in patch.items():
        if name.startswith(_ORDER):
            _sort(result, name.removeprefix(_ORDER), order)
    if "$retainKeys" in patch:
        return {name: each for name, each in result.items() if name in patch["$retainKeys"]}
    return result


def _merge_field(result: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401 - JSON
    before = result.get(name)
    if value is None:
        result.pop(name, None)
    elif isinstance(value, dict):
        if value.get("$patch") == "delete":
            result.pop(name, None)
        else:
            result[name] = merge(before if isinstance(before, dict) else {}, value)
    elif isinstance(value, list) and _key_of(name, value):
        result[name] = _merge_list(before or [], value, key=_key_of(name, value))
    else:
        result[name] = value


def _merge_list(
    before: list[dict[str, Any]], patch: list[dict[str, Any]], *, key: str
) -> list[dict[str, Any]]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [_without_directives(item) for item in patch if "$patch" not in item]
    result = {item.get(key): item for item in before}
    for item in patch:
        if item.get("$patch") == "delete":
            result.pop(item.get(key), None)
        else:
            result[item.get(key)] = merge(result.get(item.get(key), {}), item)
    return list(result.values())


def _sort(result: dict[str, Any], name: str, order: list[Any]) -> None:
    """Put a list's items into the order that the patch gives; others stay behind."""
    items = result.get(name)
    if not isinstance(items, list):
        return
    key = _key_of(name, items)
    wanted = [each.get(key) if isinstance(each, dict) else each for each in order]

    def place(item: Any) -> int:  # noqa: ANN401 - JSON
        mark = item.get(key) if isinstance(item, dict) else item
        return wanted.index(mark) if mark in wanted else len(wanted)

    result[name] = sorted(items, key=place)


def _key_of(name: str, items: list[Any]) -> str:
    """The field by which the items of a list are known; empty where the list is one value."""
    if not items or not all(isinstance(item, dict) for item in items):
        return ""
    for key in _MERGE_KEYS.get(name, ()):
        if all(key in item or "$patch" in item for item in items):
            return key
    return ""


def _without_directives(patch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in patch.items() if not name.startswith("$")}
