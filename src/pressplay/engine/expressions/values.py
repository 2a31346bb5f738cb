"""Values as expr-lang's virtual machine treats them: Go's kinds, comparison and arithmetic.

nil, bool, int (64 bits), float, string, array, map, time and duration are None, bool, int, float,
str, list, dict, datetime and Duration. Source: the language definition in expr-lang's
documentation; details were compared with expr 1.17.8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pressplay.engine.expressions.errors import Fault


@dataclass(frozen=True, order=True)
class Duration:
    """A span of time, as Go's time.Duration."""

    nanoseconds: int

    @property
    def delta(self) -> timedelta:
        """The same for datetime's arithmetic, which knows no less than a microsecond."""
        return timedelta(microseconds=self.nanoseconds // 1000)


class AnyMap(dict[object, object]):
    """A map with keys of any kind, as groupBy and fromPairs make it: it has no JSON form."""


class TextMap(dict[str, object]):
    """A map that holds nothing but texts, as sprig's split makes it: a missing one is empty."""


_KINDS: Mapping[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "array",
    dict: "map",
    AnyMap: "map",
    TextMap: "map",
    datetime: "time.Time",
    Duration: "time.Duration",
}


def kind_of(value: object) -> str:
    """The word for the value's kind, as the `type` function answers."""
    return _KINDS.get(type(value), "unknown")


def is_number(value: object) -> bool:
    """Whether it is an int or a float; a bool is neither here."""
    return value.__class__ is int or value.__class__ is float


def wrap(number: int) -> int:
    """`number` in 64 bits with a sign; what does not fit turns over, as in Go."""
    return (number + 0x8000_0000_0000_0000 & 0xFFFF_FFFF_FFFF_FFFF) - 0x8000_0000_0000_0000


def equal(left: object, right: object) -> bool:
    """The `==` operator: numbers by value whatever their kind, arrays element by element."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if is_number(left) and is_number(right):
        return left == right
    return deep_equal(left, right)


def deep_equal(left: object, right: object) -> bool:
    """Equal in kind too, at every depth: Go's reflect.DeepEqual, which `==` uses inside maps."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(deep_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            deep_equal(value, right[key]) for key, value in left.items()
        )
    return left == right


def contains(item: object, container: object) -> bool:
    """The `in` operator: an element of an array, a key of a map; nothing is in nil."""
    match container:
        case None:
            return False
        case list():
            return any(equal(each, item) for each in container)
        case AnyMap() if not isinstance(item, list | dict):
            return item in container
        case dict() if item is None or isinstance(item, str):
            return item in container
    raise Fault(f'operator "in" is not defined for {kind_of(item)} and {kind_of(container)}')


def less(left: object, right: object) -> bool:
    """The `<` operator: numbers, strings, times and durations among themselves."""
    match left, right:
        case (str(), str()) | (datetime(), datetime()) | (Duration(), Duration()):
            return left < right  # type: ignore[operator,no-any-return] # one kind on both sides
        case _:
            pass
    if is_number(left) and is_number(right):
        return left < right  # type: ignore[operator,no-any-return] # both are numbers
    raise Fault(f"invalid operation: {kind_of(left)} < {kind_of(right)}")


def add(left: object, right: object) -> object:
    """The `+` operator: numbers, strings, and durations to times."""
    match left, right:
        case str(), str():
            return left + right
        case Duration(), Duration():
            return Duration(wrap(left.nanoseconds + right.nanoseconds))
        case (datetime() as moment, Duration() as span) | (
            Duration() as span,
            datetime() as moment,
        ):
            return moved(moment, span)
        case _:
            return _arithmetic(left, right, sign="+")


def subtract(left: object, right: object) -> object:
    """The `-` operator: numbers, times and durations."""
    match left, right:
        case datetime(), datetime():
            return Duration((left - right) // timedelta(microseconds=1) * 1000)
        case datetime(), Duration():
            return moved(left, Duration(-right.nanoseconds))
        case Duration(), Duration():
            return Duration(wrap(left.nanoseconds - right.nanoseconds))
        case _:
            return _arithmetic(left, right, sign="-")


def multiply(left: object, right: object) -> object:
    """The `*` operator: numbers, and a duration times a number."""
    match left, right:
        case Duration(), int() | float():
            return Duration(to_int(left.nanoseconds * right))
        case int() | float(), Duration():
            return Duration(to_int(left * right.nanoseconds))
        case _:
            return _arithmetic(left, right, sign="*")


def divide(left: object, right: object) -> float:
    """The `/` operator: a float always; division by zero is an infinity or not a number."""
    if not (is_number(left) and is_number(right)):
        raise Fault(f"invalid operation: {kind_of(left)} / {kind_of(right)}")
    above, below = to_float(left), to_float(right)
    if below == 0:
        return math.nan if above == 0 or math.isnan(above) else math.copysign(math.inf, above)
    return above / below


def modulo(left: object, right: object) -> int:
    """The `%` operator: whole numbers only, with the sign of the left one."""
    if left.__class__ is not int or right.__class__ is not int:
        raise Fault(f"invalid operation: {kind_of(left)} % {kind_of(right)}; use int() first")
    above, below = to_int(left), to_int(right)
    if below == 0:
        raise Fault("integer divide by zero")
    rest = abs(above) % abs(below)
    return -rest if above < 0 else rest


def power(left: object, right: object) -> float:
    """The `**` operator: a float always. Source of the special cases: C's pow."""
    if not (is_number(left) and is_number(right)):
        raise Fault(f"invalid operation: {kind_of(left)} ** {kind_of(right)}")
    base, exponent = to_float(left), to_float(right)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def negate(value: object) -> object:
    """The unary `-`."""
    match value:
        case int() if not isinstance(value, bool):
            return wrap(-value)
        case float():
            return -value
        case Duration():
            return Duration(wrap(-value.nanoseconds))
        case _:
            raise Fault(f"invalid operation: - {kind_of(value)}")


def to_int(value: object) -> int:
    """A number without its fraction. Raises Fault for anything else."""
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= 2**63:
            raise Fault(f"{value} does not fit an integer")
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return wrap(value)
    raise Fault(f"invalid operation: int({kind_of(value)})")


def to_float(value: object) -> float:
    """A number as a float. Raises Fault for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Fault(f"invalid operation: float({kind_of(value)})")


def to_bool(value: object) -> bool:
    """The value itself if it is a bool; nothing else counts as true or false."""
    if value is True or value is False:
        return value
    raise Fault(f"must be true or false, not {kind_of(value)}")


def to_key(value: object) -> object:
    """A stand-in that can be a key of a dict, equal exactly when `equal` says so."""
    if isinstance(value, list):
        return ("array", *map(to_key, value))
    if isinstance(value, dict):
        return ("map", *sorted((key, repr(to_key(each))) for key, each in value.items()))
    if is_number(value):
        return value
    return (kind_of(value), value)


def moved(moment: datetime, span: Duration) -> datetime:
    """The moment later by `span`. Raises Fault outside the years 1 to 9999."""
    try:
        return moment + span.delta
    except OverflowError as error:
        raise Fault("the date is out of range") from error


_INT_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
}
_FLOAT_OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": float.__add__,
    "-": float.__sub__,
    "*": float.__mul__,
}


def _arithmetic(left: object, right: object, *, sign: str) -> int | float:
    if left.__class__ is int and right.__class__ is int:
        return wrap(_INT_OPERATIONS[sign](left, right))
    if is_number(left) and is_number(right):
        return _FLOAT_OPERATIONS[sign](to_float(left), to_float(right))
    raise Fault(f"invalid operation: {kind_of(left)} {sign} {kind_of(right)}")
