"""What a function is: a signature that is checked before the call, and the code behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from pressplay.base.clocks import Clock
from pressplay.engine.expressions import values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.limits import Budget
from pressplay.engine.expressions.values import Duration

# What stands for nil where Go's reflection would pass the zero value of the parameter's type.
_ZERO: Mapping[str, object] = {"string": "", "bool": False, "int": 0, "map": {}}
_PYTHON: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "number": (int, float),
    "bool": bool,
    "array": list,
    "map": dict,
    "time": datetime,
    "duration": Duration,
}
_SIGNATURE = re.compile(r"(\w+)\((.*)\)")


@dataclass(frozen=True)
class Run:
    """What one evaluation shares: the steps that it may still take, and the time."""

    budget: Budget
    clock: Clock


@dataclass(frozen=True)
class Function:
    """A function that an expression can call.

    `kinds` are the parameters, each a kind or `any`, with `?` behind an optional one and `*`
    behind one that may come any number of times. A `lenient` function takes nil for the zero
    value of a kind, as sprig's do.
    """

    name: str
    kinds: tuple[str, ...]
    body: Callable[..., object]
    lenient: bool = False
    needs_run: bool = False

    def check_count(self, count: int) -> None:
        """Raise Fault unless so many arguments fit."""
        least = sum(1 for kind in self.kinds if kind[-1] not in "?*")
        endless = bool(self.kinds) and self.kinds[-1].endswith("*")
        if count < least or (count > len(self.kinds) and not endless):
            most = "" if endless else f" to {len(self.kinds)}" if least < len(self.kinds) else ""
            at_least = "at least " if endless else ""
            raise Fault(f"{self.name} takes {at_least}{least}{most} arguments, not {count}")

    def call(self, run: Run, arguments: list[object]) -> object:
        """The result, paid for. Raises Fault for an argument that does not fit."""
        budget = run.budget
        for number, argument in enumerate(arguments):
            arguments[number] = self._fit(argument, number)
            budget.charge(argument)
        try:
            result = self.body(run, *arguments) if self.needs_run else self.body(*arguments)
        except (ValueError, ArithmeticError) as error:
            raise Fault(f"{self.name}: {error}") from error
        budget.charge(result)
        return result

    def _fit(self, argument: object, number: int) -> object:
        kind = self.kinds[min(number, len(self.kinds) - 1)].rstrip("?*")
        if kind == "any":
            return argument
        if argument is None and self.lenient and kind in _ZERO:
            return _ZERO[kind]
        if kind == "count" and values.is_number(argument):
            return values.to_int(argument)
        if isinstance(argument, _PYTHON.get(kind, ())) and (
            kind == "bool" or not isinstance(argument, bool)
        ):
            if not self.lenient or kind != "map" or argument.__class__ is dict:
                return argument
            raise Fault(f"{self.name}: argument {number + 1} must be a map of texts to anything")
        wanted = "number" if kind == "count" else kind
        raise Fault(
            f"{self.name}: argument {number + 1} must be {wanted}, not {values.kind_of(argument)}"
        )


def table(
    functions: Mapping[str, Callable[..., object]],
    *,
    lenient: bool = False,
    needs_run: bool = False,
) -> Mapping[str, Function]:
    """Functions by name, from signatures such as `split(string, string, int?)`."""
    made: dict[str, Function] = {}
    for signature, body in functions.items():
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            raise ValueError(f"malformed signature {signature}")
        name, inside = match.groups()
        kinds = tuple(inside.split(", ")) if inside else ()
        made[name] = Function(name, kinds, body, lenient, needs_run)
    return MappingProxyType(made)
