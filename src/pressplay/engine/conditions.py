"""Conditions and outputs of resource templates: selectors over paths into an object.

Source: Argo's documentation, "Kubernetes Resources"; the grammar is that of label selectors.
Separated by commas, all must hold for success and any one is enough for failure, as in Argo.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pressplay.base.errors import Refused

_REQUIREMENT = re.compile(
    r"\s*(?P<not>!)?(?P<path>[A-Za-z0-9_./@#-]+)\s*"
    r"(?:(?P<op>==|=|!=|>|<)\s*(?P<value>[^,()]*)|(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?\s*"
)
_JSON_PATH = re.compile(r"\.([A-Za-z0-9_-]+)|\[(?:'([^']*)'|\"([^\"]*)\"|(\d+))\]")


@dataclass(frozen=True)
class Requirement:
    """One comparison; `op` is exists, !, ==, !=, in, notin, > or <."""

    path: str
    op: str
    values: tuple[str, ...] = ()

    def holds(self, obj: object) -> bool:
        """Whether the object satisfies it; a path that leads nowhere satisfies only negations."""
        found = _walk(obj, self.path)
        if self.op in ("exists", "!"):
            return (found is not None) == (self.op == "exists")
        text = None if found is None else as_text(found)
        if self.op in ("==", "in"):
            return text in self.values
        if self.op in ("!=", "notin"):
            return text not in self.values
        return _compare(text, self.op, self.values[0])


@dataclass(frozen=True)
class Condition:
    """Requirements separated by commas; false where there are none."""

    text: str
    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition. Raises Refused naming what could not be read."""
        requirements = []
        rest = text
        while rest.strip():
            found = _REQUIREMENT.match(rest)
            if found is None or (found.end() < len(rest) and rest[found.end()] != ","):
                raise Refused(f"condition {text!r}: cannot read {rest.strip()!r}")
            requirements.append(_requirement(found))
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
    """The text at a kubectl JSONPath such as `{.status.outputs.urls}`.

    Objects and lists come as JSON. Raises Refused naming a path that leads nowhere.
    """
    inner = path.strip().removeprefix("{").removesuffix("}")
    found: object = obj
    at = 0
    while at < len(inner):
        step = _JSON_PATH.match(inner, at)
        if step is None:
            raise Refused(f"jsonPath {path}: cannot read {inner[at:]!r}")
        name = next(part for part in step.groups() if part is not None)
        found = _step(found, name)
        if found is None:
            raise Refused(f"jsonPath {path}: {name} is not found")
        at = step.end()
    return as_text(found)


def as_text(value: object) -> str:
    """A JSON value as text: strings as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _requirement(found: re.Match[str]) -> Requirement:
    path = found["path"]
    if found["set"]:
        values = tuple(each.strip() for each in found["values"].split(","))
        return Requirement(path, found["set"], values)
    if found["op"]:
        op = "==" if found["op"] == "=" else found["op"]
        return Requirement(path, op, (found["value"].strip(),))
    return Requirement(path, "!" if found["not"] else "exists")


def _walk(obj: object, path: str) -> object:
    found = obj
    for name in path.split("."):
        found = _step(found, name)
    return found


def _step(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        found: object = value[int(name)]
        return found
    return None


def _compare(text: str | None, op: str, limit: str) -> bool:
    try:
        number, other = int(text or ""), int(limit)
    except ValueError:
        return False
    return number > other if op == ">" else number < other
