"""The engine: watches Workflows, and runs one operation for each that is not finished.

Level-triggered: it acts on what an object says now. After a restart every unfinished Workflow
looks new, and its operation goes on from the record.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Mapping
from typing import Any

from pressplay.base import clocks, errors
from pressplay.base.clocks import Clock
from pressplay.base.errors import PressplayError, Refused
from pressplay.cluster.port import Key, NotFound, Object, Objects, key_of
from pressplay.engine import holding, library, limits, operating, scoping, validating
from pressplay.engine.locks import Locks
from pressplay.engine.nodes import Outcome, Phase
from pressplay.engine.operating import Operation
from pressplay.engine.port import Pods
from pressplay.engine.templates import Call
from pressplay.engine.validation import places

_LOG = logging.getLogger(__name__)
_PHASE_LABEL = "workflows.argoproj.io/phase"
_DONE_LABEL = "workflows.argoproj.io/completed"
_DEADLINE = "Step exceeded its deadline"


class Engine:
    """Runs every Workflow of the store until it is cancelled."""

    def __init__(self, *, objects: Objects, pods: Pods, clock: Clock) -> None:
        self._objects = objects
        self._pods = pods
        self._clock = clock
        self._locks = Locks()
        self._operations: dict[str, Operation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Watch and run; ends only by cancellation, which leaves every run as it is recorded."""
        for workflow in await self._objects.list("Workflow"):
            self._restore_locks(workflow)
        async with asyncio.TaskGroup() as group:
            group.create_task(limits.follow(self._locks, objects=self._objects))
            async for change in self._objects.watch("Workflow"):
                self._notice(change.type, change.object, group)

    def _notice(self, kind: str, workflow: Object, group: asyncio.TaskGroup) -> None:
        uid = workflow["metadata"]["uid"]
        task = self._tasks.get(uid)
        if kind == "DELETED":
            if task is not None:
                task.cancel()
            self._pods.forget(workflow["metadata"]["name"])
            return
        if task is None:
            if not _is_finished(workflow):
                self._tasks[uid] = group.create_task(self._operate(workflow))
            return
        operation = self._operations.get(uid)
        strategy = workflow["spec"].get("shutdown", "")
        if strategy and operation is not None:
            _stop(operation, strategy)

    async def _operate(self, workflow: Object) -> None:
        uid = workflow["metadata"]["uid"]
        try:
            await self._run_to_end(workflow)
        except NotFound:
            _LOG.info("workflow_deleted workflow=%s", workflow["metadata"]["name"])
        except Exception:  # noqa: BLE001 - one broken run must not take the others with it
            _LOG.exception("workflow_broken workflow=%s", workflow["metadata"]["name"])
            await self._finish(key_of(workflow), Outcome(Phase.ERROR, errors.INTERNAL))
        finally:
            operation = self._operations.pop(uid, None)
            if operation is not None:
                operation.let_go()
            self._tasks.pop(uid, None)

    async def _run_to_end(self, workflow: Object) -> None:
        key = key_of(workflow)
        try:
            spec = await library.effective_spec(self._objects, workflow)
        except Refused as error:
            await self._finish(key, Outcome(Phase.ERROR, str(error)))
            return
        try:
            await self._validate(workflow)
            parameters = scoping.workflow_parameters(spec)
        except Refused as error:
            await self._finish(key, Outcome(Phase.FAILED, f"invalid spec: {error}"))
            return
        operation = Operation(
            objects=self._objects,
            pods=self._pods,
            locks=self._locks,
            clock=self._clock,
            workflow=workflow,
            spec=spec,
            parameters=parameters,
        )
        self._operations[workflow["metadata"]["uid"]] = operation
        _stop(operation, workflow["spec"].get("shutdown", ""))
        try:
            await operation.take_run_locks(waiting=functools.partial(self._say_waiting, key))
        except Refused as error:
            message = f"Failed to acquire the synchronization lock. {error}"
            await self._finish(key, Outcome(Phase.FAILED, message))
            return
        workflow = await self._begin(workflow)
        outcome = await self._walk_within_deadline(operation, workflow, spec)
        outcome = await self._walk_exit(operation, spec, outcome)
        await self._finish(key, outcome)

    async def _validate(self, workflow: Object) -> None:
        """Refuse what cannot run; what has begun goes on, whatever became of its templates."""
        if workflow.get("status", {}).get("phase"):
            return
        found = await library.referable(self._objects, workflow)
        validating.validate(workflow, homes=places.Homes(found))

    async def _say_waiting(self, key: Key, lock: str, message: str) -> None:
        """A run that stands in line for its own locks is Pending and has no node yet."""
        _LOG.info("workflow_waits workflow=%s lock=%s", key.name, lock)
        labels = {_PHASE_LABEL: str(Phase.PENDING)}
        status = {"phase": str(Phase.PENDING), "message": message}
        await self._objects.patch(key, {"metadata": {"labels": labels}, "status": status})

    async def _begin(self, workflow: Object) -> Object:
        if workflow.get("status", {}).get("startedAt"):
            return workflow
        status: dict[str, Any] = {
            "phase": str(Phase.RUNNING),
            "message": None,
            "startedAt": clocks.to_text(self._clock.now()),
            "nodes": {},
        }
        labels = {_PHASE_LABEL: str(Phase.RUNNING)}
        patch = {"metadata": {"labels": labels}, "status": status}
        return await self._objects.patch(key_of(workflow), patch)

    async def _walk_within_deadline(
        self, operation: Operation, workflow: Object, spec: Mapping[str, Any]
    ) -> Outcome:
        walking = asyncio.ensure_future(operating.finished(operation.walk()))
        try:
            await asyncio.wait({walking}, timeout=self._seconds_left(workflow, spec))
            if not walking.done():
                operation.stop.ask(_DEADLINE, node_message=_DEADLINE)
            return await walking
        finally:
            if not walking.done():
                walking.cancel()
                await asyncio.gather(walking, return_exceptions=True)

    def _seconds_left(self, workflow: Object, spec: Mapping[str, Any]) -> float | None:
        if "activeDeadlineSeconds" not in spec:
            return None
        begun = clocks.from_text(workflow["status"]["startedAt"])
        gone = (self._clock.now() - begun).total_seconds()
        return max(0.0, float(spec["activeDeadlineSeconds"]) - gone)

    async def _walk_exit(
        self, operation: Operation, spec: Mapping[str, Any], outcome: Outcome
    ) -> Outcome:
        """Run the exit handler; its failure fails a good run, as in Argo."""
        hook = spec.get("hooks", {}).get("exit") or (
            {"template": spec["onExit"], "arguments": spec.get("arguments") or {}}
            if spec.get("onExit")
            else None
        )
        if hook is None or operation.stop.is_asked(exiting=True):
            return outcome
        reference = hook.get("templateRef", {})
        call = Call(reference.get("template", hook.get("template", "")), reference.get("name", ""))
        ended = await operating.finished(
            operation.walk_exit(outcome.phase, call=call, arguments=hook.get("arguments", {}))
        )
        if outcome.phase.is_good and not ended.phase.is_good:
            return Outcome(ended.phase, ended.message)
        return outcome

    async def _finish(self, key: Key, outcome: Outcome) -> None:
        phase = Phase.SUCCEEDED if outcome.phase.is_good else outcome.phase
        status: dict[str, Any] = {
            "phase": str(phase),
            "message": outcome.message or None,
            "finishedAt": clocks.to_text(self._clock.now()),
            "synchronization": None,
        }
        labels = {_PHASE_LABEL: str(phase), _DONE_LABEL: "true"}
        try:
            await self._objects.patch(key, {"metadata": {"labels": labels}, "status": status})
        except NotFound:
            _LOG.info("workflow_deleted workflow=%s", key.name)
        except PressplayError:
            _LOG.exception("workflow_not_finished workflow=%s", key.name)

    def _restore_locks(self, workflow: Object) -> None:
        if _is_finished(workflow):
            return
        for name, holder in holding.recorded(workflow):
            self._locks.restore(name, holder=holder)


def _stop(operation: Operation, strategy: str) -> None:
    if strategy:
        operation.stop.ask(
            f"Stopped with strategy '{strategy}'",
            # Two spaces: Argo writes it so.
            node_message=f"workflow shutdown with strategy:  {strategy}",
            terminate=strategy == "Terminate",
        )


def _is_finished(workflow: Object) -> bool:
    phase = workflow.get("status", {}).get("phase", "")
    return bool(phase) and Phase(phase).is_done and "finishedAt" in workflow["status"]
