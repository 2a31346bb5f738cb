"""Template tags: `{{name}}` and `{{=expression}}`, filled in once.

What was filled in is never read again. Argo reads its own output two or three times, so that a
value that holds a tag is run by the controller; here a value stays a value. A value goes into its
text as it is; Argo's detour over JSON comes to the same.
Source of the names: Argo's documentation, "Workflow Variables".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.expressions import expr
from pressplay.engine.expressions.errors import ExpressionError
from pressplay.engine.expressions.references import Reference

# What only a later pass can know: an expression that names one of them waits for it.
LATE = ("item", "retries", "lastRetry", "workflow.status", "workflow.failures")

# From the first pair of braces on: a stray `{{` takes the next tag along, as in Argo.
_TAG = re.compile(r"\{\{(=?)(.*?)\}\}", re.DOTALL)
_KNOWN = frozenset(
    {"inputs", "outputs", "steps", "tasks", "workflow", "item", "pod", "node"}
    | {"retries", "lastRetry", "cronworkflow"}
)
_LINKS = 16


class Unresolved(Refused):
    """A tag of a known kind that refers to nothing."""


class Scope(Mapping[str, str]):
    """Texts by flat dotted name: `inputs.parameters.x`, `tasks.a.outputs.result`, …

    Never changes; `with_` shares what it can, so that a scope for each step of a run is cheap.
    """

    __slots__ = ("_links", "_nested", "_outer")

    def __init__(self, names: Mapping[str, str]) -> None:
        self._links: tuple[Mapping[str, str], ...] = (dict(names),)
        self._outer: Scope | None = None
        self._nested: Mapping[str, object] | None = None

    def with_(self, more: Mapping[str, str]) -> Scope:
        """The same with more names, or other texts for some."""
        if len(self._links) == _LINKS:
            return Scope({**self, **more})
        made = Scope(more)
        made._links += self._links
        made._outer = self
        return made

    def __getitem__(self, name: str) -> str:
        for link in self._links:
            if name in link:
                return link[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for link in reversed(self._links) for name in link))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def nested(self) -> Mapping[str, object]:
        """The names as maps in maps, as expressions see them; not to be changed.

        Where one name continues another (`item` and `item.key`), the longer one stays.
        """
        if self._nested is None:
            outer = {} if self._outer is None else self._outer.nested()
            self._nested = _grafted(outer, self._links[0])
        return self._nested

    def has(self, path: tuple[str, ...]) -> bool:
        """Whether an expression that names this path finds something."""
        if ".".join(path) in self:
            return True
        found: object = self.nested()
        for part in path:
            if not isinstance(found, Mapping) or part not in found:
                return False
            found = found[part]
        return True


def substitute(
    template: object,
    scope: Mapping[str, str],
    *,
    strict: bool = False,
    late: tuple[str, ...] = LATE,
) -> Any:  # noqa: ANN401 - JSON, of the same shape as the template
    """Fill in every text of a JSON value, keys too. See `substitute_text`."""
    scope = scope if isinstance(scope, Scope) else Scope(scope)
    return _filled(template, _Filler(scope, strict=strict, late=late))


def substitute_text(
    text: str,
    scope: Mapping[str, str],
    *,
    strict: bool = False,
    late: tuple[str, ...] = LATE,
) -> str:
    """Fill in one text.

    A tag that cannot be filled in stays as it is, also an expression that fails or comes to nil.
    With `strict`, one of a known kind is refused, but for expressions that name something of `late`
    that the scope lacks. Raises Unresolved, and ExpressionError for an expression that cannot even
    be read.
    """
    if "{{" not in text:
        return text
    scope = scope if isinstance(scope, Scope) else Scope(scope)
    return _Filler(scope, strict=strict, late=late).text(text)


def tags_in(text: str) -> tuple[str, ...]:
    """The names that the tags of a text refer to, in order, each once. Raises ExpressionError."""
    names: list[str] = []
    for tag in _TAG.finditer(text, 0, max(text.rfind("}}") + 2, 0)):
        if tag[1]:
            names += (reference.name for reference in expr.parse(tag[2]).references)
        else:
            names.append(tag[2].strip())
    return tuple(dict.fromkeys(names))


class _Filler:
    def __init__(self, scope: Scope, *, strict: bool, late: tuple[str, ...]) -> None:
        self._scope = scope
        self._is_strict = strict
        self._late = tuple(tuple(name.split(".")) for name in late)

    def text(self, text: str) -> str:
        """The text with its tags filled in."""
        # Behind the last end there is no tag; without this, many beginnings would cost the square.
        end = text.rfind("}}") + 2
        return _TAG.sub(self._fill, text[:end]) + text[end:] if end > 1 else text

    def _fill(self, tag: re.Match[str]) -> str:
        if tag[1]:
            return self._expression(tag)
        name = tag[2].strip()
        value = self._scope.get(name)
        if value is not None:
            return value
        before, _, inner = tag[2].rpartition("{{")
        if before and inner in self._scope:
            return f"{{{{{before}{self._scope[inner]}"
        if self._is_strict and name.partition(".")[0] in _KNOWN:
            raise _unresolved(tag)
        return tag[0]

    def _expression(self, tag: re.Match[str]) -> str:
        program = expr.parse(tag[2])
        missing = [each for each in program.references if not self._scope.has(each.path)]
        if any(map(self._is_late, missing)):
            return tag[0]
        strict = self._is_strict and all(map(_is_known, missing))
        if strict and not all(each.is_guarded for each in missing):
            raise _unresolved(tag)
        try:
            value = program.evaluate_text(self._scope.nested())
        except ExpressionError:
            if strict:
                raise
            value = None
        if value is None and strict:
            raise _unresolved(tag)
        return tag[0] if value is None else value

    def _is_late(self, missing: Reference) -> bool:
        return any(
            missing.path[: len(late)] == late and not self._scope.has(late) for late in self._late
        )


def _is_known(reference: Reference) -> bool:
    return reference.path[0] in _KNOWN


def _unresolved(tag: re.Match[str]) -> Unresolved:
    return Unresolved(f"failed to resolve references: unable to substitute {tag[0]}")


def _filled(template: object, filler: _Filler) -> object:
    if isinstance(template, str):
        return filler.text(template) if "{{" in template else template
    if isinstance(template, Mapping):
        return {_filled(key, filler): _filled(value, filler) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(value, filler) for value in template]
    return template


def _grafted(tree: Mapping[str, object], names: Mapping[str, str]) -> Mapping[str, object]:
    """The tree with the names in it; the branches that change are copied, each once."""
    made: dict[str, object] = dict(tree)
    copied = {id(made)}
    for name, value in names.items():
        *way, last = name.split(".")
        at = made
        for part in way:
            below = at.get(part)
            if not isinstance(below, dict) or id(below) not in copied:
                below = dict(below) if isinstance(below, dict) else {}
                copied.add(id(below))
                at[part] = below
            at = below
        if not isinstance(at.get(last), dict):
            at[last] = value
    return made
