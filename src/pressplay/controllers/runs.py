"""CodeRun and DocsRun: object → one Workflow → status.

The Workflow's name is the object's, so that making it twice makes it once. `workCompleted` is a
latch: once the work was started, a missing Workflow is an Error and never a second start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pressplay.api import agent_runs, names
from pressplay.api.agent_runs import RunPhase
from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.cluster.port import AlreadyExists, Key, NotFound, Object, Objects, is_going, key_of
from pressplay.controllers.workqueue import WorkQueue

_ENDED = {RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.ERROR, RunPhase.CANCELLED}


class RunController:
    """Reconciles every CodeRun and DocsRun until it is cancelled."""

    def __init__(self, *, objects: Objects, clock: Clock, namespace: str = "") -> None:
        """An empty `namespace` means all of them."""
        self._objects = objects
        self._clock = clock
        self._namespace = namespace
        self._queue = WorkQueue(self.reconcile, name="runs")

    async def run(self) -> None:
        """Watch the objects and their Workflows."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run())
            group.create_task(self._watch_workflows())
            for kind in agent_runs.KINDS:
                group.create_task(self._watch(kind))

    async def reconcile(self, key: Key) -> float | None:
        """Bring one object's status up to what its Workflow says, making the Workflow at first."""
        obj = await self._objects.get(key)
        if obj is None or is_going(obj) or _phase(obj) in _ENDED:
            return None
        try:
            wanted = _workflow_for(obj)
        except Refused as error:
            await self._end(obj, RunPhase.FAILED, reason="Invalid", message=str(error))
            return None
        workflow = await self._objects.get(key_of(wanted))
        if workflow is None:
            workflow = await self._start(obj, wanted)
        if workflow is not None:
            if obj["spec"].get("cancel") and "shutdown" not in workflow["spec"]:
                await self._objects.patch(key_of(workflow), {"spec": {"shutdown": "Stop"}})
            await self._mirror(obj, workflow)
        return None

    async def _watch(self, kind: str) -> None:
        async for change in self._objects.watch(kind, namespace=self._namespace):
            if change.type != "DELETED":
                self._queue.add(key_of(change.object))

    async def _watch_workflows(self) -> None:
        async for change in self._objects.watch("Workflow", namespace=self._namespace):
            metadata = change.object["metadata"]
            for owner in metadata.get("ownerReferences", ()):
                if owner["kind"] in agent_runs.KINDS:
                    self._queue.add(Key(owner["kind"], metadata["namespace"], owner["name"]))

    async def _start(self, obj: Object, wanted: Object) -> Object | None:
        status = obj.get("status", {})
        if status.get("workCompleted"):
            message = (
                f"Workflow {wanted['metadata']['name']} is gone; the work is not started twice"
            )
            await self._end(obj, RunPhase.ERROR, reason="WorkflowMissing", message=message)
            return None
        if obj["spec"].get("cancel"):
            await self._end(obj, RunPhase.CANCELLED, reason="Cancelled", message="before it began")
            return None
        try:
            return await self._objects.create(wanted)
        except AlreadyExists:
            return await self._objects.get(key_of(wanted))

    async def _mirror(self, obj: Object, workflow: Object) -> None:
        status = _status_from(obj, workflow, now=clocks.to_text(self._clock.now()))
        await self._objects.patch(key_of(obj), {"status": status})
        await self._label_run(obj, status)

    async def _end(self, obj: Object, phase: RunPhase, *, reason: str, message: str) -> None:
        now = clocks.to_text(self._clock.now())
        status = {"phase": str(phase), "reason": reason, "message": message, "finishedAt": now}
        await self._objects.patch(key_of(obj), {"status": status})

    async def _label_run(self, obj: Object, status: Mapping[str, Any]) -> None:
        """Label the run that asked for this object with the pull request, once it is known."""
        run, number = obj["spec"].get("run", ""), status.get("pullRequestNumber")
        if not run or not number:
            return
        labels = {"pressplay.dev/pr": str(number)}
        if status.get("commitSha"):
            labels["pressplay.dev/head"] = status["commitSha"]
        key = Key("Workflow", obj["metadata"]["namespace"], run)
        try:
            await self._objects.patch(key, {"metadata": {"labels": labels}})
        except NotFound:
            return


def _phase(obj: Object) -> RunPhase | None:
    phase = obj.get("status", {}).get("phase", "")
    return RunPhase(phase) if phase else None


def _workflow_for(obj: Object) -> Object:
    """The one Workflow that carries an object out. Raises Refused for an object that is invalid."""
    if obj["kind"] == "CodeRun":
        agent_runs.parse_code_run(obj)
        template, entrypoint = "coderun-run", "main"
    else:
        agent_runs.parse_docs_run(obj)
        template, entrypoint = "docsrun-run", _docs_entrypoint(obj["spec"])
    metadata, spec = obj["metadata"], obj["spec"]
    arguments = {
        "github-app": spec.get("github", {}).get("appName", "") or "rex",
        "run": spec.get("run", "") or metadata["name"],
        "task": spec.get("task", "") or metadata["name"],
        "request": json.dumps(spec, separators=(",", ":"), sort_keys=True),
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": names.cut(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {"pressplay.dev/run": names.cut(arguments["run"])},
            "ownerReferences": [
                {
                    "apiVersion": obj["apiVersion"],
                    "kind": obj["kind"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    # Without blockOwnerDeletion, for which some clusters ask for further rights.
                    "controller": True,
                }
            ],
        },
        "spec": {
            "entrypoint": entrypoint,
            "workflowTemplateRef": {"name": template},
            "arguments": {
                "parameters": [{"name": n, "value": v} for n, v in arguments.items()],
            },
        },
    }


def _docs_entrypoint(spec: Mapping[str, Any]) -> str:
    if spec.get("profile") == "deploy":
        return "deploy"
    return "command" if spec.get("command") else "docs"


def _status_from(obj: Object, workflow: Object, *, now: str) -> dict[str, Any]:
    """The object's status as its Workflow's phase and outputs say."""
    ran = workflow.get("status", {})
    parameters = ran.get("outputs", {}).get("parameters", ())
    outputs = {p["name"]: p["value"] for p in parameters if "value" in p}
    phase = RunPhase(ran.get("phase") or "Pending")
    if phase in _ENDED and obj["spec"].get("cancel") and phase is not RunPhase.SUCCEEDED:
        phase = RunPhase.CANCELLED
    status: dict[str, Any] = {
        "phase": str(phase),
        "observedGeneration": obj["metadata"].get("generation", 1),
        "workflowName": workflow["metadata"]["name"],
        "workCompleted": True,
        "startedAt": ran.get("startedAt") or now,
        "outputs": {name: value for name, value in outputs.items() if name != "reason"},
    }
    if outputs.get("pr", "").isdigit():
        status["pullRequestNumber"] = int(outputs["pr"])
        status["pullRequestUrl"] = outputs.get("pr_url", "")
        status["commitSha"] = outputs.get("head_sha", "")
    if phase in _ENDED:
        status["finishedAt"] = ran.get("finishedAt") or now
        if phase is not RunPhase.SUCCEEDED:
            node = _failed_node(ran)
            said = f"{node['displayName']}: {node.get('message', '')}" if node else ""
            code = node.get("outputs", {}).get("exitCode", "")
            status["reason"] = agent_runs.REASONS.get(code, str(phase))
            status["message"] = outputs.get("reason") or said or ran.get("message", "")
    return status


def _failed_node(ran: Mapping[str, Any]) -> Mapping[str, Any]:
    """The last pod that failed: the run's own message only says that a child did."""
    failed = [
        node
        for node in ran.get("nodes", {}).values()
        if node["type"] == "Pod" and node["phase"] in ("Failed", "Error")
    ]
    # A cluster hands the nodes out in the order of their ids, which says nothing.
    return max(failed, key=lambda node: node.get("finishedAt") or "", default={})
