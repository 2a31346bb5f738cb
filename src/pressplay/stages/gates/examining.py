"""Looks at an agent's commits, one by one, as data: nothing of the repository is run.

One by one, because all of them are pushed: what the last one takes back is published all the same.
Asked twice: by `verify`, and again by `publish`, which does not believe it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pressplay.base import redaction
from pressplay.stages import git, handover
from pressplay.stages.gates import rules
from pressplay.stages.git import Change, Record
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
    commits = git.line(directory, start=start, tip=tip)
    if commits is None:
        return ("the commits do not simply go on from the head that the run began with",)
    if len(commits) > COMMITS_LIMIT:
        return (f"there are {len(commits)} commits; at most {COMMITS_LIMIT} are allowed",)
    reasons: dict[str, None] = {}
    parent = start
    for record in commits:
        for reason in _commit(directory, context, parent=parent, record=record):
            reasons[reason] = None
            if len(reasons) == REASONS_LIMIT:
                return tuple(reasons)
        parent = record.sha
    return tuple(reasons)


def _commit(directory: Path, context: Context, *, parent: str, record: Record) -> Iterator[str]:
    sha = record.sha
    changes = git.changes(directory, parent, sha)
    if len(changes) > PATHS_LIMIT:
        yield f"commit {sha[:10]} changes {len(changes)} files; at most {PATHS_LIMIT} are allowed"
        return
    if {record.author, record.committer} != {context.identity}:
        yield f"commit {sha[:10]} is not by {context.identity.name}: its author was changed"
    yield from (reason for change in changes if (reason := rules.judge_path(change)))
    yield from _links(directory, changes)
    if context.role == handover.TESTING:
        yield from rules.judge_tests_only(changes, context.policy.policy.qa.paths)
    too_large = _sizes(directory, changes)
    yield from too_large
    # A file that is refused for its size alone is not read into memory as well.
    added = "" if too_large else git.added_text(directory, parent, sha)
    if redaction.has_secret(added) or redaction.has_secret(record.message):
        yield f"commit {sha[:10]} adds text that looks like a secret; take it out of the history"


def _links(directory: Path, changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        if rules.is_link(change):
            target = git.blob(directory, change.new_blob).decode(errors="replace")
            reason = rules.judge_link(change, target)
            if reason:
                yield reason


def _sizes(directory: Path, changes: Sequence[Change]) -> list[str]:
    present = [change for change in changes if rules.is_file(change)]
    sizes = git.blob_sizes(directory, [change.new_blob for change in present])
    judged = (rules.judge_size(*pair) for pair in zip(present, sizes, strict=True))
    return [reason for reason in judged if reason]
