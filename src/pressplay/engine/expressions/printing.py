"""Values as text, exactly as Go prints them: %v, encoding/json and %q.

Source: the documentation of Go's packages fmt, strconv and encoding/json.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.values import AnyMap, Duration, kind_of

# encoding/json escapes what could end a script element of HTML, and two line separators.
_JSON_ESCAPES = {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("\b"): "\\b",
    ord("\f"): "\\f",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    **{
        code: f"\\u{code:04x}"
        for code in (*range(0x20), 0x2028, 0x2029)
        if chr(code) not in "\b\f\n\r\t"
    },
}
_HTML_ESCAPES = {ord(each): f"\\u{ord(each):04x}" for each in "<>&"}
_QUOTE_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def to_text(value: object) -> str:
    """What the `string` function makes of a value: Go's %v."""
    match value:
        case None:
            return "<nil>"
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return _float_text(value)
        case datetime():
            return _time_text(value)
        case Duration():
            return duration_text(value)
        case _:
            return _container_text(value)


def _container_text(value: object) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(to_text, value))}]"
    if isinstance(value, dict):
        inside = " ".join(f"{to_text(key)}:{to_text(value[key])}" for key in _sorted(value))
        return f"map[{inside}]"
    return str(value)


def result_text(value: object) -> str:
    """How a `{{=…}}` tag prints its result: as JSON without the outer quotes.

    The result is inserted into a text, so escapes inside a string would only be undone again: a
    string is inserted as it is. Raises Fault for what JSON cannot hold.
    """
    if isinstance(value, str):
        return value
    text = to_json(value)
    return text[1:-1] if text.startswith('"') else text


def to_json(value: object, *, indent: str = "", html: bool = True) -> str:
    """Go's json.Marshal: keys sorted, no spaces, or one element a line with `indent`.

    Without `html`, the characters that mean something in HTML are left alone. Raises Fault for an
    infinity or not-a-number.
    """
    parts: list[str] = []
    escapes = {**_JSON_ESCAPES, **_HTML_ESCAPES} if html else _JSON_ESCAPES
    _Encoder(parts, escapes, indent).encode(value, "\n" if indent else "")
    return "".join(parts)


class _Encoder:
    def __init__(self, parts: list[str], escapes: dict[int, str], indent: str) -> None:
        self._parts = parts
        self._escapes = escapes
        self._indent = indent

    def encode(self, value: object, line: str) -> None:
        match value:
            case str():
                self._parts.append(self._string(value))
            case list():
                items = ((None, each) for each in value)
                self._items(items, line, brackets="[]", empty=not value)
            case AnyMap():
                raise Fault("a map with keys of any kind, as of groupBy, has no JSON form")
            case dict():
                pairs = ((to_text(key), value[key]) for key in _sorted(value))
                self._items(pairs, line, brackets="{}", empty=not value)
            case _:
                self._parts.append(_json_scalar(value))

    def _items(
        self, items: Iterable[tuple[str | None, object]], line: str, *, brackets: str, empty: bool
    ) -> None:
        self._parts.append(brackets[0])
        inner = line + self._indent
        for number, (key, each) in enumerate(items):
            self._parts.append("," + inner if number else inner)
            if key is not None:
                self._parts.append(self._string(key) + (": " if self._indent else ":"))
            self.encode(each, inner)
        self._parts.append(brackets[1] if empty else line + brackets[1])

    def _string(self, text: str) -> str:
        return f'"{text.translate(self._escapes)}"'


def _json_scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _json_float(value)
        case datetime():
            return f'"{_rfc3339(value)}"'
        case Duration():
            return str(value.nanoseconds)
        case _:
            raise Fault(f"a {kind_of(value)} has no JSON form")


def quoted(text: str) -> str:
    """Go's %q: in double quotes, with what cannot be printed escaped."""
    return '"' + "".join(map(_quoted_character, text)) + '"'


def _quoted_character(character: str) -> str:
    if character in _QUOTE_ESCAPES:
        return _QUOTE_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def duration_text(span: Duration) -> str:
    """Go's way of writing a duration: `1h30m0s`, `1.5s`, `250ms`."""
    sign, left = ("-", -span.nanoseconds) if span.nanoseconds < 0 else ("", span.nanoseconds)
    if left == 0:
        return "0s"
    for size, unit in ((1_000, "ns"), (1_000_000, "µs"), (1_000_000_000, "ms")):
        if left < size:
            return f"{sign}{_decimal(left, per=size // 1000)}{unit}"
    minutes, rest = divmod(left, 60_000_000_000)
    seconds = f"{_decimal(rest, per=1_000_000_000)}s"
    if minutes == 0:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(amount: int, *, per: int) -> str:
    whole, rest = divmod(amount, per)
    digits = str(rest).rjust(len(str(per)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if rest else str(whole)


def _sorted(mapping: dict[object, object]) -> list[object]:
    return sorted(mapping, key=to_text)


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")
    digits, exponent = _shortest(value)
    if -4 <= exponent < 6:
        return _plain(value, digits, exponent)
    return _scientific(value, digits, f"{exponent:+03}")


def _json_float(value: float) -> str:
    if not math.isfinite(value):
        raise Fault(f"{_float_text(value)} has no JSON form")
    digits, exponent = _shortest(value)
    if value == 0 or -6 <= exponent < 21:
        return _plain(value, digits, exponent)
    return _scientific(value, digits, f"{exponent:+}")


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits that name `value`, and the power of ten of the first of them."""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(power or 0) + len(digits) - len(fraction) - 1 if digits else 0
    return digits.rstrip("0") or "0", exponent


def _plain(value: float, digits: str, exponent: int) -> str:
    sign = "-" if math.copysign(1, value) < 0 else ""
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def _scientific(value: float, digits: str, exponent: str) -> str:
    sign = "-" if value < 0 else ""
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{exponent}"


def _time_text(moment: datetime) -> str:
    offset = moment.isoformat()[-6:].replace(":", "")
    name = moment.tzname() or "UTC"
    zone = offset if name.startswith("UTC") and name != "UTC" else name
    return f"{_clock_text(moment, between=' ')} {offset} {zone}"


def _rfc3339(moment: datetime) -> str:
    zone = moment.isoformat()[-6:] if moment.utcoffset() else "Z"
    return _clock_text(moment, between="T") + zone


def _clock_text(moment: datetime, *, between: str) -> str:
    whole = moment.replace(tzinfo=None, microsecond=0).isoformat(between)
    return f"{whole}.{moment.microsecond:06}".rstrip("0") if moment.microsecond else whole
