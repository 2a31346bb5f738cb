"""expr-lang, with the functions that Argo adds: `{{=…}}` tags, retry and hook expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pressplay.base.clocks import Clock, SystemClock
from pressplay.engine.expressions import lexing, printing, values
from pressplay.engine.expressions.errors import ExpressionError, Fault
from pressplay.engine.expressions.functions import Run
from pressplay.engine.expressions.limits import Budget
from pressplay.engine.expressions.parsing import ExprParser
from pressplay.engine.expressions.references import Reference, references
from pressplay.engine.expressions.syntax import Absent, Frame, Node

_CLOCK = SystemClock()
_CACHED_LENGTH = 4096


@dataclass(frozen=True)
class Program:
    """A parsed expression and the variables that it names."""

    source: str
    root: Node
    references: tuple[Reference, ...]

    def evaluate(self, variables: Mapping[str, object], *, clock: Clock = _CLOCK) -> object:
        """The value, made of None, bool, int, float, str, list, dict, datetime and Duration.

        `variables` is made of the same; nothing in it is changed. Raises ExpressionError.
        """
        frame = Frame(variables, Run(Budget(), clock))
        try:
            return self.root.evaluate(frame)
        except Absent:
            return None
        except Fault as fault:
            raise fault.bind(self.source) from fault
        except RecursionError as error:
            raise _too_deep(self.source) from error

    def evaluate_text(
        self, variables: Mapping[str, object], *, clock: Clock = _CLOCK
    ) -> str | None:
        """What a `{{=…}}` tag inserts; None for nil. Raises ExpressionError."""
        value = self.evaluate(variables, clock=clock)
        try:
            return None if value is None else printing.result_text(value)
        except Fault as fault:
            raise fault.bind(self.source) from fault


def evaluate(source: str, variables: Mapping[str, object], *, clock: Clock = _CLOCK) -> object:
    """The value of an expression, see `Program.evaluate`. Raises ExpressionError."""
    return parse(source).evaluate(variables, clock=clock)


def evaluate_bool(source: str, variables: Mapping[str, object], *, clock: Clock = _CLOCK) -> bool:
    """The value of a condition. Raises ExpressionError also if it is neither true nor false."""
    value = evaluate(source, variables, clock=clock)
    if value is True or value is False:
        return value
    kind = values.kind_of(value)
    raise ExpressionError(source, position=0, problem=f"must be true or false, not {kind}")


def parse(source: str) -> Program:
    """The expression, ready to evaluate; short ones are kept. Raises ExpressionError."""
    return _parse_cached(source) if len(source) <= _CACHED_LENGTH else _parse(source)


def _parse(source: str) -> Program:
    try:
        root = ExprParser(lexing.tokens_of(source)).parse()
        return Program(source, root, references(root))
    except Fault as fault:
        raise fault.bind(source) from fault
    except RecursionError as error:
        raise _too_deep(source) from error


_parse_cached = lru_cache(maxsize=1024)(_parse)


def _too_deep(source: str) -> ExpressionError:
    return ExpressionError(source, position=0, problem="nested too deeply; use let for a part")
