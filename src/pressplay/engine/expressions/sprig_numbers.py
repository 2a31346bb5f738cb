"""sprig's functions for numbers and times. They take anything that can be read as a number.

Source: sprig's documentation, the chapters "Integer Math Functions", "Float Math Functions" and
"Date Functions".
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal

from pressplay.engine.expressions import builtin_dates, dates, encoding, printing, values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, Run, table
from pressplay.engine.expressions.values import Duration

_ZERO_FRACTION = re.compile(r"\.0*$")
_PLAIN = re.compile(r"[!-~]+")
_OCTAL = re.compile(r"[+-]?0[0-7_]+", re.ASCII)
_EXACT = Context(prec=60)
_SIXTEEN_PLACES = Decimal(1).scaleb(-16)
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


def to_int(value: object) -> int:
    """The value as a whole number; 0 for what is none."""
    try:
        match value:
            case bool():
                return int(value)
            case str():
                text = _ZERO_FRACTION.sub("", value)[:80]
                if not _PLAIN.fullmatch(text):  # Python would read spaces and other digits too.
                    return 0
                return _in_range(int(text, 8 if _OCTAL.fullmatch(text) else 0))
            case int() | float():
                return values.to_int(value)
            case _:
                return 0
    except (ValueError, Fault):
        return 0


def to_float(value: object) -> float:
    """The value as a float; 0 for what is none."""
    try:
        match value:
            case str():
                return encoding.parse_float(value)
            case int() | float():
                return float(value)
            case _:
                return 0.0
    except ValueError:
        return 0.0


def _in_range(number: int) -> int:
    if values.wrap(number) != number:
        raise ValueError("does not fit 64 bits")
    return number


def _divide(left: object, right: object) -> int:
    above, below = to_int(left), to_int(right)
    if below == 0:
        raise Fault("integer divide by zero")
    quotient = abs(above) // abs(below)
    return values.wrap(quotient if (above < 0) == (below < 0) else -quotient)


def _product(first: object, *others: object) -> int:
    product = to_int(first)
    for each in others:
        product = values.wrap(product * to_int(each))
    return product


def _decimal(
    operation: Callable[[Decimal, Decimal], Decimal],
) -> Callable[..., float]:
    def folded(first: object, *others: object) -> float:
        total = _exact(first)
        for each in others:
            total = operation(total, _exact(each))
        return float(total)

    return folded


def _exact(value: object) -> Decimal:
    number = to_float(value)
    if not math.isfinite(number):
        raise Fault(f"{printing.to_text(number)} is no decimal number")
    return Decimal(repr(number))


def _decimal_quotient(above: Decimal, below: Decimal) -> Decimal:
    if below == 0:
        raise Fault("decimal division by 0")
    quotient = _EXACT.divide(above, below)
    return quotient.quantize(_SIXTEEN_PLACES, rounding=ROUND_HALF_UP, context=_EXACT)


def _rounded(value: object, places: int, threshold: float = 0.5) -> float:
    scale = values.power(10, places)
    scaled = to_float(value) * scale
    if not math.isfinite(scaled) or scale == 0:
        return math.nan
    fraction = math.modf(scaled)[0]
    return (math.ceil(scaled) if fraction >= threshold else math.floor(scaled)) / scale


def _steps(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, start: int, stop: int, step: int
) -> list[int]:
    if (step > 0) != (stop > start) or step == 0:
        return []
    numbers = range(start, stop, step)
    run.budget.spend(len(numbers))
    return list(numbers)


def _until(run: Run, count: int) -> list[int]:
    return _steps(run, 0, count, -1 if count < 0 else 1)


def _sequence(run: Run, *bounds: int) -> str:
    match bounds:
        case (end,):
            start, step = 1, 1 if end >= 1 else -1
        case (start, end):
            step = 1 if end >= start else -1
        case (start, step, end):
            if end < start and step > 0:
                return ""
        case _:
            return ""
    beyond = end + (1 if end >= start else -1)
    return " ".join(map(str, _steps(run, start, beyond, step)))


def _random(low: int, high: int) -> int:
    if high <= low:
        raise Fault("randInt: the second number must be greater than the first")
    return low + secrets.randbelow(high - low)


def _moment(run: Run, value: object) -> datetime:
    match value:
        case datetime():
            return value
        case int() if not isinstance(value, bool) and abs(value) < 2**37:
            return datetime.fromtimestamp(value, UTC)
    return run.clock.now()


def _in_zone(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, layout: str, value: object, name: str = "UTC"
) -> str:
    try:
        zone: tzinfo = dates.zone(name)
    except Fault:
        zone = UTC
    return dates.write(_moment(run, value).astimezone(zone), layout)


def _must_modify(change: str, moment: datetime) -> datetime:
    return values.moved(moment, dates.read_duration(change))


def _modify(change: str, moment: datetime) -> datetime:
    try:
        return _must_modify(change, moment)
    except Fault:
        return moment


def _to_date(layout: str, text: str) -> datetime:
    try:
        return dates.read(text, layout)
    except Fault:
        return _NO_TIME


def _duration(seconds: object) -> str:
    try:
        number = encoding.parse_int(seconds) if isinstance(seconds, str) else 0
    except ValueError:
        number = 0
    return printing.duration_text(Duration(values.wrap(number * 1_000_000_000)))


def _epoch(moment: datetime) -> str:
    return str(builtin_dates.microseconds(moment) // 1_000_000)


def _sum(*items: object) -> int:
    return values.wrap(sum(map(to_int, items)))


FUNCTIONS: Mapping[str, Function] = {
    **table(
        {
            "int(any)": to_int,
            "int64(any)": to_int,
            "float64(any)": to_float,
            "atoi(string)": lambda text: to_int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else 0,
            "toDecimal(any)": lambda value: _octal(printing.to_text(value)),
            "add(any*)": _sum,
            "add1(any)": lambda value: _sum(value, 1),
            "sub(any, any)": lambda left, right: values.wrap(to_int(left) - to_int(right)),
            "mul(any, any*)": _product,
            "div(any, any)": _divide,
            "mod(any, any)": lambda left, right: values.modulo(to_int(left), to_int(right)),
            "max(any, any*)": lambda *items: max(map(to_int, items)),
            "biggest(any, any*)": lambda *items: max(map(to_int, items)),
            "min(any, any*)": lambda *items: min(map(to_int, items)),
            "maxf(any, any*)": lambda *items: max(map(to_float, items)),
            "minf(any, any*)": lambda *items: min(map(to_float, items)),
            "addf(any*)": lambda *items: _decimal(_EXACT.add)(0, *items),
            "add1f(any)": lambda value: _decimal(_EXACT.add)(value, 1),
            "subf(any, any*)": _decimal(_EXACT.subtract),
            "mulf(any, any*)": _decimal(_EXACT.multiply),
            "divf(any, any*)": _decimal(_decimal_quotient),
            "ceil(any)": lambda value: float(math.ceil(to_float(value))),
            "floor(any)": lambda value: float(math.floor(to_float(value))),
            "round(any, int, number?)": _rounded,
            "randInt(int, int)": _random,
            "dateModify(string, time)": _modify,
            "date_modify(string, time)": _modify,
            "mustDateModify(string, time)": _must_modify,
            "must_date_modify(string, time)": _must_modify,
            "toDate(string, string)": _to_date,
            "mustToDate(string, string)": lambda layout, text: dates.read(text, layout),
            "unixEpoch(time)": _epoch,
            "duration(any)": _duration,
        },
        lenient=True,
    ),
    **table(
        {
            "now()": lambda run: run.clock.now(),
            "date(string, any)": _in_zone,
            "htmlDate(any)": lambda run, value: _in_zone(run, "2006-01-02", value),
            "dateInZone(string, any, string)": _in_zone,
            "date_in_zone(string, any, string)": _in_zone,
            "until(int)": _until,
            "untilStep(int, int, int)": _steps,
            "seq(int*)": _sequence,
        },
        lenient=True,
        needs_run=True,
    ),
}


def _octal(text: str) -> int:
    try:
        return _in_range(int(text[:80], 8)) if re.fullmatch(r"[+-]?[0-7]+", text) else 0
    except ValueError:
        return 0
