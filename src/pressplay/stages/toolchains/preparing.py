"""The toolchain of a tree with all that the tree depends on: restored, else fetched.

The way to the registries is open while a toolchain prepares, and closed again when it tests: a
test that downloads something would be another test every day.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pressplay.stages import caching, relaying
from pressplay.stages.environment import Foreign, StageEnvironment
from pressplay.stages.relaying import Carried
from pressplay.stages.toolchains import choosing
from pressplay.stages.toolchains.port import Prepared, Toolchain
from pressplay.stages.transcripts import Transcript

PREPARE_S = 900.0
"""Seconds that fetching and building dependencies may take where nothing else limits it."""


@dataclass(frozen=True)
class Ready:
    """A toolchain whose programs find the tree's dependencies.

    `variables` are the surroundings of whatever else is to find them, its PATH among them.
    """

    toolchain: Toolchain
    prepared: Prepared
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Preparer:
    """Prepares trees in this pod. `language` is the policy's word, `path` is where programs are
    found, `variables` are the object's own.
    """

    env: StageEnvironment
    language: str
    path: str
    variables: Mapping[str, str]
    transcript: Transcript

    def choose(self, tree: Path) -> Toolchain:
        """The toolchain for `tree`, unprepared. Raises Refused."""
        return choosing.choose(self.language, tree, path=self.path, variables=self.variables)

    def ready(self, tree: Path, *, timeout_s: float, carried: Carried | None = None) -> Ready:
        """The toolchain for `tree`, prepared; `carried` where the way out is open already.

        Raises what `choose` and `port.Toolchain.prepare` raise.
        """
        toolchain = self.choose(tree)
        cache = caching.folder(self.env)
        way: AbstractContextManager[Carried] = nullcontext(carried or Carried())
        if toolchain.fingerprint(tree, cache=cache):
            cache = caching.restore(self.env)
            way = nullcontext(carried) if carried else relaying.carried(self.env)
        with way as opened, self.env.timed(Foreign.DEPENDENCIES):
            prepared = toolchain.prepare(
                tree,
                cache=cache,
                variables=opened.registry_variables(),
                timeout_s=timeout_s,
                transcript=self.transcript,
            )
        for note in prepared.notes:
            self.env.log("dependencies", note=note)
        whole = ":".join((*prepared.programs, self.path))
        variables = {**self.variables, **prepared.variables}
        return Ready(
            toolchain=choosing.choose(self.language, tree, path=whole, variables=variables),
            prepared=prepared,
            variables={**variables, "PATH": whole},
        )
