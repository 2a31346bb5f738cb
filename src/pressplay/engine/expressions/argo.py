"""The functions that Argo adds to expr-lang. Source: its documentation, "Variables"."""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.base.errors import Refused
from pressplay.engine.expressions import builtin_texts, encoding, paths, printing
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, table


def _jsonpath(document: str, path: str) -> object:
    """The value at the path, or the list of values if the path can name several.

    Up to the first step that can, every step must lead somewhere.
    """
    value = encoding.from_json(document)
    try:
        steps = _steps(path)
        single = next((n for n, step in enumerate(steps) if not step.is_single), len(steps))
        found = paths.find(value, steps[:single])
        if not found or not _fits(found[0], steps[single:]):
            raise Fault(f"jsonpath: {path} is not in the document")
        return found[0] if single == len(steps) else paths.find(found[0], steps[single:])
    except Refused as error:
        raise Fault(str(error)) from error


def _steps(path: str) -> tuple[paths.Step, ...]:
    if not path.strip().startswith(("$", "@")):
        raise Fault(f"jsonpath: {path} must begin with $")
    return paths.parse(path)


def _fits(value: object, steps: tuple[paths.Step, ...]) -> bool:
    """Whether the first of the steps can be taken from this value."""
    if not steps or steps[0].is_deep:
        return True
    return isinstance(value, list | dict if steps[0].key is None else list)


FUNCTIONS: Mapping[str, Function] = table(
    {
        "asInt(any)": builtin_texts.FUNCTIONS["int"].body,
        "asFloat(any)": builtin_texts.FUNCTIONS["float"].body,
        "toJson(any)": printing.to_json,
        "jsonpath(string, string)": _jsonpath,
    }
)
