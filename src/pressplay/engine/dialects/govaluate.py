"""The dialect govaluate: `when`, after its tags are filled in; bare words are texts."""

from __future__ import annotations

from pressplay.engine.dialects import evaluating, syntax
from pressplay.engine.dialects.evaluating import Surroundings

_AROUND = Surroundings({}, {}, bare_words=True)


def evaluate_bool(source: str) -> bool:
    """Whether a condition holds. Raises ExpressionError, also where it is no boolean."""
    return evaluating.is_true(evaluating.evaluate(syntax.parse(source, "govaluate"), _AROUND))
