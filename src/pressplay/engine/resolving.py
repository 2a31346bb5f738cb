"""Template tags: `{{name}}` and `{{=expression}}`, filled in once.

What was filled in is never read again. Argo reads its own output two or three times, so that a
value that holds a tag is run by the controller; here a value stays a value.
Source of the names: Argo's documentation, "Workflow Variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.dialects import expr, functions
from pressplay.engine.dialects.syntax import ExpressionError

_TAG = re.compile(r"\{\{(=?)(.*?)\}\}", re.DOTALL)
_LATE = re.compile(r"\b(?:item|retries|lastRetry|workflow\.(?:status|failures))\b")
_KNOWN = ("inputs.", "outputs.", "steps.", "tasks.", "workflow.", "item", "pod.", "node.")


class Unresolved(Refused):
    """A tag of a known kind that refers to nothing."""


class Scope:
    """Texts by flat dotted name: `inputs.parameters.x`, `tasks.a.outputs.result`, …"""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def with_(self, more: Mapping[str, str]) -> Scope:
        """The same with more names, or other texts for some."""
        return Scope({**self._names, **more})

    def get(self, name: str) -> str | None:
        """The text of a name, or None."""
        return self._names.get(name)

    def nested(self) -> Mapping[str, object]:
        """The names as nested maps, as expressions see them."""
        return self._nested

    @cached_property
    def _nested(self) -> Mapping[str, object]:
        root: dict[str, Any] = {}
        for name, value in self._names.items():
            at = root
            parts = _split(name)
            for part in parts[:-1]:
                at = at.setdefault(part, {})
                if not isinstance(at, dict):
                    break
            if isinstance(at, dict):
                at[parts[-1]] = value
        return root


def substitute(template: object, scope: Scope, *, strict: bool = False) -> Any:  # noqa: ANN401
    """Fill in every text of a JSON value. With `strict`, a known tag without a value is refused."""
    if isinstance(template, str):
        return substitute_text(template, scope, strict=strict)
    if isinstance(template, Mapping):
        return {key: substitute(value, scope, strict=strict) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [substitute(value, scope, strict=strict) for value in template]
    return template


def substitute_text(text: str, scope: Scope, *, strict: bool = False) -> str:
    """Fill in one text. Raises Unresolved (with `strict`) and ExpressionError."""
    if "{{" not in text:
        return text

    def fill(tag: re.Match[str]) -> str:
        found = _expression(tag, scope) if tag[1] else scope.get(tag[2].strip())
        if found is not None:
            return found
        if strict and (tag[1] or tag[2].strip().startswith(_KNOWN)):
            raise Unresolved(f"failed to resolve references: unable to substitute {tag[0]}")
        return tag[0]

    return _TAG.sub(fill, text)


def tags_in(text: str) -> tuple[str, ...]:
    """What the tags of a text say, in order."""
    return tuple(tag[2].strip() for tag in _TAG.finditer(text))


def _expression(tag: re.Match[str], scope: Scope) -> str | None:
    """The text of `{{=…}}`; None where it yields nil or names what comes later."""
    try:
        value = expr.evaluate(tag[2].strip(), scope.nested())
    except ExpressionError:
        if _LATE.search(tag[2]):
            return None
        raise
    return None if value is None else functions.as_text(value)


def _split(name: str) -> list[str]:
    """Parts of a flat name; what follows `parameters` or `artifacts` is one part."""
    for marker in (".parameters.", ".artifacts.", ".labels.", ".annotations."):
        head, found, tail = name.partition(marker)
        if found:
            return [*head.split("."), marker.strip("."), tail]
    return name.split(".")
