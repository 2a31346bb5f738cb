from __future__ import annotations

from typing import Any

import pytest

from pressplay.base import errors
from pressplay.cli import concluding


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


def test_what_a_request_says_of_its_own_end_counts() -> None:
    reasons = ("Failed", "Unavailable")
    (_, unavailable) = [{"status": {"reason": each}} for each in reasons]
    assert concluding.exit_code(_ended("Failed"), [unavailable], decision="proceed") == 3
