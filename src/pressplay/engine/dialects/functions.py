"""The functions that Argo's expressions have: expr-lang's common ones, Argo's own, sprig's.

Sources: expr-lang's "Language Definition" page; Argo's "Workflow Variables", "Expression"; the
documentation of sprig. What is not here is an unknown name, and said to be one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

from pressplay.engine.conditions import json_path


def _as_int(value: object) -> int:
    return int(float(value)) if isinstance(value, (int, float)) else int(str(value), 10)


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _text(value: object) -> str:
    """A value as Go prints it: whole floats without a point, booleans in lower case."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return _to_json(value)


def _replace(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


_EXPR: Mapping[str, Callable[..., object]] = {
    "len": len,
    "trim": lambda text, chars=None: text.strip(chars),
    "trimPrefix": lambda text, prefix: text.removeprefix(prefix),
    "trimSuffix": lambda text, suffix: text.removesuffix(suffix),
    "upper": str.upper,
    "lower": str.lower,
    "split": lambda text, by: text.split(by),
    "join": lambda items, by="": by.join(items),
    "replace": lambda text, old, new: text.replace(old, new),
    "hasPrefix": str.startswith,
    "hasSuffix": str.endswith,
    "indexOf": str.find,
    "int": _as_int,
    "float": float,
    "string": _text,
    "toJSON": _to_json,
    "fromJSON": json.loads,
    "toBase64": lambda text: base64.b64encode(text.encode()).decode(),
    "fromBase64": lambda text: base64.b64decode(text).decode(),
    "keys": sorted,
    "values": lambda table: [table[key] for key in sorted(table)],
    "abs": abs,
    "max": max,
    "min": min,
    "first": lambda items: items[0] if items else None,
    "last": lambda items: items[-1] if items else None,
}
_ARGO: Mapping[str, Callable[..., object]] = {
    "asInt": _as_int,
    "asFloat": float,
    "toJson": _to_json,
    "jsonpath": lambda text, path: json_path(json.loads(text), path.removeprefix("$")),
}
_SPRIG: Mapping[str, Callable[..., object]] = {
    "trim": str.strip,
    "trimPrefix": lambda prefix, text: text.removeprefix(prefix),
    "trimSuffix": lambda suffix, text: text.removesuffix(suffix),
    "trimAll": lambda chars, text: text.strip(chars),
    "upper": str.upper,
    "lower": str.lower,
    "replace": _replace,
    "contains": lambda part, text: part in text,
    "hasPrefix": lambda prefix, text: text.startswith(prefix),
    "hasSuffix": lambda suffix, text: text.endswith(suffix),
    "splitList": lambda by, text: text.split(by),
    "join": lambda by, items: by.join(items),
    "fromJson": json.loads,
    "toJson": _to_json,
    "b64enc": lambda text: base64.b64encode(text.encode()).decode(),
    "b64dec": lambda text: base64.b64decode(text).decode(),
    "default": lambda other, value=None: value or other,
    "ternary": lambda yes, no, condition: yes if condition else no,
    "trunc": lambda length, text: text[:length] if length >= 0 else text[length:],
    "int": _as_int,
    "toString": _text,
}

FUNCTIONS: Mapping[str, Callable[..., object]] = {**_EXPR, **_ARGO}
VARIABLES: Mapping[str, object] = {"sprig": _SPRIG}


def as_text(value: object) -> str:
    """What a tag `{{=…}}` becomes: the result as JSON, outer quotes trimmed, as in Argo."""
    if isinstance(value, str):
        return value
    return _text(value)
