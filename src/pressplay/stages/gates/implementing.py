"""Rex's gate: something was done. What may have been done is examined for every role alike."""

from __future__ import annotations

from pressplay.stages import git
from pressplay.stages.gates.cases import Case

LAST_WORDS = 400
"""Characters of what the agent said last that a reason repeats."""


def judge(case: Case) -> tuple[str, ...]:
    """Why this is no implementation: there is no commit, or the commits change no file."""
    start = case.context.head_sha
    if case.tip == start:
        words = case.result.message[:LAST_WORDS]
        said = f" (it said: {words})" if words else " and said nothing"
        return (f"the agent changed nothing{said}; make the task clearer or do it by hand",)
    if not git.changes(case.directory, start, case.tip):
        return ("the agent's commits cancel each other out: no file differs in the end",)
    return ()
