"""Is a preview up, and if not, why not?"""

from typing import Any

import pytest

from pressplay.stages.previews import waiting

SHA = "a" * 40


def deployment(*, sha: str = SHA, generation: int = 1, **status: Any) -> dict[str, Any]:
    template = {"metadata": {"annotations": {"pressplay.dev/sha": sha}}}
    return {
        "metadata": {"generation": generation},
        "spec": {"template": template},
        "status": status,
    }


def pod(*, inits: Any = (), containers: Any = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": "todo-1"},
        "status": {"initContainerStatuses": list(inits), "containerStatuses": list(containers)},
    }


def test_a_replica_that_answers_is_ready() -> None:
    found = deployment(observedGeneration=1, readyReplicas=1, updatedReplicas=1)
    assert waiting.is_ready(found, sha=SHA)


@pytest.mark.parametrize(
    "found",
    [
        deployment(),
        deployment(observedGeneration=1),
        deployment(observedGeneration=1, readyReplicas=0),
        deployment(observedGeneration=1, readyReplicas=1, generation=2),
        deployment(observedGeneration=1, readyReplicas=1, updatedReplicas=0),
        deployment(observedGeneration=1, readyReplicas=1, sha="b" * 40),
    ],
)
def test_anything_less_is_not(found: dict[str, Any]) -> None:
    assert not waiting.is_ready(found, sha=SHA)


def ended(name: str, code: int) -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code}}}


def crashing(name: str, code: int, reason: str = "CrashLoopBackOff") -> dict[str, Any]:
    return {
        "name": name,
        "state": {"waiting": {"reason": reason, "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": code}},
    }


def test_what_cannot_be_unpacked_is_found_at_once() -> None:
    failure = waiting.find_failure([pod(inits=[ended("unpack", 101)])])
    assert failure == waiting.Failure(
        "todo-1", "unpack", "what was built could not be unpacked (exit code 101)"
    )


def test_an_unpacking_that_is_tried_again_has_failed_all_the_same() -> None:
    failure = waiting.find_failure([pod(inits=[crashing("unpack", 1)])])
    assert failure is not None
    assert failure.container == "unpack"


def test_the_unpacking_is_named_where_its_failure_keeps_the_app_from_starting() -> None:
    found = pod(inits=[ended("unpack", 2)], containers=[crashing("app", 0)])
    failure = waiting.find_failure([found])
    assert failure is not None
    assert failure.container == "unpack"


def test_an_app_that_keeps_crashing_is_found() -> None:
    failure = waiting.find_failure(
        [pod(inits=[ended("unpack", 0)], containers=[crashing("app", 1)])]
    )
    assert failure == waiting.Failure(
        "todo-1", "app", "the app ended with exit code 1 instead of serving"
    )


def test_a_container_that_cannot_be_made_is_found_with_the_reason() -> None:
    found = pod(containers=[crashing("app", 0, reason="CreateContainerConfigError")])
    failure = waiting.find_failure([found])
    assert failure is not None
    assert failure.why == "CreateContainerConfigError: back-off"


@pytest.mark.parametrize(
    "found",
    [
        pod(),
        {"metadata": {"name": "x"}},
        pod(inits=[ended("unpack", 0)]),
        pod(inits=[{"name": "unpack", "state": {"running": {}}}]),
        pod(containers=[{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]),
        pod(containers=[{"name": "app", "state": {"waiting": {"reason": "PodInitializing"}}}]),
        pod(containers=[{"name": "app", "state": {"running": {}}}]),
    ],
)
def test_a_pod_on_its_way_has_not_failed(found: dict[str, Any]) -> None:
    assert waiting.find_failure([found]) is None


def test_polling_returns_the_first_answer() -> None:
    answers = iter([None, None, "here"])
    assert waiting.poll(lambda: next(answers), longest_s=5) == "here"


def test_polling_ends_when_time_runs_out() -> None:
    assert waiting.poll(lambda: None, longest_s=0.05) is None


def test_what_is_gone_is_gone() -> None:
    left = iter([object(), object(), None])
    assert waiting.until_gone(lambda: next(left), longest_s=5)
    assert not waiting.until_gone(object, longest_s=0.05)
