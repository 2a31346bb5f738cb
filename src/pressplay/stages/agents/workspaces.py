"""The repository as an agent sees it, and how its work is taken out of it again.

The agent commits with plain git where it likes to, so the `.git` in the workspace is its own and
is hostile afterwards. Our git never runs in it: two small files in it are read as text, and its
objects as data; everything else is looked at from a git directory of ours.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import files
from pressplay.base.errors import PressplayError, Refused
from pressplay.stages import bundles, git, handover, plumbing
from pressplay.stages.handover import Context

REF_FILE_LIMIT = 4 * 1024 * 1024

# What tools leave behind where a repository forgot to ignore it; a tracked file stays tracked.
_LITTER = (
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".ruff_cache/",
    ".mypy_cache/",
    "node_modules/",
    ".venv/",
    ".DS_Store",
)

_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Collected:
    """The newest commit of the work, and what had to be done to get it, for the log."""

    tip: str
    notes: tuple[str, ...] = ()


def make(workspace: Path, *, source: Path, context: Context) -> None:
    """Check out the head on the run's branch; the base is there as `origin/BASE`.

    `source` is our own git directory. What it holds is copied: the agent may write in its own.
    """
    if workspace.is_symlink() or (workspace.is_dir() and any(workspace.iterdir())):
        raise Refused(f"The workspace {workspace} is not empty; start the step in a fresh one")
    workspace.mkdir(parents=True, exist_ok=True)
    own = workspace / ".git"
    git.init(own, bare=False)
    shutil.copytree(source / "objects" / "pack", own / "objects" / "pack", dirs_exist_ok=True)
    refs = {
        f"refs/remotes/origin/{context.base_ref}": context.base_sha,
        f"refs/heads/{context.branch}": context.head_sha,
    }
    # One file for all of them: no name of a branch becomes a path here.
    (own / "packed-refs").write_text("".join(f"{sha} {name}\n" for name, sha in refs.items()))
    (own / "HEAD").write_text(f"ref: refs/heads/{context.branch}\n")
    with (own / "config").open("a") as config:
        config.write(f"[user]\n\tname = {context.identity.name}\n")
        config.write(f"\temail = {context.identity.email}\n")
    plumbing.must(own, "reset", "--quiet", "--hard", more={"GIT_WORK_TREE": str(workspace)})


def collect(directory: Path, workspace: Path, *, context: Context, message: str) -> Collected:
    """The agent's commits in our own `directory`, with one of ours on top for what it left.

    History that does not simply go on from the head (a reset, an amended commit, a merge) is
    replaced by one commit with the final files. Raises Refused for files that git cannot take.
    """
    if workspace.is_symlink() or not workspace.is_dir():
        raise Refused("The agent replaced its workspace by something else")
    notes: list[str] = []
    start = context.head_sha
    tip = _agents_head(directory, workspace, start=start) or ""
    if not tip:
        notes.append("the agent's own git history is not readable; only its files count")
    ignore(directory, _LITTER)
    tree = git.snapshot(directory, workspace, on=tip or start)
    if tip and git.line(directory, start=start, tip=tip) is None:
        notes.append("the agent rewrote history or merged; its files became one commit")
        tip = ""
    tip = tip or start
    if tree == git.tree_of(directory, tip):
        return Collected(tip, tuple(notes))
    notes.append("files that the agent left uncommitted were committed")
    tip = git.commit_tree(directory, tree, parent=tip, message=message, identity=context.identity)
    return Collected(tip, tuple(notes))


def bundle_work(directory: Path, target: Path, *, start: str, tip: str) -> tuple[str, ...]:
    """Write the commits between `start` and `tip` for the pods that follow; answers their ids."""
    found = tuple(record.sha for record in git.line(directory, start=start, tip=tip) or ())
    if found:
        bundles.write(directory, target, tips={handover.WORK: tip}, without=[start])
    return found


def _agents_head(directory: Path, workspace: Path, *, start: str) -> str | None:
    """The commit that the workspace stands on, read without running anything there."""
    own = workspace / ".git"
    try:
        objects = files.beneath(workspace, ".git/objects")
        if not objects.is_dir():
            return None
        git.borrow(directory, objects)
        head = _read(own, "HEAD").strip()
        sha = _resolve(own, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
        if sha == start:
            return sha
        return sha if _SHA.fullmatch(sha) and git.has_commit(directory, sha) else None
    except (OSError, PressplayError, ValueError):
        return None


def _resolve(own: Path, ref: str) -> str:
    """The commit of a branch, from its own file or the list of packed ones."""
    if not ref.startswith("refs/heads/"):
        return ""
    try:
        return _read(own, ref).strip()
    except FileNotFoundError:
        for line in _read(own, "packed-refs").splitlines():
            sha, _, name = line.partition(" ")
            if name == ref:
                return sha
    return ""


def _read(own: Path, name: str) -> str:
    path = files.beneath(own, name)
    # A pipe in the place of a file would keep us waiting for ever.
    if stat.S_IFMT(path.stat().st_mode) != stat.S_IFREG or path.stat().st_size > REF_FILE_LIMIT:
        raise Refused(f"{name} in the agent's repository is not readable")
    return path.read_text(errors="replace")


def ignore(directory: Path, patterns: Sequence[str]) -> None:
    """Let git, in the git directory `directory`, pass over these untracked files too."""
    exclude = directory / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    with exclude.open("a") as writer:
        writer.writelines(f"{pattern}\n" for pattern in patterns)
