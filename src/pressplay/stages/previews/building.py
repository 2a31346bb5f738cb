"""The repository's own build, in a pod beside which no token stands: makes of the source what runs.

Where it asks for what is not there, its way out is the sidecar alone.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.api.policy import Policy
from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.stages import asking, children, relaying
from pressplay.stages.environment import Ending, Foreign, Outcome, StageEnvironment
from pressplay.stages.previews import archives, recorded
from pressplay.stages.relaying import Carried
from pressplay.stages.toolchains.port import Toolchain
from pressplay.stages.toolchains.preparing import Preparer
from pressplay.stages.transcripts import Transcript

ARCHIVE = f"built/{archives.NAME}"
LOG = "deploy/build.txt"

BUILD_S = 840.0
"""Seconds for dependencies and build together; the step around it has 15 minutes."""

LAST_LINES = 10
LAST_CHARACTERS = 700
"""What fits into a reason beside the sentence around it."""


@dataclass(frozen=True)
class _Surroundings:
    """What the build finds: variables, and the toolchain that knows what it leaves behind."""

    variables: Mapping[str, str]
    toolchain: Toolchain | None = None


def run(env: StageEnvironment) -> Outcome:
    """Build `source`; write `built.tar` and the log. FAIL where the build says no."""
    rules = recorded.read_policy(env.inputs / recorded.FILE)
    tree = env.path(archives.FOLDER)
    shutil.copytree(env.inputs / "source", tree, symlinks=True, dirs_exist_ok=True)
    transcript = Transcript(redact=env.redact, write=_print)
    try:
        why = _build(env, rules, transcript=transcript)
    finally:
        env.write_artifact(LOG, transcript.text())
    if why:
        env.log("build_failed", reason=why)
        return Outcome(Ending.FAIL, why)
    archives.pack(tree, env.out / ARCHIVE)
    env.log("built", bytes=(env.out / ARCHIVE).stat().st_size)
    return Outcome()


def _build(env: StageEnvironment, rules: Policy, *, transcript: Transcript) -> str:
    """Build in place; why it did not come to an end that is good, else empty."""
    tree, command = env.path(archives.FOLDER), rules.preview.process.build
    own = children.plain_variables(asking.read_request(env))
    preparer = Preparer(
        env=env,
        language=rules.language,
        path=children.search_path(env),
        variables=own,
        transcript=transcript,
    )
    with relaying.carried(env) as carried, tempfile.TemporaryDirectory() as home:
        try:
            found = _surroundings(preparer, tree, carried)
        except Refused as error:
            # What the head asks for is the head's own doing, as a build that fails is.
            return f"The build's dependencies cannot be had: {error}"
        transcript.say(f"$ {' '.join(command)}")
        before = len(transcript.text().splitlines())
        more = {**found.variables, **carried.registry_variables(), "PRESSPLAY_PREVIEW": "1"}
        with preparer.env.timed(Foreign.BUILD):
            code = processes.stream(
                command,
                env=children.variables(path=preparer.path, home=Path(home), more=more),
                cwd=tree,
                timeout_s=BUILD_S,
                on_output=transcript.feed,
            )
    if code is None:
        return f"The build did not end within {BUILD_S:.0f} s; preview.process.build must be faster"
    if code:
        said = _last_words(transcript, after=before)
        told = f"The build ended with exit code {code}"
        return f"{told}. It said last: {said}" if said else f"{told}. It printed nothing"
    if found.toolchain is not None:
        found.toolchain.settle(tree, variables=found.variables)
    return ""


def _surroundings(preparer: Preparer, tree: Path, carried: Carried) -> _Surroundings:
    """With the tree's dependencies where its language compiles them; a build needs no language."""
    try:
        toolchain = preparer.choose(tree)
    except Refused:
        return _Surroundings(preparer.variables)
    if not toolchain.lints_dependencies:
        return _Surroundings(preparer.variables, toolchain)
    ready = preparer.ready(tree, timeout_s=BUILD_S, carried=carried)
    return _Surroundings(ready.variables, ready.toolchain)


def _last_words(transcript: Transcript, *, after: int) -> str:
    lines = [line for line in transcript.text().splitlines()[after:] if line.strip()]
    return "\n".join(lines[-LAST_LINES:])[-LAST_CHARACTERS:]


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
