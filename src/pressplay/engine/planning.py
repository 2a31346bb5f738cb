"""Decisions of the engine, without any input or output: what runs next, what it all amounts to."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pressplay.base.errors import Refused
from pressplay.engine.nodes import Outcome, Phase
from pressplay.engine.templates import Backoff, Retry, Task


@dataclass(frozen=True)
class Verdict:
    """What a list of children amounts to."""

    phase: Phase
    message: str = ""


def check_tasks(tasks: Sequence[Task], *, needs: Mapping[str, Iterable[str]], where: str) -> None:
    """Refuse a DAG with a repeated name, a dependency on nothing, or a ring."""
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise Refused(f"{where}: sorting failed: task name '{name}' is not unique")
    for task in tasks:
        for need in needs[task.name]:
            if need not in names:
                raise Refused(f"{where}: task '{task.name}' dependency '{need}' not defined")
    _refuse_ring(names, needs=needs, where=where)


def _refuse_ring(names: Sequence[str], *, needs: Mapping[str, Iterable[str]], where: str) -> None:
    try:
        graphlib.TopologicalSorter({name: needs[name] for name in names}).prepare()
    except graphlib.CycleError as error:
        ring = ", ".join(sorted(set(error.args[1])))
        raise Refused(f"{where}: dependency cycle among {ring}") from error


def ancestors(name: str, *, needs: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """All tasks that `name` waits for, directly or not: whose outputs it may refer to."""
    found: set[str] = set()
    waiting = list(needs[name])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(needs[each])
    return frozenset(found)


def targets(tasks: Sequence[Task], *, needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The leaves of a DAG: tasks that no other waits for. They decide how the DAG ends."""
    needed = {need for wanted in needs.values() for need in wanted}
    return tuple(task.name for task in tasks if task.name not in needed)


def assess_dag(
    leaves: Sequence[str],
    *,
    outcomes: Mapping[str, Outcome],
    needs: Mapping[str, Iterable[str]],
) -> Verdict:
    """How a DAG ends when every task has ended.

    A leaf that was skipped or omitted takes over the failure of the branch before it; a failure
    that a later task handled (`depends: x.Failed`) is none. Source: `assessDAGPhase` of Argo's
    controller, as engine.md's third trap describes it.
    """
    phases = [_branch_phase(leaf, outcomes=outcomes, needs=needs) for leaf in leaves]
    for bad in (Phase.ERROR, Phase.FAILED):
        if bad in phases:
            return Verdict(bad)
    return Verdict(Phase.SUCCEEDED)


def _branch_phase(
    name: str, *, outcomes: Mapping[str, Outcome], needs: Mapping[str, Iterable[str]]
) -> Phase:
    phase = outcomes[name].phase
    if phase not in (Phase.SKIPPED, Phase.OMITTED):
        return phase
    inherited = [_branch_phase(need, outcomes=outcomes, needs=needs) for need in needs[name]]
    for bad in (Phase.ERROR, Phase.FAILED):
        if bad in inherited:
            return bad
    return Phase.SUCCEEDED


@dataclass(frozen=True)
class Ended:
    """A step that has ended: its node's name and id, and how."""

    step: Task
    name: str
    node: str
    outcome: Outcome


def unresolved_group(problem: str) -> Verdict:
    """How a group ends for one of whose steps `when` or the arguments cannot be worked out."""
    said = problem.removeprefix("failed to resolve references: ")
    return Verdict(Phase.ERROR, f"Failed to resolve references: {said}")


def assess_group(steps: Sequence[Ended]) -> Verdict:
    """How a group of parallel steps ends.

    The first that is bad and not excused by continueOn fails the group, with Argo's message; what
    the engine could not go on with makes it an error, and nothing excuses that.
    """
    for each in steps:
        outcome = each.outcome
        if outcome.raised:
            why = f"step group deemed errored due to child {each.name} error: {outcome.message}"
            return Verdict(Phase.ERROR, why)
    for each in steps:
        outcome = each.outcome
        excused = (outcome.phase is Phase.FAILED and each.step.continue_on_failed) or (
            outcome.phase is Phase.ERROR and each.step.continue_on_error
        )
        if not outcome.phase.is_good and not excused:
            return Verdict(Phase.FAILED, f"child '{each.node}' failed")
    return Verdict(Phase.SUCCEEDED)


def wants_retry(retry: Retry, last: Outcome, *, tries: int, matches: bool) -> str:
    """Whether to try again after `tries` tries: "" for yes, else the message that ends it.

    `matches` is what the expression says, true where there is none. A policy that does not fit
    ends with the child's own message. Source: Argo's documentation, "Retries".
    """
    if not _policy_fits(retry.policy, last.phase):
        return last.message or "retry policy does not match"
    if not matches:
        return "retryStrategy.expression evaluated to false"
    if retry.limit is not None and tries > retry.limit:
        return "No more retries left"
    return ""


def too_late(backoff: Backoff, *, gone_s: float, delay_s: float) -> str:
    """Why no try comes any more: "" where one does, `delay_s` from now.

    `gone_s` is how long ago the first try began. Source: `processNodeRetries` of Argo's controller.
    """
    if backoff.max_duration_s is None:
        return ""
    if gone_s > backoff.max_duration_s:
        return "Max duration limit exceeded"
    if gone_s + delay_s > backoff.max_duration_s:
        return "Backoff would exceed max duration limit"
    return ""


def _policy_fits(policy: str, phase: Phase) -> bool:
    match policy:
        case "Always":
            return phase in (Phase.FAILED, Phase.ERROR)
        case "OnError":
            return phase is Phase.ERROR
        case "OnFailure":
            return phase is Phase.FAILED
        case _:
            return False
