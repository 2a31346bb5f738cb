"""Texts into values and back, with the strictness of Go's packages encoding/json and strconv."""

from __future__ import annotations

import base64
import binascii
import json
import re

from pressplay.engine.expressions.errors import Fault

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:inf|infinity)|nan",
    re.ASCII | re.IGNORECASE,
)
_HEX_FLOAT = re.compile(
    r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?\d{1,6}", re.ASCII | re.IGNORECASE
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_int(text: str) -> int:
    """A whole number in decimal, without spaces. Raises ValueError."""
    number = int(text) if _INTEGER.fullmatch(text) else 2**63
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{text[:40]!r} is no integer")
    return number


def parse_float(text: str) -> float:
    """A number as Go's ParseFloat reads it. Raises ValueError."""
    if _FLOAT.fullmatch(text):
        number = float(text)
    elif _HEX_FLOAT.fullmatch(text):
        number = float.fromhex(text)
    else:
        raise ValueError(f"{text[:40]!r} is no number")
    if number in (float("inf"), float("-inf")) and "n" not in text.lower():
        raise ValueError(f"{text[:40]!r} is out of range")
    return number


def from_json(text: str) -> object:
    """A JSON document; every number in it is a float. Raises Fault."""
    try:
        value: object = json.loads(
            text, parse_int=_json_number, parse_float=_json_number, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise Fault(f"invalid JSON: {error}") from error
    return _clean(value) if "\\u" in text else value


def _json_number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _no_constant(text: str) -> object:
    raise ValueError(f"unexpected {text}")


def _clean(value: object) -> object:
    """The value without half surrogate pairs, which no text may hold."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    return value


def to_base64(text: str) -> str:
    """The text's UTF-8 bytes in base64."""
    return base64.b64encode(text.encode(errors="replace")).decode()


def from_base64(text: str) -> str:
    """The text behind base64. Raises ValueError."""
    plain = text.replace("\r", "").replace("\n", "")
    try:
        return base64.b64decode(plain, validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise ValueError(f"illegal base64 data: {error}") from error
