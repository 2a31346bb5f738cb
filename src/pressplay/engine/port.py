"""The port to whatever runs a step's pod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pressplay.engine.nodes import Outcome
from pressplay.engine.scoping import Given
from pressplay.engine.templates import Template


@dataclass(frozen=True)
class StepPod:
    """One pod to run: its template with every tag filled in, and where it belongs."""

    uid: str
    name: str
    namespace: str
    workflow: str
    service_account: str
    template: Template
    given: Given
    wants_result: bool = False


class Pods(Protocol):
    """Runs pods. Different steps run beside each other; one uid never twice at a time."""

    async def run(self, step: StepPod) -> Outcome:
        """Run a pod to its end; how it ended is a result and no error.

        Running the same step again starts afresh. Cancelling kills the pod and leaves nothing.
        """

    async def stop(self, uid: str) -> None:
        """End a running pod early; its `run` then answers. Quiet if it does not run."""

    def forget(self, workflow: str) -> None:
        """Remove what the pods of a run left, as the run itself is gone. Idempotent."""
