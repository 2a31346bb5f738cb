"""Nodes: what a step leaves behind, in the shape of Argo's NodeStatus.

Node names and ids are contract: the command line, other clients and tests select by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pressplay.base import clocks, ids


class Phase(StrEnum):
    """Argo's node and workflow phases."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    OMITTED = "Omitted"
    FAILED = "Failed"
    ERROR = "Error"

    @property
    def is_done(self) -> bool:
        return self not in (Phase.PENDING, Phase.RUNNING)

    @property
    def is_good(self) -> bool:
        """Whether what follows in the same list of steps may go on."""
        return self in (Phase.SUCCEEDED, Phase.SKIPPED, Phase.OMITTED)


_HOLDING = ("DAG", "Skipped", "Steps")


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact that was saved: its name and the key under which it lies."""

    name: str
    key: str


@dataclass(frozen=True)
class Outputs:
    """What a node hands out; a parameter that was declared but not written is absent."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, StoredArtifact] = field(default_factory=dict)
    result: str | None = None
    exit_code: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The `outputs` of a NodeStatus."""
        made: dict[str, Any] = {}
        if self.parameters:
            made["parameters"] = [{"name": n, "value": v} for n, v in self.parameters.items()]
        if self.artifacts:
            made["artifacts"] = [
                {"name": a.name, "s3": {"key": a.key}} for a in self.artifacts.values()
            ]
        if self.result is not None:
            made["result"] = self.result
        if self.exit_code is not None:
            made["exitCode"] = self.exit_code
        return made

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outputs:
        """The inverse of `to_json`."""
        return cls(
            parameters={p["name"]: p["value"] for p in data.get("parameters", ())},
            artifacts={
                a["name"]: StoredArtifact(a["name"], a["s3"]["key"])
                for a in data.get("artifacts", ())
            },
            result=data.get("result"),
            exit_code=data.get("exitCode"),
        )


@dataclass(frozen=True)
class Outcome:
    """How a node ended."""

    phase: Phase
    message: str = ""
    outputs: Outputs = field(default_factory=Outputs)
    raised: bool = False
    """Whether the engine could not go on with it, rather than that something of it failed."""


def node_id(workflow: str, name: str) -> str:
    """Argo's node id: the workflow's name for the root, else with the FNV-1a hash of `name`."""
    return workflow if name == workflow else f"{workflow}-{ids.fnv32a(name)}"


def pod_name(workflow: str, node: str, template: str) -> str:
    """Argo's pod name (version 2): workflow, template, hash; the workflow's alone for the root.

    Source: Argo's documentation, "Pod names".
    """
    if node == workflow:
        return workflow
    return f"{workflow}-{template}-{ids.fnv32a(node)}"


def started(
    *,
    workflow: str,
    name: str,
    display: str,
    kind: str,
    template: Mapping[str, Any],
    boundary: str,
    moment: datetime,
) -> dict[str, Any]:
    """A NodeStatus at its beginning; `template` is the templateName or templateRef part."""
    record: dict[str, Any] = {
        "id": node_id(workflow, name),
        "name": name,
        "displayName": display,
        "type": kind,
        "phase": str(Phase.RUNNING),
        "startedAt": clocks.to_text(moment),
        **template,
    }
    if boundary:
        record["boundaryID"] = boundary
    return record


def outcome_of(record: Mapping[str, Any]) -> Outcome | None:
    """The outcome of a recorded node; None while it is not done."""
    phase = Phase(record["phase"])
    if not phase.is_done:
        return None
    message = record.get("message", "")
    # A group that only failed is Failed, and a DAG that only failed says nothing.
    raised = phase is Phase.ERROR and record["type"] in _HOLDING and bool(message)
    outputs = Outputs.from_json(record.get("outputs", {}))
    return Outcome(phase, message, outputs, raised=raised)
