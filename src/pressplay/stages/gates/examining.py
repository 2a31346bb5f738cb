"""Looks at an agent's commits, one by one, as data: nothing of the repository is run.

One by one, because all of them are pushed: what the last one takes back is published all the same.
Asked twice: by `verify`, and again by `publish`, which does not believe it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pressplay.base import redaction
from pressplay.stages import git, handover
from pressplay.stages.gates import rules
from pressplay.stages.git import Change
from pressplay.stages.handover import Context

COMMITS_LIMIT = 200
PATHS_LIMIT = 2000
"""Paths that one commit may change."""

REASONS_LIMIT = 20
"""Reasons that are told; one would be enough."""


def examine(directory: Path, *, context: Context, tip: str) -> tuple[str, ...]:
    """Why the commits up to `tip` must not be published; empty if nothing stands against it."""
    start = context.head_sha
    if tip == start:
        return ()
    if not git.is_linear(directory, start=start, tip=tip):
        return ("the commits do not simply go on from the head that the run began with",)
    commits = git.commits(directory, start=start, tip=tip)
    if len(commits) > COMMITS_LIMIT:
        return (f"there are {len(commits)} commits; at most {COMMITS_LIMIT} are allowed",)
    reasons: dict[str, None] = {}
    for parent, sha in zip((start, *commits), commits, strict=False):
        for reason in _commit(directory, context, parent=parent, sha=sha):
            reasons[reason] = None
            if len(reasons) == REASONS_LIMIT:
                return tuple(reasons)
    return tuple(reasons)


def _commit(directory: Path, context: Context, *, parent: str, sha: str) -> Iterator[str]:
    changes = git.changes(directory, parent, sha)
    if len(changes) > PATHS_LIMIT:
        yield f"commit {sha[:10]} changes {len(changes)} files; at most {PATHS_LIMIT} are allowed"
        return
    if any(each != context.identity for each in git.identities(directory, sha)):
        yield f"commit {sha[:10]} is not by {context.identity.name}: its author was changed"
    too_large = False
    for change in changes:
        reason = rules.judge_path(change)
        if reason:
            yield reason
        content = _content(directory, change)
        too_large = too_large or bool(content and not rules.is_link(change))
        if content:
            yield content
    if context.role == handover.TESTING:
        yield from rules.judge_tests_only(changes, context.policy.policy.qa.paths)
    if not too_large and _has_secret(directory, parent=parent, sha=sha):
        yield f"commit {sha[:10]} adds text that looks like a secret; take it out of the history"


def _content(directory: Path, change: Change) -> str:
    if rules.is_link(change):
        target = git.blob(directory, change.new_blob).decode(errors="replace")
        return rules.judge_link(change, target)
    if rules.is_file(change):
        return rules.judge_size(change, git.blob_size(directory, change.new_blob))
    return ""


def _has_secret(directory: Path, *, parent: str, sha: str) -> bool:
    added = git.added_text(directory, parent, sha)
    return redaction.has_secret(added) or redaction.has_secret(git.message_of(directory, sha))
