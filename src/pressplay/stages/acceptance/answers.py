"""Whether one answer is a good one; pure."""

from __future__ import annotations

import re

from pressplay.api.policy import Absent, BodyCheck, Endpoint
from pressplay.base import documents
from pressplay.base.errors import Refused

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]+)\]|\['([^']*)'\]")


def complaint(endpoint: Endpoint, *, status: int, body: bytes) -> str:
    """What is wrong with an answer, in a few words; empty where nothing is."""
    if status not in endpoint.expect:
        wanted = " or ".join(str(each) for each in endpoint.expect)
        return f"status {status}, expected {wanted}"
    return "" if endpoint.body is None else _body_complaint(endpoint.body, body)


def find(value: object, jsonpath: str) -> object:
    """The value at `jsonpath` (the policy's subset), or Absent where there is none."""
    for name, index, quoted in _STEP.findall(jsonpath):
        if index:
            inside = isinstance(value, list) and int(index) < len(value)
            value = value[int(index)] if isinstance(value, list) and inside else Absent.ABSENT
        elif isinstance(value, dict):
            value = value.get(name or quoted, Absent.ABSENT)
        else:
            return Absent.ABSENT
    return value


def is_same(one: object, other: object) -> bool:
    """Equality as JSON means it: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(is_same(a, b) for a, b in pairs)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    return one == other


def _body_complaint(check: BodyCheck, body: bytes) -> str:
    try:
        found = find(documents.read_json(body, source="body"), check.jsonpath)
    except Refused:
        return "body: not JSON"
    if found is Absent.ABSENT:
        return f"body: nothing at {check.jsonpath}"
    if check.equals is not Absent.ABSENT and not is_same(found, check.equals):
        return f"body: another value at {check.jsonpath}"
    if check.contains and not (isinstance(found, str) and check.contains in found):
        return f"body: the wanted text is not at {check.jsonpath}"
    return ""
