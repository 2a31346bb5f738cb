"""What a gate is asked about."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.base.clocks import Clock
from pressplay.stages.agents.results import Result
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.handover import Context
from pressplay.stages.toolchains.preparing import Preparer
from pressplay.stages.transcripts import Transcript


@dataclass(frozen=True)
class Case:
    """The commits from `context.head_sha` to `tip`, in our own clean `directory`.

    `path` is where programs are found; `variables` are the object's own, for its tests; `scratch`
    is a folder of the gate's own; `deadline` is the moment, on the monotonic clock, by which its
    answer must stand.
    """

    env: StageEnvironment
    context: Context
    result: Result
    directory: Path
    tip: str
    scratch: Path
    path: str
    variables: Mapping[str, str]
    clock: Clock
    deadline: float

    def preparer(self, transcript: Transcript) -> Preparer:
        """What makes the trees of this case ready for their tests."""
        return Preparer(
            env=self.env,
            language=self.context.policy.policy.language,
            path=self.path,
            variables=self.variables,
            transcript=transcript,
        )

    def write(self, text: str) -> None:
        """Pass a program's output on to the step's log; it is redacted already."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def seconds_left(self, *, at_most: float) -> float:
        """Time for the next piece of work."""
        return max(1.0, min(at_most, self.deadline - self.clock.monotonic()))
