"""Builds the dependencies of the base commit while the agent works, for this run and later ones.

Only the base commit's, and only where that is the default branch's: what an agent wrote must not
reach the cache from which another run's judge takes its tools. The commit named here comes from
preflight by way of `prepare`; the workspace that an agent changed never reaches this pod.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pressplay.base import ids, processes
from pressplay.base.errors import PressplayError
from pressplay.stages import asking, caching, children, git, handover, relaying, scratch
from pressplay.stages.environment import Outcome, StageEnvironment
from pressplay.stages.handover import Context
from pressplay.stages.toolchains import preparing
from pressplay.stages.toolchains.preparing import Preparer, Ready
from pressplay.stages.transcripts import Transcript

APP_S = 240.0
"""Seconds for the app's own build; with `PREPARE_S` less than the step around it has."""


def run(env: StageEnvironment) -> Outcome:
    """Save the cache if it changed. It only saves time: what goes wrong here is told, no more."""
    context = handover.read_context(env)
    try:
        reason = _why_not(env, context) or _warm(env, context)
    except PressplayError as error:
        reason = str(error)
        env.log("cache_not_made", reason=reason)
    return Outcome(reason=reason)


def _why_not(env: StageEnvironment, context: Context) -> str:
    """Why nothing may be kept; empty if something may."""
    if not context.base_is_default:
        # Such as a pull request upon an agent's branch, which nobody may have read yet.
        return (
            f"{context.base_ref} is not the default branch, so nothing of it is kept for other runs"
        )
    if caching.limit_mb(env) == 0:
        return f"{caching.LIMIT_SETTING} is 0, so nothing is kept"
    return ""


def _warm(env: StageEnvironment, context: Context) -> str:
    preparer = _preparer(env, context)
    folder = scratch.folder()
    directory, tree = folder / "own.git", folder / "tree"
    handover.take_source(env, directory, context)
    # The one place that decides what is saved: the base, whatever the head is.
    git.export_tree(directory, context.base_sha, tree)
    toolchain, cache = preparer.choose(tree), caching.folder(env)
    build = context.policy.policy.preview.process.build
    command = build if toolchain.lints_dependencies else ()
    fingerprint = _fingerprint(toolchain.fingerprint(tree, cache=cache), command)
    if not fingerprint or fingerprint == caching.stored_fingerprint(env):
        env.log("cache_serves" if fingerprint else "no_dependencies", base=context.base_sha)
        return ""
    if caching.has_outgrown(env):
        env.log("cache_begun_anew", limit=caching.LIMIT_SETTING)
        cache.mkdir(parents=True, exist_ok=True)
    ready = preparer.ready(tree, timeout_s=preparing.PREPARE_S)
    if command:
        _build_app(preparer, ready, tree=tree, command=command)
    return _save(env, context, fingerprint)


def _preparer(env: StageEnvironment, context: Context) -> Preparer:
    return Preparer(
        env=env,
        language=context.policy.policy.language,
        path=children.search_path(env),
        variables=children.plain_variables(asking.read_request(env)),
        transcript=Transcript(redact=env.redact, write=_print),
    )


def _fingerprint(of_tree: str, command: Sequence[str]) -> str:
    """What the cache is made for: what the tree depends on, and how the app is built upon it."""
    return f"{of_tree} {ids.short_hash(' '.join(command))}" if of_tree and command else of_tree


def _build_app(preparer: Preparer, ready: Ready, *, tree: Path, command: Sequence[str]) -> None:
    """Build the app as its preview will: optimized, its dependencies are compiled once more.

    What fails here fails again in the preview's own build, where it is told.
    """
    preparer.transcript.say(f"$ {' '.join(command)}")
    with relaying.carried(preparer.env) as carried, tempfile.TemporaryDirectory() as home:
        more = {**ready.variables, **carried.registry_variables()}
        try:
            processes.stream(
                command,
                env=children.variables(path=preparer.path, home=Path(home), more=more),
                cwd=tree,
                timeout_s=APP_S,
                on_output=preparer.transcript.feed,
            )
        except PressplayError as error:
            preparer.env.log("app_not_built", reason=str(error))


def _save(env: StageEnvironment, context: Context, fingerprint: str) -> str:
    why_not = caching.save(env, fingerprint=fingerprint)
    if why_not:
        env.log("cache_not_kept", reason=why_not)
        return why_not
    env.log("cache_saved", base=context.base_sha, size=caching.size_of(caching.folder(env)))
    return ""


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
