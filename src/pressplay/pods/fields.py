"""Reading a foreign document field by field, so that a refusal can name the field's path.

A key that nobody asked for is refused when it asks for something: dropping it silently would run
another pod than the one that was written. `null`, `false` and empty values ask for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from pressplay.base.errors import Refused


class Fields:
    """One mapping of a document, and where it stands."""

    def __init__(self, content: Mapping[str, Any], *, path: str) -> None:
        self.path = path
        self._content = content

    def at(self, key: str) -> str:
        """The path of a key: `spec.containers[0].image`."""
        return f"{self.path}.{key}" if self.path else key

    def only(self, known: Iterable[str], *, ignored: Iterable[str] = ()) -> tuple[str, ...]:
        """Refuse any other key that asks for something; answers the ignored ones that are set."""
        asked = {key for key, value in self._content.items() if value not in (None, False, "")}
        asked = {key for key in asked if self._content[key] not in ([], {}, ())}
        unknown = asked - set(known) - set(ignored)
        if unknown:
            raise Refused(
                f"{self.at(min(unknown))} is not supported by the local runtime; "
                "remove it, or run this on a cluster"
            )
        return tuple(self.at(key) for key in sorted(asked & set(ignored)))

    def has(self, key: str) -> bool:
        return self._content.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        """A string; numbers and booleans are no strings, as in Kubernetes."""
        value = self._content.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "must be a string; quote it")
        if "\0" in value:
            raise self.wrong(key, "holds a NUL character; remove it")
        return value

    def required(self, key: str) -> str:
        """A string that must not be empty."""
        value = self.text(key)
        if not value:
            raise self.wrong(key, "is missing; set it")
        return value

    def absolute(self, key: str, *, default: str = "") -> str:
        """An absolute path without `..`, tidied."""
        path = PurePosixPath(self.text(key) or default)
        if not path.is_absolute() or ".." in path.parts:
            raise self.wrong(key, "must be an absolute path without '..'")
        return "/" + "/".join(path.parts[1:])

    def relative(self, key: str) -> str:
        """A relative path without `..`, tidied; empty where there is none."""
        path = PurePosixPath(self.text(key))
        if path.is_absolute() or ".." in path.parts:
            raise self.wrong(key, "must be a relative path without '..'")
        return "/".join(path.parts)

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self._content.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def number(self, key: str, default: int = 0) -> int:
        value = self._content.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, "must be a whole number")
        return value

    def value(self, key: str) -> object:
        """Whatever is there, for a field of more than one type."""
        return self._content.get(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(
            Fields({"": each}, path=f"{self.at(key)}[{index}]").text("")
            for index, each in enumerate(self._list(key))
        )

    def each(self, key: str) -> tuple[Fields, ...]:
        """A list of mappings."""
        return tuple(
            fields_of(each, path=f"{self.at(key)}[{index}]")
            for index, each in enumerate(self._list(key))
        )

    def inside(self, key: str) -> Fields:
        """A mapping; an absent one is empty."""
        value = self._content.get(key)
        return fields_of({} if value is None else value, path=self.at(key))

    def wrong(self, key: str, what: str) -> Refused:
        """The refusal of one field, to be raised."""
        return Refused(f"{self.at(key) if key else self.path} {what}")

    def _list(self, key: str) -> list[Any]:
        value = self._content.get(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self.wrong(key, "must be a list")
        return list(value)


def fields_of(content: object, *, path: str) -> Fields:
    """The mapping `content`. Raises Refused for anything else, and for keys that are no strings."""
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise Refused(f"{path} must be a mapping with plain keys")
    return Fields(content, path=path)
