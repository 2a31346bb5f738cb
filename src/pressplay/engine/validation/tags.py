"""The tags of a spec that has not begun: filled in with what is known, the others judged.

Whatever only a run can know is a placeholder. Its beginning is Argo's own, as a spec could tell.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine import resolving
from pressplay.engine.resolving import Scope

Json = Mapping[str, Any]

ANY_ITEM = "item.*"
ANY_OUTPUT_PARAMETER = "workflow.outputs.parameters.*"
ANY_OUTPUT_ARTIFACT = "workflow.outputs.artifacts.*"
"""Names that stand for all that begin so, where which ones there are is known later."""

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PLAIN_TAG = re.compile(r"\{\{[-a-zA-Z0-9]+(\.[-a-zA-Z0-9_]+)*\}\}")
_PLACEHOLDER = "__argo__internal__placeholder-"
_JUDGED = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")
_LATER = (
    *("outputs.", "tasks.name", "steps.name"),
    *("workflow.creationTimestamp", "workflow.scheduledTime", "workflow.duration"),
)
# Argo reads the fields of its own types in their order, whatever the order in the file.
_FIRST = (
    *("name", "template", "inline", "inputs", "outputs", "parameters", "artifacts", "arguments"),
    *("templateRef", "dependencies", "image", "command", "args"),
)
_NUMBERS = itertools.count()


def placeholder() -> str:
    """A text for what is not known yet; no two are the same."""
    return f"{_PLACEHOLDER}{next(_NUMBERS)}"


def is_placeholder(value: object) -> bool:
    """Whether a value only stands for one."""
    return isinstance(value, str) and value.startswith(_PLACEHOLDER)


def holds_placeholder(value: object) -> bool:
    """Whether a text was filled in with something that is not known yet."""
    return isinstance(value, str) and "placeholder" in value


def has_tag(text: str) -> bool:
    """Whether a text has a plain tag, as `{{inputs.parameters.x}}`."""
    return _PLAIN_TAG.search(text) is not None


def text_of(value: object) -> str:
    """A parameter's value as the text that Argo makes of any scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def filled(value: object, scope: Scope) -> Any:  # noqa: ANN401 - JSON, of the same shape
    """The value with the tags filled in that can be; no expression is wrong before the run."""
    if isinstance(value, str):
        return _filled_text(value, scope) if "{{" in value else value
    if isinstance(value, dict):
        return {
            filled(key, scope) if "{{" in key else key: filled(each, scope)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [filled(each, scope) for each in value]
    return value


def _filled_text(text: str, scope: Scope) -> str:
    end = _end(text)
    return _TAG.sub(lambda tag: _filled_tag(tag[0], scope), text[:end]) + text[end:]


def _end(text: str) -> int:
    """Behind the last end there is no tag, and many beginnings there would cost the square."""
    return text.rfind("}}") + 2 if "}}" in text else 0


def _filled_tag(tag: str, scope: Scope) -> str:
    try:
        return resolving.substitute_text(tag, scope)
    except Refused:
        return tag


def check(value: object, *, known: Container[str]) -> None:
    """Refuse the first tag that can never be filled in."""
    for tag in _tags(value):
        name = tag.strip()
        if not _is_fine(name, known):
            raise Refused(f"failed to resolve {{{{{tag}}}}}")


def _is_fine(name: str, known: Container[str]) -> bool:
    if name.startswith("=") or not name.startswith(_JUDGED) or name in known:
        return True
    if name.startswith(_LATER):
        return True
    anything = (
        ("item.", ANY_ITEM),
        ("workflow.outputs.parameters.", ANY_OUTPUT_PARAMETER),
        ("workflow.outputs.artifacts.", ANY_OUTPUT_ARTIFACT),
    )
    return any(name.startswith(prefix) and magic in known for prefix, magic in anything)


def _tags(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if "{{" in value:
            yield from (tag[1] for tag in _TAG.finditer(value, 0, _end(value)))
    elif isinstance(value, dict):
        for key in sorted(value, key=_rank):
            yield from _tags(key)
            yield from _tags(value[key])
    elif isinstance(value, list):
        for each in value:
            yield from _tags(each)


def _rank(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)
