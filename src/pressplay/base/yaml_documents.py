"""Reading YAML that somebody else wrote, into plain JSON values, or Refused.

The usual loaders keep the last of two equal keys, turn `no` into false, expand aliases without
end and overflow the stack on deep nesting. So this builds values from the parser's events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from pressplay.base import documents
from pressplay.base.errors import Refused

# Scalars without quotes, after YAML 1.2's core schema (section 10.3.2), without octal and hex.
_NULL = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?\Z")


def read_yaml(text: str, *, source: str) -> object:
    """The one YAML document in `text` as a JSON value; an empty document is None.

    Only what JSON can say too: raises Refused for anchors, aliases, tags, a key given twice or
    that is no text, several documents, and whatever is not YAML.
    """
    try:
        value = _Builder(yaml.parse(text, Loader=yaml.CSafeLoader), source).document()
    except (yaml.YAMLError, UnicodeError) as error:
        said = " ".join(str(error).split())[:300]
        raise Refused(f"{source} is not YAML: {said}") from error
    documents.check_plain(value, source=source)
    return value


class _Builder:
    """Builds a value from a stream of YAML events, without the loaders' conveniences."""

    def __init__(self, events: Iterator[yaml.Event], source: str) -> None:
        self._events = events
        self._source = source

    def document(self) -> object:
        """The value of the stream's only document."""
        value: object = None
        found = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                found += 1
            elif isinstance(event, yaml.NodeEvent):
                value = self._value(event, 0)
            if found > 1:
                raise Refused(f"{self._source} holds several documents; keep one")
        return value

    def _value(self, event: yaml.Event, depth: int) -> object:
        self._refuse_conveniences(event, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        if isinstance(event, yaml.ScalarEvent):
            without_quotes = event.implicit[0]
            return _scalar(event.value) if without_quotes else event.value
        raise self._refused(event, f"unexpected {type(event).__name__}")

    def _mapping(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                raise self._refused(event, f"key {str(key)[:40]!r} is no text; put it in quotes")
            if key in found:
                raise self._refused(event, f"the key {key[:80]!r} is given twice; keep one")
            found[key] = self._value(next(self._events), depth + 1)
        return found

    def _sequence(self, depth: int) -> list[object]:
        found: list[object] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._value(event, depth + 1))
        return found

    def _refuse_conveniences(self, event: yaml.Event, depth: int) -> None:
        if depth > documents.DEPTH_LIMIT:
            limit = documents.DEPTH_LIMIT
            raise self._refused(event, f"nesting deeper than {limit} levels; make it flatter")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise self._refused(event, "anchors and aliases are not read; write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._refused(event, f"the tag {str(tag)[:40]!r} is not read; leave it away")

    def _refused(self, event: yaml.Event, complaint: str) -> Refused:
        line = f", line {event.start_mark.line + 1}" if event.start_mark else ""
        return Refused(f"{self._source}{line}: {complaint}")


def _scalar(text: str) -> object:
    """A scalar without quotes; what is no null, boolean or number is text."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text
