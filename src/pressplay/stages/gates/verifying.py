"""The third pod: judges an agent's work where foreign code may run and no token is near.

Works in a clean clone made from the two bundles, never in what the agent left. Its answer is
necessary and not sufficient: `publish` looks at the commits again before it pushes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.stages import asking, children, handover, scratch
from pressplay.stages.agents.results import Result, WorkOutcome
from pressplay.stages.environment import Ending, Outcome, StageEnvironment
from pressplay.stages.gates import examining, formatting, implementing, testing
from pressplay.stages.gates.cases import Case
from pressplay.stages.handover import Context, Verification

TIME_S = 1650.0
"""Seconds for the whole answer; the step around it has half an hour."""

Gate = Callable[[Case], tuple[str, ...]]

GATES: Mapping[str, Gate] = {
    "rex": implementing.judge,
    "triage": implementing.judge,
    "security": implementing.judge,
    "clippy": formatting.judge,
    "qa": testing.judge,
}
"""What each role's work must satisfy besides what holds for all. Empty means it does."""


def run(env: StageEnvironment) -> Outcome:
    """Write `verification.json`; end with FAIL and the reason where the gate says no."""
    context = handover.read_context(env)
    result = Result.from_json(handover.read(env, handover.RESULT))
    if result.role != context.role:
        raise Refused(f"result.json is of role {result.role!r}, the run is of {context.role!r}")
    reasons = _judge(env, context, result)
    answer = Verification(role=context.role, passed=not reasons, reasons=reasons, head=result.head)
    handover.write(env, handover.VERIFICATION, answer.to_json())
    for reason in reasons:
        env.log("gate_says_no", role=context.role, reason=reason)
    env.log("verified", role=context.role, passed=answer.passed, head=answer.head)
    if reasons:
        return Outcome(Ending.FAIL, f"{context.role}: {'; '.join(reasons)}")
    return Outcome()


def judge_outcome(result: Result) -> tuple[str, ...]:
    """Why the work did not come to an end that can be judged."""
    match result.outcome:
        case WorkOutcome.TIMEOUT:
            return (f"the agent ran out of time: {result.message}",)
        case WorkOutcome.FAILED:
            return (f"the agent failed: {result.message}",)
        case WorkOutcome.CHANGED | WorkOutcome.UNCHANGED:
            return ()


def _judge(env: StageEnvironment, context: Context, result: Result) -> tuple[str, ...]:
    """The first stage of judgement that says no; nothing is run before all data was examined."""
    reasons = judge_outcome(result)
    if reasons:
        return reasons
    if not result.commits and result.head != context.head_sha:
        return ("result.json names a new head, but no commits",)
    clock = SystemClock()
    deadline = clock.monotonic() + TIME_S
    folder = scratch.folder()
    directory = folder / "clean.git"
    handover.take_source(env, directory, context)
    tip = context.head_sha
    if result.commits:
        try:
            handover.take_changes(env, directory, result.head)
        except Refused as error:
            return (f"the agent's commits cannot be taken in: {error}",)
        tip = result.head
    case = Case(
        env=env,
        context=context,
        result=result,
        directory=directory,
        tip=tip,
        scratch=folder,
        path=children.search_path(env),
        variables=children.plain_variables(asking.read_request(env)),
        clock=clock,
        deadline=deadline,
    )
    return examining.examine(directory, context=context, tip=tip) or GATES[context.role](case)
