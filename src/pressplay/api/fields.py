"""Reading an object's spec field by field: what is asked for is known, the rest is refused.

Empty text means not given, because a template hands over every parameter it knows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pressplay.api import parameters
from pressplay.base.errors import Refused

_LEAST_ALIKE = 0.6


class Fields:
    """The fields of one JSON object; `where` is its path for messages."""

    def __init__(self, data: object, *, where: str) -> None:
        if not isinstance(data, dict):
            raise Refused(f"{where} must be an object")
        self._data: Mapping[str, Any] = data
        self._where = where
        self._known: list[str] = []

    def text(self, name: str, pattern: re.Pattern[str], *, wanted: str) -> str:
        """A text that is empty or fits the pattern; `wanted` says in words what fits."""
        value = self._take(name, "")
        if not isinstance(value, str):
            raise self._refused(name, "must be text")
        if value and not pattern.fullmatch(value):
            raise self._refused(name, f"is {value[:60]!r}; it must be {wanted}")
        return value

    def parameter(self, name: str, *, rule: str = "") -> str:
        """A text under the rule of the run parameter `rule`, or of the same name; plain form."""
        value = self._take(name, "")
        if not isinstance(value, str):
            raise self._refused(name, "must be text")
        try:
            return parameters.check(rule or name, value)
        except Refused as error:
            raise self._refused(name, f"is not allowed: {error}") from error

    def choice(self, name: str, choices: tuple[str, ...], *, default: str = "") -> str:
        """One of the texts, or the default where nothing is given."""
        value = self._take(name, "")
        if value in ("", None):
            return default
        if value not in choices:
            raise self._refused(name, f"is {str(value)[:60]!r}; use one of: {', '.join(choices)}")
        return str(value)

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number within the bounds, or None."""
        value = self._take(name, None)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._refused(name, f"must be a whole number from {least} to {most}")
        return value

    def amount(self, name: str, *, most: float) -> float | None:
        """A number from 0 up to the bound, or None."""
        value = self._take(name, None)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._refused(name, f"must be a number from 0 to {most:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false; false where nothing is given."""
        value = self._take(name, None)
        if value is not None and not isinstance(value, bool):
            raise self._refused(name, "must be true or false")
        return bool(value)

    def texts(self, name: str, *, most: int, longest: int) -> tuple[str, ...]:
        """A list of texts, at most so many, each at most so long."""
        values = self._list(name, most=most)
        for index, value in enumerate(values):
            if not isinstance(value, str) or len(value) > longest:
                raise self._refused(f"{name}[{index}]", f"must be text of at most {longest} signs")
        return tuple(values)

    def inner(self, name: str) -> Fields | None:
        """The fields of an object inside this one, or None."""
        value = self._take(name, None)
        return None if value is None else Fields(value, where=f"{self._where}.{name}")

    def each(self, name: str, *, most: int) -> tuple[Fields, ...]:
        """The fields of every object of a list, at most so many."""
        values = self._list(name, most=most)
        return tuple(
            Fields(value, where=f"{self._where}.{name}[{index}]")
            for index, value in enumerate(values)
        )

    def has(self, name: str) -> bool:
        """Whether something is given."""
        return self._take(name, None) not in (None, "")

    def close(self) -> None:
        """Raises Refused for a field that nobody asked for, naming the nearest that is known."""
        for name in self._data:
            if name not in self._known:
                near = difflib.get_close_matches(name, self._known, n=1, cutoff=_LEAST_ALIKE)
                known = ", ".join(sorted(self._known))
                hint = f"did you mean {near[0]!r}?" if near else f"known: {known}"
                raise self._refused(name[:60], f"is unknown; {hint}")

    def _take(self, name: str, default: Any) -> Any:  # noqa: ANN401 - JSON enters here
        if name not in self._known:
            self._known.append(name)
        value = self._data.get(name)
        return default if value is None else value

    def _list(self, name: str, *, most: int) -> list[Any]:
        value = self._take(name, [])
        if not isinstance(value, list) or len(value) > most:
            raise self._refused(name, f"must be a list of at most {most}")
        return value

    def _refused(self, name: str, complaint: str) -> Refused:
        return Refused(f"{self._where}.{name} {complaint}")


def refuse_templates(value: object, *, where: str) -> None:
    """Raises Refused where any text within a JSON value holds template braces."""
    if isinstance(value, str) and "{{" in value:
        raise Refused(f"{where} holds '{{{{'; template text is never a value")
    if isinstance(value, dict):
        for name, each in value.items():
            refuse_templates(name, where=f"a name in {where}")
            refuse_templates(each, where=f"{where}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            refuse_templates(each, where=f"{where}[{index}]")
