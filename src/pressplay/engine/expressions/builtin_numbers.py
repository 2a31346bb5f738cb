"""The functions of expr-lang for numbers and bits.

Source: the chapters "Number Functions" and "Bitwise Functions" of its documentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from pressplay.engine.expressions import values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, table


def _numbers(value: object) -> Iterator[object]:
    """The numbers in a value, arrays in arrays included."""
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif values.is_number(value):
        yield value
    else:
        raise Fault(f"takes numbers, not {values.kind_of(value)}")


def _extreme(*arguments: object, is_better: Callable[[object, object], bool]) -> object:
    if len(arguments) == 1 and not isinstance(arguments[0], list):
        return arguments[0]
    best: object = None
    for each in chain.from_iterable(map(_numbers, arguments)):
        if best is None or is_better(each, best):
            best = each
    return best


def _minimum(*arguments: object) -> object:
    return _extreme(*arguments, is_better=values.less)


def _maximum(*arguments: object) -> object:
    return _extreme(*arguments, is_better=lambda one, other: values.less(other, one))


def _floats(arguments: tuple[object, ...]) -> list[float]:
    return [values.to_float(each) for each in chain.from_iterable(map(_numbers, arguments))]


def _mean(*arguments: object) -> float:
    numbers = _floats(arguments)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _median(*arguments: object) -> float:
    numbers = sorted(_floats(arguments))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _absolute(value: float) -> object:
    return values.negate(value) if value < 0 else value


def round_half_away(value: float) -> float:
    """The nearest whole number as a float; a half goes away from zero, as in Go."""
    whole = math.trunc(value) if math.isfinite(value) else value
    if abs(value - whole) >= 0.5:
        whole += math.copysign(1, value)
    return math.copysign(float(whole), value)


def _whole(rounding: Callable[[float], float]) -> Callable[[float], float]:
    def rounded(value: float) -> float:
        number = float(value)
        return math.copysign(rounding(number), number) if math.isfinite(number) else number

    return rounded


def _shift(value: int, count: int) -> int:
    if count < 0:
        raise Fault(f"negative shift count {count}")
    return min(count, 64) if value else 0


FUNCTIONS: Mapping[str, Function] = table(
    {
        "min(any, any*)": _minimum,
        "max(any, any*)": _maximum,
        "mean(any, any*)": _mean,
        "median(any, any*)": _median,
        "abs(number)": _absolute,
        "ceil(number)": _whole(math.ceil),
        "floor(number)": _whole(math.floor),
        "round(number)": _whole(round_half_away),
        "bitand(int, int)": int.__and__,
        "bitor(int, int)": int.__or__,
        "bitxor(int, int)": int.__xor__,
        "bitnand(int, int)": lambda value, other: value & ~other,
        "bitnot(int)": int.__invert__,
        "bitshl(int, int)": lambda value, count: values.wrap(value << _shift(value, count)),
        "bitshr(int, int)": lambda value, count: value >> _shift(value, count),
        "bitushr(int, int)": lambda value, count: values.wrap(
            (value & 0xFFFF_FFFF_FFFF_FFFF) >> _shift(value, count)
        ),
    }
)
