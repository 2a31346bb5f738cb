from __future__ import annotations

from typing import Any

import pytest

from pressplay.base import errors
from pressplay.cli import concluding, reasons


def _ended(phase: str, *, message: str = "", code: str = "", kind: str = "Pod") -> dict[str, Any]:
    node = {"type": kind, "phase": phase, "outputs": {"exitCode": code}}
    return {"status": {"phase": phase, "message": message, "nodes": {"n": node}}}


@pytest.mark.parametrize(
    ("workflow", "decision", "code"),
    [
        (_ended("Succeeded"), "proceed", 0),
        (_ended("Succeeded"), "covered", 0),
        (_ended("Succeeded"), "refused", 2),
        (_ended("Failed", code="1"), "proceed", 1),
        (_ended("Failed", code="3"), "proceed", 3),
        (_ended("Failed", code="4"), "proceed", 4),
        (_ended("Failed", code="70"), "proceed", 70),
        (_ended("Failed", code="137"), "proceed", 1),
        (_ended("Error", message="The pod cannot be run here"), "proceed", 3),
        (_ended("Error", message=errors.INTERNAL), "proceed", 70),
        (_ended("Error", code="1"), "proceed", 1),
    ],
)
def test_a_command_ends_as_the_stage_that_decided(
    workflow: dict[str, Any], decision: str, code: int
) -> None:
    assert concluding.exit_code(workflow, [], decision=decision) == code


@pytest.mark.parametrize(
    ("seal", "said", "code"),
    [
        ({"phase": "Succeeded", "outputs": {"exitCode": "0"}}, "", 0),
        ({"phase": "Failed", "outputs": {"exitCode": "70"}, "message": "a bug"}, "a bug", 70),
        ({"phase": "Failed", "message": "Secret x not found"}, "Secret x not found", 2),
    ],
)
def test_a_run_whose_proof_was_not_sealed_says_so_and_is_no_success(
    seal: dict[str, Any], said: str, code: int
) -> None:
    whole = {"phase": seal["phase"], "message": "retryStrategy.expression evaluated to false"}
    nodes = {
        "s": {"type": "Retry", "templateName": "seal", **whole},
        "s(0)": {"type": "Pod", "templateName": "seal", **seal},
    }
    workflow = {"metadata": {"name": "r"}, "status": {"phase": "Succeeded", "nodes": nodes}}
    assert concluding.exit_code(workflow, [], decision="proceed") == code
    reason = concluding.reason_of(workflow, said="")
    assert reason == (f"The proof was not sealed: {said}" if said else "")


def test_a_request_that_was_not_taken_is_bad_input() -> None:
    invalid = {"status": {"reason": "Invalid"}}
    assert concluding.exit_code(_ended("Failed"), [invalid], decision="proceed") == 2


def test_what_an_init_container_said_is_told_without_the_engines_words() -> None:
    message = "prepare(0): token: Error (exit code 2): Error: The App has no key"
    node = {"name": "r.a", "type": "Pod", "phase": "Failed", "message": message}
    assert reasons.at({"status": {"nodes": {"n": node}}}, "r") == ["The App has no key"]


def test_what_a_request_says_of_its_own_end_counts() -> None:
    said = ("Failed", "Unavailable")
    (_, unavailable) = [{"status": {"reason": each}} for each in said]
    assert concluding.exit_code(_ended("Failed"), [unavailable], decision="proceed") == 3
