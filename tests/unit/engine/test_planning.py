"""Decisions of the engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import planning
from pressplay.engine.nodes import Outcome, Phase
from pressplay.engine.planning import Ended
from pressplay.engine.templates import Call, Retry, Task


def _task(name: str, *, failed: bool = False) -> Task:
    return Task(name=name, call=Call("t"), raw={}, continue_on_failed=failed)


def test_a_leaf_that_was_omitted_inherits_the_failure_before_it() -> None:
    outcomes = {"a": Outcome(Phase.FAILED), "b": Outcome(Phase.OMITTED)}
    verdict = planning.assess_dag(["b"], outcomes=outcomes, needs={"a": (), "b": ("a",)})
    assert verdict.phase is Phase.FAILED


def test_a_failure_that_a_later_task_handled_is_none() -> None:
    outcomes = {"a": Outcome(Phase.FAILED), "b": Outcome(Phase.SUCCEEDED)}
    verdict = planning.assess_dag(["b"], outcomes=outcomes, needs={"a": (), "b": ("a",)})
    assert verdict.phase is Phase.SUCCEEDED


def test_a_skipped_branch_is_good() -> None:
    outcomes = {"a": Outcome(Phase.SKIPPED), "b": Outcome(Phase.OMITTED)}
    verdict = planning.assess_dag(["b"], outcomes=outcomes, needs={"a": (), "b": ("a",)})
    assert verdict.phase is Phase.SUCCEEDED


def test_a_failed_step_fails_its_group_in_argos_words() -> None:
    verdict = planning.assess_group([Ended(_task("a"), "wf.a", "wf-1", Outcome(Phase.FAILED))])
    assert verdict == planning.Verdict(Phase.FAILED, "child 'wf-1' failed")


def test_a_step_that_may_fail_does_not_fail_its_group() -> None:
    failed = Ended(_task("a", failed=True), "wf.a", "wf-1", Outcome(Phase.FAILED))
    assert planning.assess_group([failed]).phase is Phase.SUCCEEDED


def test_what_the_engine_cannot_go_on_with_is_an_error_of_the_group_whatever_is_excused() -> None:
    raised = Outcome(Phase.ERROR, "no value", raised=True)
    verdict = planning.assess_group([Ended(_task("a", failed=True), "wf[0].a", "wf-1", raised)])
    why = "step group deemed errored due to child wf[0].a error: no value"
    assert verdict == planning.Verdict(Phase.ERROR, why)


def test_a_ring_of_tasks_is_refused() -> None:
    tasks = [_task("a"), _task("b")]
    with pytest.raises(Refused, match="cycle among a, b"):
        planning.check_tasks(tasks, needs={"a": ("b",), "b": ("a",)}, where="w")


def test_a_dependency_on_nothing_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="task 'a' dependency 'x' not defined"):
        planning.check_tasks([_task("a")], needs={"a": ("x",)}, where="w")


@given(st.lists(st.integers(min_value=0, max_value=30), min_size=1, max_size=12))
def test_a_dag_whose_tasks_need_only_earlier_ones_is_accepted(picks: list[int]) -> None:
    tasks = [_task(f"t{number}") for number in range(len(picks))]
    needs = {
        f"t{number}": tuple({f"t{pick % number}"} if number else ())
        for number, pick in enumerate(picks)
    }
    planning.check_tasks(tasks, needs=needs, where="w")
    assert planning.targets(tasks, needs=needs)


@pytest.mark.parametrize(
    ("policy", "phase", "again"),
    [
        ("Always", Phase.FAILED, True),
        ("Always", Phase.ERROR, True),
        ("OnError", Phase.FAILED, False),
        ("OnError", Phase.ERROR, True),
        ("OnFailure", Phase.FAILED, True),
        ("OnFailure", Phase.ERROR, False),
    ],
)
def test_a_policy_decides_by_how_the_try_ended(policy: str, phase: Phase, *, again: bool) -> None:
    message = planning.wants_retry(
        Retry(limit=3, policy=policy), Outcome(phase, "child"), tries=1, matches=True
    )
    assert (message == "") is again


def test_tries_end_at_the_limit_in_argos_words() -> None:
    retry = Retry(limit=2, policy="Always")
    last = Outcome(Phase.FAILED)
    assert planning.wants_retry(retry, last, tries=2, matches=True) == ""
    assert planning.wants_retry(retry, last, tries=3, matches=True) == "No more retries left"


def test_an_expression_that_says_no_ends_the_tries() -> None:
    message = planning.wants_retry(
        Retry(limit=2, policy="Always"), Outcome(Phase.FAILED), tries=1, matches=False
    )
    assert message == "retryStrategy.expression evaluated to false"
