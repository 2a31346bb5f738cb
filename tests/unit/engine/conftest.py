"""An engine over the store in memory, with pods that answer as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pressplay.base import clocks
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Object
from pressplay.engine.nodes import Outcome, Outputs, Phase
from pressplay.engine.port import StepPod
from pressplay.engine.watching import Engine

NAMESPACE = "agents"
Answer = Outcome | Callable[[StepPod], Outcome]


class AnsweringPods:
    """Stands in for real pods: records what began, answers by the template's name."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers = dict(answers or {})
        self.began: list[str] = []
        self.steps: list[StepPod] = []
        self.held: dict[str, asyncio.Event] = {}
        self.stopped: list[str] = []
        self.forgotten: list[str] = []

    async def run(self, step: StepPod) -> Outcome:
        """Record, wait while the test holds the template, answer."""
        self.began.append(step.template.name)
        self.steps.append(step)
        if step.template.name in self.held:
            await self.held[step.template.name].wait()
        answer = self.answers.get(step.template.name, Outcome(Phase.SUCCEEDED))
        return answer(step) if callable(answer) else answer

    def forget(self, workflow: str) -> None:
        """Record it."""
        self.forgotten.append(workflow)

    async def stop(self, uid: str) -> None:
        """Let whatever is held go on, as a signal would."""
        self.stopped.append(uid)
        for event in self.held.values():
            event.set()


class Bench:
    """One engine to hand Workflows to."""

    def __init__(self) -> None:
        self.clock = clocks.SystemClock()
        self.objects = MemoryObjects(clock=self.clock)
        self.pods = AnsweringPods()

    async def prepare(self) -> None:
        """The namespace in which everything runs."""
        await self.objects.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )

    async def create(self, kind: str, name: str, spec: Mapping[str, Any]) -> Object:
        """Store an Argo object."""
        return await self.objects.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": kind,
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": dict(spec),
            }
        )

    def engine(self) -> Engine:
        """A fresh engine over the same store, as after a restart."""
        return Engine(objects=self.objects, pods=self.pods, clock=self.clock)

    async def run(self, spec: Mapping[str, Any], *, name: str = "wf") -> Object:
        """Create a Workflow and run the engine until it is finished."""
        await self.create("Workflow", name, spec)
        return await self.finish(name)

    async def finish(self, name: str) -> Object:
        """Run an engine until the Workflow is finished."""
        running = asyncio.ensure_future(self.engine().run())
        try:
            return await self.until(name, lambda wf: "finishedAt" in wf.get("status", {}))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until(self, name: str, holds: Callable[[Object], bool]) -> Object:
        """Wait, for some seconds at most, until the Workflow is as wanted."""
        async with asyncio.timeout(5):
            while True:
                found = await self.objects.get(Key("Workflow", NAMESPACE, name))
                if found is not None and holds(found):
                    return found
                await asyncio.sleep(0.002)


@pytest.fixture
async def bench() -> Bench:
    """An engine bench with its namespace."""
    made = Bench()
    await made.prepare()
    return made


def wrote(**parameters: str) -> Outcome:
    """A pod that succeeded and wrote these output parameters."""
    return Outcome(Phase.SUCCEEDED, "", Outputs(parameters, exit_code="0"))


def failed(code: str = "1", **parameters: str) -> Outcome:
    """A pod that failed with this exit code."""
    message = f"main: Error (exit code {code})"
    return Outcome(Phase.FAILED, message, Outputs(parameters, exit_code=code))


@pytest.fixture
def pod() -> Callable[..., dict[str, Any]]:
    """Makes a container template."""

    def make(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "container": {"image": "x", "command": ["true"]}, **more}

    return make
