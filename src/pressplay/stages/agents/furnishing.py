"""What an agent finds beside the files: what the repository depends on, so that its tests run.

A convenience and no promise: where they cannot be had, the agent works without, and is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pressplay.base.errors import PressplayError, Refused
from pressplay.stages import asking, children
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.handover import Context
from pressplay.stages.relaying import Carried
from pressplay.stages.toolchains.preparing import Preparer
from pressplay.stages.transcripts import Transcript

TIME_SHARE = 0.25
"""Of the agent's time, this much may go into fetching what the repository depends on."""


@dataclass(frozen=True)
class Furnished:
    """Variables for the agent's programs, and files in its workspace that are nobody's work."""

    variables: Mapping[str, str]
    litter: tuple[str, ...] = ()


@dataclass(frozen=True)
class Furnisher:
    """Prepares the workspace of one agent."""

    env: StageEnvironment
    context: Context
    transcript: Transcript

    def preparer(self) -> Preparer:
        """What prepares the trees of this pod."""
        return Preparer(
            env=self.env,
            language=self.context.policy.policy.language,
            path=children.search_path(self.env),
            variables=children.plain_variables(asking.read_request(self.env)),
            transcript=self.transcript,
        )

    def furnish(self, carried: Carried, *, timeout_s: float) -> Furnished:
        """Prepare the workspace; what the agent runs may use the registries itself."""
        preparer = self.preparer()
        network = carried.registry_variables()
        try:
            preparer.choose(self.env.workspace)
        except Refused:
            return Furnished({**preparer.variables, **network})
        try:
            ready = preparer.ready(self.env.workspace, timeout_s=timeout_s, carried=carried)
        except PressplayError as error:
            self.transcript.say(f"the repository's dependencies are not there: {error}")
            self.env.log("dependencies_missing", reason=error)
            return Furnished({**preparer.variables, **network})
        return Furnished(
            variables={**ready.variables, **network},
            litter=tuple(f"/{path}" for path in ready.prepared.generated),
        )
