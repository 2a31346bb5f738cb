"""The written state of one run: its nodes and outputs, patched into the Workflow as they change.

A record is durable before what it announces begins, and written again when that has ended; so a
restart finds every effect that may have happened. What is no effect itself (a group that begins, a
step that has ended) may wait a moment for the next one, and is written with it, at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.base import clocks
from pressplay.base.errors import PressplayError
from pressplay.cluster.port import Object, Objects, key_of
from pressplay.engine import nodes
from pressplay.engine.nodes import Outcome, Outputs, Phase
from pressplay.engine.templates import Bindings

_LOG = logging.getLogger(__name__)
_HOLDERS = frozenset({"DAG", "Retry", "Skipped", "StepGroup", "Steps"})
"""Kinds of node that do nothing but hold others, or nothing at all."""

_SOON_S = 0.002
"""How long what may wait does, where nothing else is written: nobody sees the difference."""


@dataclass(frozen=True)
class NewNode:
    """A node that begins; `template` is the templateName or templateRef part of its status."""

    name: str
    display: str
    kind: str
    template: Mapping[str, Any]
    boundary: str = ""
    parents: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None
    flag: str = ""
    """`retried` for a try of a Retry node, `hooked` for what a hook runs."""


class Records:
    """Nodes of one Workflow by id, and the run's global outputs."""

    def __init__(self, *, objects: Objects, workflow: Object, clock: clocks.Clock) -> None:
        status = workflow.get("status", {})
        self._objects = objects
        self._key = key_of(workflow)
        self._clock = clock
        self._nodes: dict[str, dict[str, Any]] = dict(status.get("nodes", {}))
        self._outputs = Outputs.from_json(status.get("outputs", {}))
        self._unsaid: dict[str, Any] = {}
        self._speaking: asyncio.Future[None] | None = None

    @property
    def workflow(self) -> str:
        return self._key.name

    @property
    def outputs(self) -> Outputs:
        """The run's global outputs so far."""
        return self._outputs

    def outcome(self, name: str) -> Outcome | None:
        """How the node called `name` ended; None if it has not, or never began."""
        record = self._nodes.get(nodes.node_id(self.workflow, name))
        return None if record is None else nodes.outcome_of(record)

    def outbound(self, node: str) -> tuple[str, ...]:
        """The nodes at which a finished node's part of the graph ends, where the next one hangs on.

        Source: `getOutboundNodes` of Argo's controller.
        """
        record = self._nodes.get(node)
        if record is None:
            return ()
        match record["type"]:
            case "Retry" if record.get("children"):
                return (record["children"][-1],)
            case "Steps" | "DAG":
                ends = record.get("outboundNodes", ())
                return tuple(dict.fromkeys(each for end in ends for each in self.outbound(end)))
            case _:
                return (node,)

    def set_outbound(self, node: str, ends: tuple[str, ...]) -> None:
        """Write down where the graph of a steps or a dag node ends; with the next thing said."""
        if ends:
            self._nodes[node]["outboundNodes"] = list(ends)
            self._say_soon({"nodes": {node: {"outboundNodes": list(ends)}}})

    def seconds_since_start(self, name: str) -> float:
        """How long the node has been going, across restarts."""
        record = self._nodes[nodes.node_id(self.workflow, name)]
        return (self._clock.now() - clocks.from_text(record["startedAt"])).total_seconds()

    def failures(self) -> list[dict[str, Any]]:
        """Failed pods, in the shape of `workflow.failures`."""
        return [
            {
                "displayName": node["displayName"],
                "message": node.get("message", ""),
                "templateName": node.get("templateName", ""),
                "phase": node["phase"],
                "podName": node["id"],
                "finishedAt": node.get("finishedAt"),
            }
            for node in self._nodes.values()
            if node["type"] == "Pod" and node["phase"] in (Phase.FAILED, Phase.ERROR)
        ]

    async def begin(self, new: NewNode) -> str:
        """Record that a node runs; returns its id.

        A node that already ran begins anew in place; one that stood in line begins now.
        """
        node = nodes.node_id(self.workflow, new.name)
        changed: dict[str, Any] = {}
        known = self._nodes.get(node)
        if known is None:
            changed[node] = self._add(new)
        elif known["phase"] == Phase.PENDING:
            # From now on: time in a line is no time of work, and counts towards no deadline.
            moment = clocks.to_text(self._clock.now())
            changed[node] = {"phase": str(Phase.RUNNING), "startedAt": moment}
            changed[node] |= dict.fromkeys(("message", "synchronizationStatus"))
            known.update({"phase": str(Phase.RUNNING), "startedAt": moment})
        status = {"nodes": changed | self._under_parents(node, new.parents)}
        if new.kind in _HOLDERS:
            self._say_soon(status)
        else:
            await self._patch(status)
        return node

    async def wait(self, new: NewNode, *, lock: str, message: str) -> None:
        """Record that a node stands in line for a lock."""
        node = nodes.node_id(self.workflow, new.name)
        changed = {} if node in self._nodes else {node: self._add(new)}
        said: dict[str, Any] = {"phase": str(Phase.PENDING), "message": message}
        said["synchronizationStatus"] = {"waiting": lock}
        self._nodes[node].update(said)
        changed[node] = {**changed.get(node, {}), **said}
        await self._patch({"nodes": changed | self._under_parents(node, new.parents)})

    async def say(self, name: str, *, phase: Phase, message: str) -> None:
        """Change what a node that still goes on says of itself."""
        node = nodes.node_id(self.workflow, name)
        change = {"phase": str(phase), "message": message}
        self._nodes[node].update(change)
        await self._patch({"nodes": {node: change}})

    async def end(self, name: str, outcome: Outcome, *, declared: Bindings | None = None) -> None:
        """Record how a node ended, together with the global outputs that its template declares."""
        node = nodes.node_id(self.workflow, name)
        change: dict[str, Any] = {
            "phase": str(outcome.phase),
            "message": outcome.message or None,
            "finishedAt": clocks.to_text(self._clock.now()),
        }
        outputs = outcome.outputs.to_json()
        if outputs:
            change["outputs"] = outputs
        self._nodes[node].update({k: v for k, v in change.items() if v is not None})
        if not outcome.message:
            self._nodes[node].pop("message", None)
        status: dict[str, Any] = {"nodes": {node: change}}
        if declared is not None and self._take_globals(declared, outcome.outputs):
            status["outputs"] = self._outputs.to_json()
        self._say_soon(status)

    async def patch_status(self, status: Mapping[str, Any]) -> None:
        """Write other parts of the run's status."""
        await self._patch(status)

    def add_status(self, status: Mapping[str, Any]) -> None:
        """As `patch_status`, but with the next thing that is said: before anything else begins."""
        self._say_soon(status)

    def _take_globals(self, declared: Bindings, outputs: Outputs) -> bool:
        parameters = dict(self._outputs.parameters)
        artifacts = dict(self._outputs.artifacts)
        for parameter in declared.parameters:
            if parameter.global_name and parameter.name in outputs.parameters:
                parameters[parameter.global_name] = outputs.parameters[parameter.name]
        for artifact in declared.artifacts:
            if artifact.global_name and artifact.name in outputs.artifacts:
                key = outputs.artifacts[artifact.name].key
                artifacts[artifact.global_name] = nodes.StoredArtifact(artifact.global_name, key)
        changed = Outputs(parameters, artifacts)
        if changed == self._outputs:
            return False
        self._outputs = changed
        return True

    def _add(self, new: NewNode) -> dict[str, Any]:
        record = nodes.started(
            workflow=self.workflow,
            name=new.name,
            display=new.display,
            kind=new.kind,
            template=new.template,
            boundary=new.boundary,
            moment=self._clock.now(),
        )
        if new.inputs:
            record["inputs"] = new.inputs
        if new.flag:
            record["nodeFlag"] = {new.flag: True}
        self._nodes[record["id"]] = record
        return record

    def _under_parents(self, node: str, parents: tuple[str, ...]) -> dict[str, Any]:
        """What changes of the parents for which this child is new."""
        changed: dict[str, Any] = {}
        for parent in parents:
            holder = self._nodes.get(parent)
            if holder is not None and node not in holder.setdefault("children", []):
                holder["children"].append(node)
                changed[parent] = {"children": holder["children"]}
        return changed

    async def settled(self) -> None:
        """Wait until all is written that was to be."""
        if self._unsaid:
            await self._patch({})

    def _say_soon(self, status: Mapping[str, Any]) -> None:
        _join(self._unsaid, status)
        if self._speaking is None or self._speaking.done():
            self._speaking = asyncio.ensure_future(self._speak())

    async def _speak(self) -> None:
        await asyncio.sleep(_SOON_S)
        try:
            await self.settled()
        except PressplayError as error:
            # It is still unsaid: whoever writes next meets the error, and carries it to the run.
            _LOG.debug("record_not_written workflow=%s error=%s", self.workflow, error)

    async def _patch(self, status: Mapping[str, Any]) -> None:
        unsaid, self._unsaid = self._unsaid, {}
        _join(unsaid, status)
        try:
            await self._objects.patch(self._key, {"status": unsaid})
        except PressplayError:
            _join(unsaid, self._unsaid)
            self._unsaid = unsaid
            raise


def _join(first: dict[str, Any], second: Mapping[str, Any]) -> None:
    """Make one merge patch, in place, of two that follow each other."""
    for name, value in second.items():
        before = first.get(name)
        if isinstance(before, dict) and isinstance(value, Mapping):
            _join(before, value)
        else:
            first[name] = dict(value) if isinstance(value, Mapping) else value
