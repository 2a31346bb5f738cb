"""JSON Schema with messages that say what to do.

A validator's own words ("is not valid under any of the schemas") help nobody: here an unknown key
names its nearest known one, and a wrong value brings the schema's description of the right one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pressplay.base.errors import Refused

if TYPE_CHECKING:
    import jsonschema_rs

VALUE_LIMIT = 80
"""Longest piece of a refused value that a message repeats."""


@dataclass(frozen=True)
class Problem:
    """One place that does not fit; `path` is dotted, empty for the whole value."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Schema:
    """One compiled schema, Draft 2020-12; references inside it are not followed for hints."""

    def __init__(self, document: dict[str, Any]) -> None:
        # Imported here: it costs 25 ms, and many a process that knows schemas checks nothing.
        import jsonschema_rs  # noqa: PLC0415 - keeps it off the start path

        self.document = document
        self._validator = jsonschema_rs.Draft202012Validator(document, offline=True)

    @classmethod
    def from_file(cls, path: Path) -> Schema:
        """The schema in a file of the package."""
        return cls(json.loads(path.read_text()))

    def problems(self, value: Any) -> tuple[Problem, ...]:  # noqa: ANN401 - JSON enters here
        """Everything that does not fit, in the order found; `value` must be a plain JSON value."""
        return tuple(
            problem
            for error in self._validator.iter_errors(value)
            for problem in self._explain(error)
        )

    def check(self, value: Any, *, source: str) -> None:  # noqa: ANN401 - JSON enters here
        """Raise Refused, naming up to five problems, unless `value` fits; `source` says whose."""
        found = self.problems(value)
        if found:
            shown = "; ".join(str(problem) for problem in found[:5])
            more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
            raise Refused(f"{source}: {shown}{more}")

    def _explain(self, error: jsonschema_rs.ValidationError) -> Iterable[Problem]:
        path = dotted(error.instance_path)
        around = self._around(error.schema_path)
        unexpected = getattr(error.kind, "unexpected", None)
        if unexpected is not None:
            known = sorted(around.get("properties", {}))
            return [Problem(path, _unknown_key(key, known)) for key in unexpected]
        missing = getattr(error.kind, "property", None)
        if missing is not None:
            return [Problem(path, f"the key {missing!r} is missing")]
        wanted = around.get("description")
        if wanted:
            return [Problem(path, f"{_shown(error.instance)} does not fit; expected: {wanted}")]
        return [Problem(path, _cut(error.message))]

    def _around(self, schema_path: Sequence[str | int]) -> dict[str, Any]:
        """The part of the document that holds the keyword which did not hold."""
        node: Any = self.document
        for part in schema_path[:-1]:
            try:
                node = node[part]
            except (LookupError, TypeError):
                return {}
        return node if isinstance(node, dict) else {}


def dotted(parts: Sequence[str | int]) -> str:
    """`["a", 0, "b"]` as `a[0].b`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {_cut(repr(key))}; {hint}"


def _shown(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_LIMIT * 2 else f"{text[:VALUE_LIMIT]}…{text[-20:]}"
