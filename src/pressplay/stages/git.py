"""What the stages do with git: commits come, are read and written, and go.

`directory` is always a git directory of our own, made by `init` or `fetch_commit`; the `.git` of a
tree that others wrote in is never one. For bundles see `bundles`.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pressplay.api import parameters
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.stages import extracting, plumbing

_SHA = re.compile(r"[0-9a-f]{40}")
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_REMEMBERED = 512


@dataclass(frozen=True)
class Identity:
    """Author and committer of our commits."""

    name: str
    email: str

    def variables(self) -> dict[str, str]:
        """The environment that makes git commit under this identity."""
        return {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }


def bot(app: str) -> Identity:
    """The identity of one of our Apps."""
    return Identity(f"{app}[bot]", f"{app}[bot]@users.noreply.pressplay.dev")


@dataclass(frozen=True)
class Change:
    """One path that two commits differ in; modes and blobs are git's, zeros where it is absent."""

    status: str
    path: str
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str


@dataclass(frozen=True)
class Record:
    """What a commit says about itself."""

    sha: str
    author: Identity
    committer: Identity
    message: str


def check_sha(text: str, *, what: str) -> str:
    """`text` if it is a full commit id. Raises Refused, naming `what`."""
    if not _SHA.fullmatch(text):
        raise Refused(f"{what} must be a full commit id of 40 hex digits")
    return text


def init(directory: Path, *, bare: bool = True) -> None:
    """Make an empty git directory; harmless where one is there.

    Written by hand (gitrepository-layout): a step makes several, and a process for each would cost
    more than what is done in them.
    """
    for folder in ("objects/pack", "refs/heads"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    if not (directory / "HEAD").exists():
        (directory / "HEAD").write_text("ref: refs/heads/main\n")
        (directory / "config").write_text(
            f"[core]\n\trepositoryformatversion = 0\n\tbare = {str(bare).lower()}\n"
        )


# Over the network.


def fetch_commit(
    directory: Path,
    *,
    url: str,
    sha: str,
    ref: str = "",
    auth: Secret | None = None,
    depth: int = 0,
) -> None:
    """Make the commit `sha` of the repository at `url` present in `directory`, with its history.

    `ref` is the branch in which to look where the forge serves no commit by its id; `depth` cuts
    the history. Raises Refused for what is not there, Unavailable for what does not answer.
    """
    init(directory)
    check_sha(sha, what="sha")
    ref = parameters.check("ref", ref)
    shallow = [f"--depth={depth}"] if depth else []
    fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *shallow, "--", url]
    finished = plumbing.call(directory, *fetch, f"+{sha}:refs/pressplay/{sha}", url=url, auth=auth)
    if finished.ok:
        return
    if ref and not plumbing.is_passing(finished):
        finished = plumbing.call(
            directory, *fetch, f"+refs/heads/{ref}:refs/pressplay/tip", url=url, auth=auth
        )
    if not finished.ok:
        raise plumbing.failure(finished, f"Commit {sha[:10]} cannot be fetched from {url}")
    if not has_commit(directory, sha):
        raise Refused(
            f"Commit {sha[:10]} is not on branch {ref!r} of {url}; pass its newest commit"
        )


def push(directory: Path, *, url: str, sha: str, branch: str, auth: Secret | None = None) -> bool:
    """Move one branch forward to `sha`; False where that would not be a fast-forward.

    Exactly one refspec, never forced. Raises Refused where the forge says no for another reason.
    """
    check_sha(sha, what="The commit to push")
    refspec = f"{sha}:refs/heads/{parameters.check('ref', branch)}"
    finished = plumbing.call(
        directory, "push", "--porcelain", "--no-verify", "--", url, refspec, url=url, auth=auth
    )
    if finished.ok:
        return True
    said = finished.text() + finished.complaint()
    if re.search(r"non-fast-forward|fetch first|stale info|cannot lock ref", said):
        return False
    raise plumbing.failure(finished, f"Branch {branch} cannot be pushed to {url}")


# Writing.


def borrow(directory: Path, objects: Path) -> None:
    """Let `directory` read the objects in another repository's folder `objects`.

    Nothing else of that repository is looked at, so that its settings and hooks stay without
    effect. A wrong object there is found out by whoever fetches a bundle made of it.
    """
    alternates = directory / "objects" / "info" / "alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_text(f"{objects.absolute()}\n")


# Reading commits. What they say is the same for ever, so it is asked for once.


def has_commit(directory: Path, sha: str) -> bool:
    """Whether the commit is present."""
    return plumbing.call(directory, "cat-file", "-e", f"{sha}^{{commit}}").ok


def missing_commits(directory: Path, shas: Sequence[str]) -> tuple[str, ...]:
    """Those of the commits that are not present."""
    asked = "".join(f"{sha}^{{commit}}\n" for sha in shas).encode()
    said = plumbing.must(directory, "cat-file", "--batch-check=%(objecttype)", stdin=asked)
    answers = zip(shas, said.text().splitlines(), strict=True)
    return tuple(sha for sha, answer in answers if answer != "commit")


@functools.lru_cache(_REMEMBERED)
def tree_of(directory: Path, sha: str) -> str:
    """The id of a commit's tree: equal trees are equal content."""
    return plumbing.must(directory, "rev-parse", "--verify", f"{sha}^{{tree}}").text().strip()


def is_ancestor(directory: Path, older: str, newer: str) -> bool:
    """Whether `newer` contains `older`; false where either is unknown."""
    return plumbing.call(directory, "merge-base", "--is-ancestor", older, newer).ok


def merge_base(directory: Path, one: str, other: str) -> str:
    """Where two commits parted; empty where they share nothing."""
    return plumbing.call(directory, "merge-base", one, other).text().strip()


@functools.lru_cache(_REMEMBERED)
def line(directory: Path, *, start: str, tip: str) -> tuple[Record, ...] | None:
    """The commits that lead from `start` to `tip`, oldest first, each with one parent.

    None where they do not simply go on from `start`: a merge, or another history.
    """
    if start == tip:
        return ()
    said = plumbing.must(
        directory,
        *("log", "-z", "--reverse", "--topo-order", "--no-notes"),
        *("--format=%P%x00%H%x00%an%x00%ae%x00%cn%x00%ce%x00%B", tip, f"^{start}"),
    )
    fields = iter(said.text().split("\0"))
    found: list[Record] = []
    before = start
    for parents, sha, *people, message in zip(*[fields] * 7, strict=False):
        if parents != before:
            return None
        author, committer = Identity(*people[:2]), Identity(*people[2:])
        found.append(Record(sha, author, committer, message))
        before = sha
    return tuple(found) if before == tip else None


@functools.lru_cache(_REMEMBERED)
def changes(directory: Path, old: str, new: str) -> tuple[Change, ...]:
    """What differs between two commits; a renamed file is one deletion and one addition."""
    said = plumbing.must(
        directory, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--abbrev=40", old, new
    )
    fields = said.stdout.decode(errors="surrogateescape").split("\0")
    return tuple(_change(*pair) for pair in zip(fields[::2], fields[1::2], strict=False))


def added_text(directory: Path, old: str, new: str) -> str:
    """Every line that `new` adds to `old`, one after another; binary files as the text they are."""
    patch = plumbing.must(
        directory,
        *("diff-tree", "-r", "-p", "-U0", "--text", "--no-renames", "--no-ext-diff"),
        *("--no-textconv", "--no-color", old, new),
    )
    return "\n".join(line[1:] for line in patch.text().splitlines() if line.startswith("+"))


def added_lines(directory: Path, old: str, new: str, *, path: str) -> frozenset[int]:
    """The numbers (from 1) of the lines that `new` adds to a file, or changes in it."""
    patch = plumbing.must(
        directory,
        *("diff-tree", "-r", "-p", "-U0", "--text", "--no-renames", "--no-ext-diff"),
        *("--no-textconv", "--no-color", old, new, "--", f":(literal){path}"),
    )
    found: set[int] = set()
    for start, count in _HUNK.findall(patch.text()):
        found.update(range(int(start), int(start) + int(count or 1)))
    return frozenset(found)


def blob_sizes(directory: Path, blobs: Sequence[str]) -> tuple[int, ...]:
    """The sizes of blobs in bytes, in the given order."""
    if not blobs:
        return ()
    asked = "".join(f"{each}\n" for each in blobs).encode()
    said = plumbing.must(directory, "cat-file", "--batch-check=%(objectsize)", stdin=asked)
    return tuple(int(entry) for entry in said.text().split())


def blob(directory: Path, blob_id: str) -> bytes:
    """The content of a blob."""
    return plumbing.must(directory, "cat-file", "blob", blob_id).stdout


def file_at(directory: Path, sha: str, path: str) -> bytes | None:
    """The content of a plain file in a commit; None where there is none."""
    said = plumbing.must(
        directory, "ls-tree", "-z", "--full-tree", sha, "--", f":(literal){path}"
    ).text()
    entry = said.split("\0")[0].split("\t")[0].split()
    if len(entry) != 3 or not entry[0].startswith("100"):
        return None
    return blob(directory, entry[2])


# Working trees.


def export_tree(directory: Path, sha: str, target: Path) -> tuple[str, ...]:
    """Write the files of a commit into the new or empty folder `target`, without any `.git`.

    They are as a checkout has them. Returns the symbolic links that were left out because they
    lead out of the tree. Raises Refused for a path that no checkout may have.
    """
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise Refused(f"Folder {target} is not empty; export into a new one")
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        more = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_WORK_TREE": str(target)}
        # Into an empty index, and at once into the folder; git refuses what no checkout may have.
        found = plumbing.call(directory, "read-tree", "--reset", "-u", sha, more=more)
        if not found.ok:
            raise plumbing.failure(found, "The tree cannot be checked out")
    return extracting.remove_leading_out(target, list(_links(target)))


def _links(folder: Path) -> Iterator[str]:
    """The symbolic links beneath a folder, by their path in it."""
    inside = [""]
    while inside:
        here = inside.pop()
        with os.scandir(folder / here) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield here + entry.name
                elif entry.is_dir():
                    inside.append(f"{here}{entry.name}/")


def snapshot(directory: Path, worktree: Path, *, on: str, keep: Sequence[str] = ()) -> str:
    """The tree that `worktree` would be if all of it were committed on top of `on`.

    Honours the .gitignore files in it. What stands in a `.git` folder of the tree is not read.
    The paths in `keep` stay as they are in `on`. Raises Refused for content that git cannot take
    in.
    """
    kept = [f":(top,exclude,literal){path}" for path in keep]
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        more = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_WORK_TREE": str(worktree)}
        plumbing.must(directory, "read-tree", on, more=more)
        added = plumbing.call(directory, "add", "--all", "--", ":/", *kept, more=more, cwd=worktree)
        if not added.ok:
            raise plumbing.failure(added, "The working tree cannot be committed")
        return plumbing.must(directory, "write-tree", more=more).text().strip()


def commit_tree(
    directory: Path, tree: str, *, parent: str, message: str, identity: Identity
) -> str:
    """Make a commit of `tree` on `parent`; its id."""
    said = plumbing.must(
        directory,
        *("commit-tree", "-p", parent, "-F", "-", tree),
        stdin=message.encode(errors="replace"),
        more=identity.variables(),
    )
    return said.text().strip()


def _change(head: str, path: str) -> Change:
    old_mode, new_mode, old_blob, new_blob, status = head.lstrip(":").split(" ")
    return Change(status[0], path, old_mode, new_mode, old_blob, new_blob)
