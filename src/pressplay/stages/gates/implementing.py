"""Rex's gate: something was done. What may have been done is examined for every role alike."""

from __future__ import annotations

from pressplay.stages import git
from pressplay.stages.gates.cases import Case


def judge(case: Case) -> tuple[str, ...]:
    """Why this is no implementation: there is no commit, or the commits change no file."""
    start = case.context.head_sha
    if case.tip == start:
        return ("the agent changed nothing; make the task clearer or do it by hand",)
    if not git.changes(case.directory, start, case.tip):
        return ("the agent's commits cancel each other out: no file differs in the end",)
    return ()
