"""How far a run is, read from its Workflow and from those that carry out its agents' work.

Pure: what is shown on a terminal, printed as lines or told as JSON is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pressplay.base import clocks
from pressplay.cluster.port import Object
from pressplay.engine import nodes

STAGES = (
    *("preflight", "set-params", "implement", "clippy-format", "qa-testing"),
    *("deploy", "acceptance", "approve", "seal", "cleanup"),
)
RUN = "pressplay.dev/run"
"""Label on everything that a run made: the run's name."""

OVER = frozenset({"Succeeded", "Failed", "Error", "Skipped", "Omitted"})
_QUIET_PODS = ("warm",)
"""Steps that work beside another one, whose words matter more."""


@dataclass(frozen=True)
class Pod:
    """A step's pod that runs now."""

    name: str
    step: str
    started: str


@dataclass(frozen=True)
class Stage:
    """One stage; `phase` is Argo's, or empty while it has not begun."""

    name: str
    phase: str = ""
    seconds: float = 0
    note: str = ""

    @property
    def is_running(self) -> bool:
        return bool(self.phase) and self.phase not in OVER


@dataclass(frozen=True)
class Progress:
    """A run at one moment. `usd` is None until an agent's cost is known."""

    run: str
    phase: str
    stages: tuple[Stage, ...]
    pod: Pod | None = None
    pull: str = ""
    pull_url: str = ""
    preview_url: str = ""
    usd: float | None = None


def read(
    workflow: Object,
    children: Iterable[Object],
    *,
    planned: Sequence[str],
    now: datetime,
    usd: float | None = None,
) -> Progress:
    """The state of a run; `planned` are the names of the stages that its template has.

    `usd` is what the agent that runs has cost so far, if anybody knows.
    """
    around = list(children)
    outputs = outputs_of(workflow)
    pods = [pod for each in (workflow, *around) for pod in _running_pods(each)]
    pod = max(pods, key=lambda each: (each.step not in _QUIET_PODS, each.started), default=None)
    told = [outputs_of(each) for each in around]
    return Progress(
        run=workflow["metadata"]["name"],
        phase=workflow.get("status", {}).get("phase", ""),
        stages=_stages(workflow, around, planned=planned, now=now),
        pod=pod,
        pull=outputs.get("pr")
        or workflow["metadata"].get("labels", {}).get("pressplay.dev/pr", ""),
        pull_url=next((each["pr_url"] for each in told if each.get("pr_url")), ""),
        preview_url=preview_url(outputs),
        usd=_sum(spend(around), usd),
    )


def outputs_of(workflow: Object) -> dict[str, str]:
    """The run's global outputs."""
    parameters = workflow.get("status", {}).get("outputs", {}).get("parameters", ())
    return {each["name"]: str(each.get("value", "")) for each in parameters}


def preview_url(outputs: Mapping[str, str]) -> str:
    """Where the preview is, once deploy has said so."""
    try:
        endpoints = json.loads(outputs.get("preview_urls") or "{}").get("endpoints", ())
        return str(endpoints[0]["url"]) if endpoints else ""
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def spend(children: Iterable[Object]) -> float | None:
    """What the agents of a run have cost so far, in US dollars; None while nobody said."""
    return _sum(*(_amount(outputs_of(each).get("cost", "")) for each in children))


def _sum(*amounts: float | None) -> float | None:
    known = [each for each in amounts if each is not None]
    return sum(known) if known else None


def stages_of(template: Object) -> tuple[str, ...]:
    """The stages that a WorkflowTemplate has, in their order."""
    named: set[str] = set()
    for each in template.get("spec", {}).get("templates", ()):
        named |= {task["name"] for task in each.get("dag", {}).get("tasks", ())}
        named |= {step["name"] for group in each.get("steps", ()) for step in group}
    return tuple(name for name in STAGES if name in named)


def _amount(text: str) -> float | None:
    """An amount as a plain number or as an object with `usd`."""
    try:
        found = json.loads(text)
        return float(found["usd"] if isinstance(found, dict) else found)
    except (ValueError, LookupError, TypeError):
        return None


def _stages(
    workflow: Object, children: Sequence[Object], *, planned: Sequence[str], now: datetime
) -> tuple[Stage, ...]:
    begun: dict[str, Mapping[str, Any]] = {}
    for node in _nodes(workflow):
        # A retry's attempts are called NAME(0): the node of the stage itself comes first.
        if node["displayName"] in STAGES:
            begun.setdefault(node["displayName"], node)
    names = [name for name in STAGES if name in begun or name in planned]
    return tuple(
        _stage(name, begun[name], children, now=now) if name in begun else Stage(name)
        for name in names
    )


def _stage(
    name: str, node: Mapping[str, Any], children: Sequence[Object], *, now: datetime
) -> Stage:
    phase = node["phase"]
    note = ""
    if phase in ("Skipped", "Omitted") or phase == "Pending":
        note = node.get("message", "")
    elif phase not in OVER:
        note = _inside(name, children)
    return Stage(name, phase, _seconds(node, now), note)


def _inside(stage: str, children: Sequence[Object]) -> str:
    """Which step of the stage's own Workflow runs."""
    for child in children:
        if parameter(child, "task") == stage:
            return ", ".join(dict.fromkeys(pod.step for pod in _running_pods(child)))
    return ""


def parameter(workflow: Object, name: str) -> str:
    """An argument of a Workflow."""
    given = workflow.get("spec", {}).get("arguments", {}).get("parameters", ())
    return next((str(each.get("value", "")) for each in given if each["name"] == name), "")


def _seconds(node: Mapping[str, Any], now: datetime) -> float:
    if not node.get("startedAt"):
        return 0
    until = clocks.from_text(node["finishedAt"]) if node.get("finishedAt") else now
    return max(0.0, (until - clocks.from_text(node["startedAt"])).total_seconds())


def _running_pods(workflow: Object) -> list[Pod]:
    run = workflow["metadata"]["name"]
    found = []
    for node in _nodes(workflow):
        if node["type"] == "Pod" and node["phase"] == "Running":
            template = node.get("templateName") or node.get("templateRef", {}).get("template", "")
            pod = nodes.pod_name(run, node["name"], template)
            step = node["displayName"].partition("(")[0]
            found.append(Pod(pod, step, node.get("startedAt", "")))
    return found


def _nodes(workflow: Object) -> list[Mapping[str, Any]]:
    return list(workflow.get("status", {}).get("nodes", {}).values())
