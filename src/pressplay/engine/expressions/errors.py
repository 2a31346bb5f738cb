"""What can be wrong with an expression.

    Refused
    └── ExpressionError   the text does not parse, or a value does not fit the operation

`Fault` never leaves the package: it is the same news before the whole expression is known.
"""

from __future__ import annotations

from pressplay.base.errors import Refused

_SHOWN = 200


class ExpressionError(Refused):
    """Names the expression, the place (characters from its start) and what is wrong there."""

    def __init__(self, source: str, *, position: int, problem: str) -> None:
        shown = source if len(source) <= _SHOWN else f"{source[:_SHOWN]}…"
        super().__init__(f"expression '{shown}', character {position + 1}: {problem}")
        self.source = source
        self.position = position
        self.problem = problem


class Fault(Exception):
    """A problem found below the level that knows the source; `position` may come later."""

    def __init__(self, problem: str, *, position: int = -1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.position = position

    def at(self, position: int) -> Fault:
        """This fault, at `position` unless an inner part has already said where."""
        if self.position < 0:
            self.position = position
        return self

    def bind(self, source: str) -> ExpressionError:
        """The error for the outside."""
        return ExpressionError(source, position=max(self.position, 0), problem=self.problem)
