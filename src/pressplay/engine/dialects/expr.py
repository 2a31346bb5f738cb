"""The dialect expr-lang: retry expressions, `{{=…}}` tags, `valueFrom.expression`."""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.engine.dialects import evaluating, functions, syntax
from pressplay.engine.dialects.evaluating import Surroundings


def evaluate(source: str, variables: Mapping[str, object]) -> object:
    """The value of an expression. Raises ExpressionError, which names it."""
    around = Surroundings({**functions.VARIABLES, **variables}, functions.FUNCTIONS)
    return evaluating.evaluate(syntax.parse(source, "expr"), around)


def evaluate_bool(source: str, variables: Mapping[str, object]) -> bool:
    """The same for an expression that must be a boolean."""
    return evaluating.is_true(evaluate(source, variables))
