"""What a toolchain makes of a commit: done once by the agent step and once more by its judge.

The same function for both, so that a difference can only come from somebody's hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import files
from pressplay.stages import git, scratch
from pressplay.stages.environment import Foreign
from pressplay.stages.toolchains import preparing
from pressplay.stages.toolchains.port import Findings, Toolchain
from pressplay.stages.toolchains.preparing import Preparer


@dataclass(frozen=True)
class Mended:
    """The tree that the tools made, and what they still find in it."""

    tree: str
    toolchain: Toolchain
    findings: Findings
    said: tuple[str, ...]


def mend(directory: Path, sha: str, *, base: str, preparer: Preparer) -> Mended:
    """Let the tools fix and format what a commit changed, away from the repository itself.

    Only the files in which it differs from where it left `base`: a change need not answer for what
    it found, and nobody could read it between the lines of a whole repository formatted anew.
    Where there is no change, all files count.
    """
    start = git.merge_base(directory, base, sha) or base
    changed = None if start == sha else _present(directory, start, sha)
    tree = scratch.folder() / "tree"
    left_out = git.export_tree(directory, sha, tree)
    toolchain = preparer.choose(tree)
    if toolchain.lints_dependencies:
        toolchain = preparer.ready(tree, timeout_s=preparing.PREPARE_S).toolchain
    with preparer.env.timed(Foreign.TOOLS):
        said = toolchain.mend(tree)
    mended = git.snapshot(directory, tree, on=sha, keep=left_out)
    if changed is not None and _put_back(directory, tree, old=sha, new=mended, but=changed):
        mended = git.snapshot(directory, tree, on=sha, keep=left_out)
    with preparer.env.timed(Foreign.TOOLS):
        findings = toolchain.check(tree, paths=changed)
    return Mended(tree=mended, toolchain=toolchain, findings=findings, said=said)


def _present(directory: Path, old: str, new: str) -> list[str]:
    """The plain files that differ between two commits and are there in the second."""
    changes = git.changes(directory, old, new)
    return [change.path for change in changes if change.new_mode.startswith("100")]


def _put_back(directory: Path, tree: Path, *, old: str, new: str, but: Sequence[str]) -> bool:
    """Undo what the tools changed in other files; whether there was anything."""
    kept = frozenset(but)
    others = [each for each in git.changes(directory, old, new) if each.path not in kept]
    for change in others:
        path = files.beneath(tree, change.path)
        if change.old_mode.startswith("100"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(git.blob(directory, change.old_blob))
        else:
            path.unlink(missing_ok=True)
    return bool(others)
