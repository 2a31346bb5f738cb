"""What a run's own Workflow says about it: the one source for stages that trust no parameter."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.base.errors import Refused
from pressplay.cluster.kube import KubeClient
from pressplay.stages.admission import rivals

FAILED = ("Failed", "Error")
_EXIT_TEMPLATES = ("finish", "seal", "cleanup")


@dataclass(frozen=True)
class Node:
    """One node of a run; `outputs` are its output parameters."""

    name: str
    template: str
    type: str
    phase: str
    message: str
    started: str
    finished: str
    outputs: dict[str, str]


@dataclass(frozen=True)
class RunFacts:
    """A run as its Workflow shows it; what is not known yet is empty.

    `owner`, `repo`, `subject`, `base_sha` and `decision` are the last preflight's answers; `pr`
    and `head_sha` are what was deployed. A run that a newer one stopped names it in
    `superseded_by`, and its decision is `superseded`.
    """

    name: str
    template: str
    phase: str
    started: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    nodes: tuple[Node, ...]
    owner: str
    repo: str
    subject: str
    base_sha: str
    decision: str
    superseded_by: str = ""

    @property
    def pr(self) -> str:
        """The number of the pull request."""
        return self.outputs.get("pr", "")

    @property
    def head_sha(self) -> str:
        """The commit that was deployed and judged."""
        return self.outputs.get("head_sha", "")

    @property
    def reason(self) -> str:
        """Why it ended as it did, where somebody said so."""
        if self.superseded_by:
            return f"The newer run {self.superseded_by} goes on instead"
        return self.outputs.get("reason", "")

    @property
    def failures(self) -> tuple[Node, ...]:
        """The pods that failed, in the order in which they ended."""
        failed = [node for node in self.nodes if node.phase in FAILED and node.type == "Pod"]
        return tuple(sorted(failed, key=lambda node: node.finished))

    def to_json(self, *, status: str) -> dict[str, Any]:
        """What is kept of a run with its evidence; `status` is how it ended, told to its hook."""
        return {
            "run": self.name,
            "template": self.template,
            "status": status,
            "startedAt": self.started,
            "decision": self.decision,
            "supersededBy": self.superseded_by,
            "parameters": self.parameters,
            "outputs": self.outputs,
            "failures": [
                {"name": node.name, "template": node.template, "message": node.message}
                for node in self.failures
            ],
            "nodes": [
                {
                    "name": node.name,
                    "template": node.template,
                    "type": node.type,
                    "phase": node.phase,
                    "startedAt": node.started,
                    "finishedAt": node.finished,
                }
                for node in self.nodes
                if node.template not in _EXIT_TEMPLATES
            ],
        }


def read(kube: KubeClient, namespace: str, name: str) -> RunFacts:
    """The facts of the run called `name`. Raises Refused where there is none."""
    workflow = kube.get("Workflow", namespace, name)
    if workflow is None:
        raise Refused(f"Workflow {name} is not in namespace {namespace}")
    return of_workflow(workflow)


def of_workflow(workflow: Mapping[str, Any]) -> RunFacts:
    """The facts out of a Workflow object."""
    spec, status = workflow.get("spec") or {}, workflow.get("status") or {}
    nodes = tuple(_node(each) for each in _nodes(status).values())
    newer = (workflow["metadata"].get("annotations") or {}).get(rivals.SUPERSEDED_BY, "")
    looks = [node for node in nodes if node.template == "preflight" and "decision" in node.outputs]
    look = max(looks, key=lambda node: node.finished).outputs if looks else {}
    return RunFacts(
        name=workflow["metadata"]["name"],
        template=(spec.get("workflowTemplateRef") or {}).get("name", ""),
        phase=status.get("phase") or "",
        started=status.get("startedAt") or "",
        parameters=_parameters((spec.get("arguments") or {}).get("parameters")),
        outputs=_parameters((status.get("outputs") or {}).get("parameters")),
        nodes=nodes,
        owner=look.get("owner", ""),
        repo=look.get("repo", ""),
        subject=look.get("subject", ""),
        base_sha=look.get("base-sha", ""),
        decision="superseded" if newer else look.get("decision", ""),
        superseded_by=newer,
    )


def _nodes(status: Mapping[str, Any]) -> dict[str, Any]:
    """The nodes, which Argo packs (gzip, base64) once a Workflow grows large."""
    packed = status.get("compressedNodes")
    if not packed:
        return status.get("nodes") or {}
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return found


def _node(node: Mapping[str, Any]) -> Node:
    template = node.get("templateName") or (node.get("templateRef") or {}).get("template", "")
    return Node(
        name=node.get("displayName") or node.get("name", ""),
        template=template,
        type=node.get("type") or "",
        phase=node.get("phase") or "",
        message=node.get("message") or "",
        started=node.get("startedAt") or "",
        finished=node.get("finishedAt") or "",
        outputs=_parameters((node.get("outputs") or {}).get("parameters")),
    )


def _parameters(entries: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    return {each["name"]: str(each["value"]) for each in entries or () if "value" in each}
