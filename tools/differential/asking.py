"""Asking one runtime: fixtures, the workflow, what the script does meanwhile, the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from differential.cases import Action, Case
from pressplay.base.errors import Unavailable

PATIENCE_S = 150.0
"""For a workflow to end; a case that never ends says itself when it is looked at."""

_CRON_LABEL = "workflows.argoproj.io/cron-workflow"


class Runtime(Protocol):
    """Something that carries out Workflows."""

    pause_s: float
    """How long to wait before looking again."""

    def place(self, case: Case) -> AbstractContextManager[str]:
        """A namespace of the case's own with all that it needs in it, removed at the end."""

    def create(self, namespace: str, obj: Mapping[str, Any]) -> None:
        """Make an object. Raises Refused with the server's words."""

    def workflows(self, namespace: str) -> list[dict[str, Any]]:
        """All Workflows, oldest first."""

    def act(self, namespace: str, workflow: Mapping[str, Any], action: Action) -> None:
        """Do it. Raises Refused where this runtime cannot."""


def ask(runtime: Runtime, case: Case) -> tuple[str, dict[str, Any]]:
    """The namespace, and the Workflow as it was when it was over (or when it had settled).

    Raises Unavailable where it does not end, and Refused where it cannot even be made.
    """
    with runtime.place(case) as namespace:
        for obj in (*case.fixtures, case.subject):
            runtime.create(namespace, obj)
        return namespace, _follow(runtime, case, namespace)


def _follow(runtime: Runtime, case: Case, namespace: str) -> dict[str, Any]:
    begun = time.monotonic()
    coming = _coming(case)
    action = next(coming, None)
    while (lasted := time.monotonic() - begun) < (case.settle_s or PATIENCE_S):
        found = _subject(case, runtime.workflows(namespace))
        if action is not None and found is not None and _is_due(action, found):
            runtime.act(namespace, found, action)
            action = next(coming, None)
        elif found is not None and _is_over(found):
            if action is not None:
                moment = f"{action.node or 'it'} was {action.phase}"
                raise Unavailable(f"{case.name}: over before {moment}, so nobody could {action.do}")
            return found
        time.sleep(runtime.pause_s)
    found = _subject(case, runtime.workflows(namespace))
    if case.settle_s and found is not None:
        return found
    phase = (found or {}).get("status", {}).get("phase", "none")
    left = f", and waits to {action.do} after {action.node} {action.phase}" if action else ""
    raise Unavailable(f"{case.name}: not over after {lasted:.0f} s (phase {phase}){left}")


def _coming(case: Case) -> Iterator[Action]:
    yield from case.script


def _subject(case: Case, workflows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The workflow that is asked about; for a CronWorkflow the first one that it makes."""
    if case.subject["kind"] == "CronWorkflow":
        made = (each for each in workflows if _CRON_LABEL in each["metadata"].get("labels", {}))
        return next(made, None)
    own = (each for each in workflows if each["metadata"]["name"] == case.workflow)
    return next(own, None)


def _is_due(action: Action, workflow: Mapping[str, Any]) -> bool:
    status = workflow.get("status") or {}
    if not action.node:
        return bool(status.get("phase") == action.phase)
    wanted = action.node.replace("WF", workflow["metadata"]["name"], 1)
    nodes = (status.get("nodes") or {}).values()
    return any(node["name"] == wanted and node["phase"] == action.phase for node in nodes)


def _is_over(workflow: Mapping[str, Any]) -> bool:
    return bool((workflow.get("status") or {}).get("finishedAt"))
