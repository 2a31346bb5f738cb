"""The functions that Argo adds to expr-lang. Source: its documentation, "Variables"."""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.base.errors import Refused
from pressplay.engine.expressions import builtin_texts, encoding, paths, printing
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, table


def _jsonpath(document: str, path: str) -> object:
    """The value at the path, or the list of values if the path can name several."""
    value = encoding.from_json(document)
    try:
        steps = paths.parse(path)
        found = paths.find(value, steps)
    except Refused as error:
        raise Fault(str(error)) from error
    if not all(step.is_single for step in steps):
        return found
    if not found:
        raise Fault(f"jsonpath: {path} is not in the document")
    return found[0]


FUNCTIONS: Mapping[str, Function] = table(
    {
        "asInt(any)": builtin_texts.FUNCTIONS["int"].body,
        "asFloat(any)": builtin_texts.FUNCTIONS["float"].body,
        "toJson(any)": printing.to_json,
        "jsonpath(string, string)": _jsonpath,
    }
)
