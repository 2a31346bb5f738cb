"""The functions of expr-lang for strings, and between strings and other values.

Source: the chapters "String Functions" and "Type Conversion Functions" of its documentation.
"""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.engine.expressions import encoding, printing, values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, Run, table


def strip(text: str, characters: str) -> str:
    """The text without these characters at both ends. str.strip takes time for each of them."""
    unwanted = frozenset(characters)
    start, end = 0, len(text)
    while start < end and text[start] in unwanted:
        start += 1
    while end > start and text[end - 1] in unwanted:
        end -= 1
    return text[start:end]


def upper(text: str) -> str:
    """In upper case, character by character: one never becomes two, as in Go."""
    if text.isascii():
        return text.upper()
    return "".join(raised if len(raised := each.upper()) == 1 else each for each in text)


def lower(text: str) -> str:
    """In lower case, character by character."""
    return text.lower() if text.isascii() else "".join(each.lower()[0] for each in text)


def split(text: str, separator: str, count: int = -1) -> list[str]:
    """The parts, at most `count` if that is not negative; no separator means each character."""
    if count == 0:
        return []
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    if 0 < count < len(text):
        return [*text[: count - 1], text[count - 1 :]]
    return list(text)


def replace(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, text: str, old: str, new: str, count: int = -1
) -> str:
    """The text with `old` replaced, paid for beforehand."""
    found = text.count(old) if count < 0 else min(count, len(text) + 1)
    run.budget.reserve(len(text) + found * len(new))
    return text.replace(old, new, count)


def repeat(run: Run, text: str, count: int) -> str:
    """The text so many times, paid for beforehand. Raises ValueError for a negative count."""
    if count < 0:
        raise ValueError(f"the count must not be negative, got {count}")
    run.budget.reserve(len(text) * count)
    return text * count


def _join(run: Run, parts: list[object], separator: str = "") -> str:
    texts = [each for each in parts if isinstance(each, str)]
    if len(texts) != len(parts):
        raise Fault("join takes an array of strings; use map(items, string(#)) first")
    run.budget.reserve(len(separator) * len(texts))
    return separator.join(texts)


def _split_after(text: str, separator: str, count: int = -1) -> list[str]:
    parts = split(text, separator, count)
    return [each + separator for each in parts[:-1]] + parts[-1:]


def _byte_index(text: str, part: str, *, from_end: bool = False) -> int:
    index = text.rfind(part) if from_end else text.find(part)
    return index if index < 0 else len(text[:index].encode(errors="replace"))


def _to_int(value: object) -> int:
    return encoding.parse_int(value) if isinstance(value, str) else values.to_int(value)


def _to_float(value: object) -> float:
    return encoding.parse_float(value) if isinstance(value, str) else values.to_float(value)


def _length(value: object) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise Fault(f"len takes a string, an array or a map, not {values.kind_of(value)}")


FUNCTIONS: Mapping[str, Function] = {
    **table(
        {
            "trim(string, string?)": lambda text, *characters: (
                strip(text, *characters) if characters else text.strip()
            ),
            "trimPrefix(string, string?)": lambda text, prefix=" ": text.removeprefix(prefix),
            "trimSuffix(string, string?)": lambda text, suffix=" ": text.removesuffix(suffix),
            "upper(string)": upper,
            "lower(string)": lower,
            "split(string, string, count?)": split,
            "splitAfter(string, string, count?)": _split_after,
            "indexOf(string, string)": _byte_index,
            "lastIndexOf(string, string)": lambda text, part: _byte_index(
                text, part, from_end=True
            ),
            "hasPrefix(string, string)": str.startswith,
            "hasSuffix(string, string)": str.endswith,
            "len(any)": _length,
            "type(any)": values.kind_of,
            "int(any)": _to_int,
            "float(any)": _to_float,
            "string(any)": printing.to_text,
            "toJSON(any)": lambda value: printing.to_json(value, indent="  "),
            "fromJSON(string)": encoding.from_json,
            "toBase64(string)": encoding.to_base64,
            "fromBase64(string)": encoding.from_base64,
        }
    ),
    **table(
        {
            "replace(string, string, string, count?)": replace,
            "repeat(string, count)": repeat,
            "join(array, string?)": _join,
        },
        needs_run=True,
    ),
}
