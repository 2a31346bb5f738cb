"""Builds the dependencies of the base commit while the agent works, for this run and later ones.

Only the base commit's: what an agent wrote must not reach the cache from which another run's
judge takes its tools. The commit named here comes from preflight by way of `prepare`; the
workspace that an agent changed never reaches this pod.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pressplay.base.errors import PressplayError
from pressplay.stages import asking, caching, children, git, handover
from pressplay.stages.environment import Outcome, StageEnvironment
from pressplay.stages.handover import Context
from pressplay.stages.toolchains import preparing
from pressplay.stages.toolchains.preparing import Preparer
from pressplay.stages.transcripts import Transcript


def run(env: StageEnvironment) -> Outcome:
    """Save the cache if it changed. It only saves time: what goes wrong here is told, no more."""
    context = handover.read_context(env)
    try:
        reason = _warm(env, context)
    except PressplayError as error:
        reason = str(error)
        env.log("cache_not_made", reason=reason)
    return Outcome(reason=reason)


def _warm(env: StageEnvironment, context: Context) -> str:
    transcript = Transcript(redact=env.redact, write=_print)
    with tempfile.TemporaryDirectory() as folder:
        directory, tree = Path(folder) / "own.git", Path(folder) / "tree"
        handover.take_source(env, directory, context)
        # The one place that decides what is saved: the base, whatever the head is.
        git.export_tree(directory, context.base_sha, tree)
        preparer = Preparer(
            env=env,
            language=context.policy.policy.language,
            path=children.search_path(env),
            variables=children.plain_variables(asking.read_request(env)),
            transcript=transcript,
        )
        toolchain, cache = preparer.choose(tree), caching.folder(env)
        fingerprint = toolchain.fingerprint(tree, cache=cache)
        if not fingerprint or fingerprint == caching.stored_fingerprint(env):
            env.log("cache_serves" if fingerprint else "no_dependencies", base=context.base_sha)
            return ""
        preparer.ready(tree, timeout_s=preparing.PREPARE_S)
    why_not = caching.save(env, fingerprint=fingerprint)
    if why_not:
        env.log("cache_not_kept", reason=why_not)
        return why_not
    env.log("cache_saved", base=context.base_sha, size=caching.size_of(caching.folder(env)))
    return ""


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
