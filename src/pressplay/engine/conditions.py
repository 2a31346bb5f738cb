"""Conditions and outputs of resource templates: selectors over paths into an object.

Source: Argo's documentation, "Kubernetes Resources", and Kubernetes' on label selectors.
Separated by commas, all must hold for success and any one is enough for failure, as in Argo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pressplay.base.errors import Refused
from pressplay.engine.expressions import paths
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.printing import to_json, to_text

_REQUIREMENT = re.compile(
    r"""
    \s* (?P<not>!)? \s* (?P<path>[A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?) \s*
    (?:
        (?P<op> == | = | != | > | < ) \s* (?P<value>[A-Za-z0-9_.-]*)
      | (?<=\s) (?P<set> in | notin ) \s* \( (?P<values>[A-Za-z0-9_.,\s-]*) \)
    )? \s*
    """,
    re.VERBOSE,
)
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True)
class Requirement:
    """One comparison; `op` is exists, !, ==, !=, in, notin, > or <."""

    path: str
    op: str
    values: tuple[str, ...] = ()

    def holds(self, obj: object) -> bool:
        """Whether the object satisfies it; a path that leads nowhere satisfies only negations."""
        is_there, found = _walk(obj, self.path)
        match self.op:
            case "exists":
                return is_there
            case "!":
                return not is_there
            case "!=" | "notin":
                return not is_there or as_text(found) not in self.values
            case "==" | "in":
                return is_there and as_text(found) in self.values
            case _:
                return is_there and _compare(as_text(found), self.op, self.values[0])


@dataclass(frozen=True)
class Condition:
    """Requirements separated by commas; false where there are none."""

    text: str
    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition. Raises Refused naming what could not be read."""
        requirements: list[Requirement] = []
        rest = text
        while rest.strip():
            found = _REQUIREMENT.match(rest)
            if found is None or (found.end() < len(rest) and rest[found.end()] != ","):
                raise Refused(f"condition {text!r}: cannot read {rest.strip()!r}")
            requirements.append(_requirement(found, text))
            rest = rest[found.end() + 1 :]
        return cls(text, tuple(requirements))

    def holds(self, obj: object, *, any_of: bool = False) -> bool:
        """Whether all requirements hold, or with `any_of` at least one."""
        answers = [requirement.holds(obj) for requirement in self.requirements]
        return any(answers) if any_of else bool(answers) and all(answers)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return self.text


def json_path(obj: object, path: str) -> str:
    """The text that a kubectl JSONPath such as `{.status.outputs.urls}` makes of an object.

    Maps and lists come as JSON, several values with spaces between them, and what stands outside
    of the braces as it is. Raises Refused naming a path that leads nowhere, where kubectl would
    print nothing, or a path without braces, which it would print as it is: an output that was
    mistyped should not pass for an empty one, or for a path.
    """
    if "{" not in path:
        raise Refused(f"jsonPath {path}: put the path into braces, as in {{{path}}}")
    made: list[str] = []
    end = 0
    for place in re.finditer(r"\{([^{}]*)\}", path):
        made.append(path[end : place.start()])
        made.append(_values_at(obj, place[1], path))
        end = place.end()
    made.append(path[end:])
    if "{" in made[-1] or "}" in "".join(made[::2]):
        raise Refused(f"jsonPath {path}: its braces do not match")
    return "".join(made)


def as_text(value: object) -> str:
    """A JSON value as text: strings as they are, nothing for null, all else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else to_json(value, html=False)
    except Fault:
        return to_text(value)


def _values_at(obj: object, inside: str, path: str) -> str:
    try:
        steps = paths.parse(inside)
    except Refused as error:
        raise Refused(f"jsonPath {path}: {error}") from error
    found = paths.find(obj, steps)
    if not found:
        raise Refused(f"jsonPath {path}: {_missing(obj, steps)} is not found")
    return " ".join("null" if each is None else as_text(each) for each in found)


def _missing(obj: object, steps: tuple[paths.Step, ...]) -> str:
    """The first step that leads nowhere."""
    for number, step in enumerate(steps, 1):
        if not paths.find(obj, steps[:number]):
            return "anything" if step.key is None else str(step.key)
    return "anything"


def _requirement(found: re.Match[str], text: str) -> Requirement:
    path = found["path"]
    if found["not"] and (found["op"] or found["set"]):
        raise Refused(f"condition {text!r}: cannot read '!' before a comparison")
    if found["set"]:
        values = tuple(each.strip() for each in found["values"].split(","))
        _check(values, text)
        return Requirement(path, found["set"], values)
    if found["op"]:
        _check((found["value"],), text)
        op = "==" if found["op"] == "=" else found["op"]
        if op in "<>" and not _INTEGER.fullmatch(found["value"]):
            raise Refused(f"condition {text!r}: cannot read {op}; it compares whole numbers only")
        return Requirement(path, op, (found["value"],))
    return Requirement(path, "!" if found["not"] else "exists")


def _check(values: tuple[str, ...], text: str) -> None:
    """Kubernetes compares with what can be the value of a label, and with nothing else."""
    for value in values:
        if not _VALUE.fullmatch(value):
            raise Refused(
                f"condition {text!r}: cannot compare with {value!r}: a value has up to 63 letters, "
                "digits, '-', '_' and '.', with a letter or a digit at both ends"
            )


def _walk(obj: object, path: str) -> tuple[bool, object]:
    """Whether the path leads somewhere, and to what; null is something."""
    found = obj
    for name in path.split("."):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return False, None
    return True, found


def _compare(text: str, op: str, limit: str) -> bool:
    if not _INTEGER.fullmatch(text):
        return False
    return int(text) > int(limit) if op == ">" else int(text) < int(limit)
