"""Reading JSON that somebody else wrote, into plain values, or Refused.

The usual loader keeps the last of two equal keys, takes NaN and overflows the stack on deep
nesting. A gate's rules must not depend on any of that. YAML: see `yaml_documents`.
"""

from __future__ import annotations

import json
import math
from typing import NoReturn

from pressplay.base.errors import Refused

DEPTH_LIMIT = 64
"""Deepest nesting that is read."""


def read_json(data: bytes | str, *, source: str) -> object:
    """The JSON value in `data`; `source` names it in messages.

    Raises Refused for what is not JSON after RFC 8259, for a key given twice, for text that is
    not UTF-8 and for nesting deeper than DEPTH_LIMIT.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{source} is not plain JSON: {error}") from error
    check_plain(value, source=source)
    return value


def canonical_json(value: object) -> bytes:
    """`value` in the one form that digests and signatures are made over: sorted keys, no blanks."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def check_plain(value: object, *, source: str, depth: int = 0) -> None:
    """Raise Refused unless `value` is made of what JSON can say, finite and not too deep."""
    if depth > DEPTH_LIMIT:
        raise Refused(f"{source} is nested deeper than {DEPTH_LIMIT} levels; make it flatter")
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise Refused(f"{source} has the key {key!r}; put keys in quotes")
            _check_scalar(key, source)
            check_plain(each, source=source, depth=depth + 1)
    elif isinstance(value, list):
        for each in value:
            check_plain(each, source=source, depth=depth + 1)
    else:
        _check_scalar(value, source)


def _check_scalar(value: object, source: str) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Refused(f"{source} holds half a character (a lone surrogate)") from error
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Refused(f"{source} holds a number that is too large, or none")
    elif value is not None and not isinstance(value, (bool, int)):
        raise Refused(f"{source} holds {str(value)[:40]!r}, which JSON cannot say")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


# Made once: to make a decoder takes longer than it takes to read a line of samples.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
