"""What a try of a step sees of the one before it, and whether another one comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pressplay.engine import passing, planning
from pressplay.engine.expressions import expr
from pressplay.engine.nodes import Outcome
from pressplay.engine.places import Ready
from pressplay.engine.scoping import Surroundings
from pressplay.engine.templates import Retry

NO_TRY: Mapping[str, str] = MappingProxyType(
    {
        "lastRetry.exitCode": "0",
        "lastRetry.status": "",
        "lastRetry.message": "",
        "lastRetry.duration": "",
        "retries": "0",
    }
)
"""The names that the first try sees."""


def names_after(last: Outcome, *, tries: int) -> dict[str, str]:
    """The names that the next try sees, and the expression that asks whether there is to be one."""
    return {
        "lastRetry.exitCode": last.outputs.exit_code or "-1",
        "lastRetry.status": str(last.phase),
        "lastRetry.message": last.message,
        "lastRetry.duration": "0",
        "retries": str(tries),
    }


def for_try(ready: Ready, names: Mapping[str, str]) -> Ready:
    """The call with its template filled in for one try, from what was written: see resolving."""
    around = ready.around.with_names(names)
    template = passing.filled_template(ready.written, around.scope)
    return replace(ready, template=template, around=around)


def why_over(retry: Retry, last: Outcome, *, tries: int, around: Surroundings) -> str:
    """Why no further try comes, "" where one does: see `planning.wants_retry`.

    Raises Refused for an expression that cannot be worked out.
    """
    names = around.scope.nested()
    matches = not retry.expression or expr.evaluate_bool(retry.expression, names)
    return planning.wants_retry(retry, last, tries=tries, matches=matches)
