"""The bare repositories on disk, read with git itself in an environment that nobody else sets.

A repository lies under its numeric id, so a rename moves nothing. Every call is short; git runs in
a thread, so the event loop stays free.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.forge.local import ref_files

_SETTINGS = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "uploadpack.allowReachableSHA1InWant": "true",
    "receive.fsckObjects": "true",
    # A collection in the background would outlive the push, and the folder of a test.
    "receive.autogc": "false",
    "gc.auto": "0",
}


_WRITERS = ("AUTHOR", "COMMITTER")
_NOTHING: Mapping[str, str] = MappingProxyType({})

_NAMED = ("rev-parse", "--verify", "--quiet")
_FULL = 40
"""Digits of a sha that is not cut."""

_RECALLED = 256
"""Answers about commits that are remembered; each may list a whole change."""

_LARGEST_RECALLED = 256 * 1024
"""Bytes of one such answer."""


@dataclass(frozen=True)
class FileChange:
    """Lines that a pull request adds to and takes from one file; None for a binary file."""

    path: str
    added: int | None
    deleted: int | None


@dataclass(frozen=True)
class Span:
    """What lies between the base and the head of a pull request."""

    commits: int
    files: tuple[FileChange, ...]

    @property
    def additions(self) -> int:
        return sum(change.added or 0 for change in self.files)

    @property
    def deletions(self) -> int:
        return sum(change.deleted or 0 for change in self.files)


NO_SPAN = Span(commits=0, files=())


@dataclass(frozen=True)
class Entry:
    """One name in a folder at a commit; `kind` is blob, tree or commit."""

    kind: str
    sha: str
    path: str


@dataclass(frozen=True)
class Signature:
    """Who and when (RFC 3339), as a commit says."""

    name: str
    email: str
    date: str


@dataclass(frozen=True)
class Commit:
    """What is written in a commit."""

    sha: str
    author: Signature
    committer: Signature
    tree: str
    parents: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class PushedCommit:
    """A commit that a push brought, with the paths that it touches."""

    commit: Commit
    added: tuple[str, ...]
    removed: tuple[str, ...]
    modified: tuple[str, ...]


class BareRepositories:
    """All repositories of the local forge. `search_path` is the PATH on which git is found."""

    def __init__(self, directory: Path, *, search_path: str) -> None:
        git = shutil.which("git", path=search_path)
        if git is None:
            raise Refused(f"Program not found: git is not on PATH {search_path}; install it")
        self.git = git
        self._search_path = search_path
        self._repositories = directory / "repositories"
        self._home = directory / "home"
        self._repositories.mkdir(parents=True, exist_ok=True)
        self._home.mkdir(parents=True, exist_ok=True)
        self._known: dict[tuple[int | str, ...], processes.Finished] = {}

    @property
    def root(self) -> Path:
        """The folder in which each repository is `{id}.git`."""
        return self._repositories

    def environment(self, *, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment of a git process of ours, with `settings` on top."""
        config = {**_SETTINGS, **(settings or {})}
        variables = {
            "PATH": self._search_path,
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for index, (key, value) in enumerate(config.items()):
            variables[f"GIT_CONFIG_KEY_{index}"] = key
            variables[f"GIT_CONFIG_VALUE_{index}"] = value
        return variables

    async def create(self, repository_id: int, *, default_branch: str) -> None:
        """Make an empty repository; does nothing where it is already there."""
        folder = self._folder(repository_id)
        if (folder / "HEAD").exists():
            return
        await self._run(
            "init", "--bare", "--quiet", "--template=", f"--initial-branch={default_branch}", folder
        )

    async def heads(self, repository_id: int) -> dict[str, str]:
        """Every branch and the commit that it points to, now."""
        return ref_files.read(self._folder(repository_id), below="refs/heads")

    async def commit(self, repository_id: int, name: str) -> str:
        """The full sha of the commit that a branch, tag or sha names; empty if none."""
        branches = await self.heads(repository_id)
        if name in branches:
            return branches[name]
        folder = self._folder(repository_id)
        if name in ref_files.read(folder, below="refs/tags"):
            found = await self._ask(repository_id, *_NAMED, f"refs/tags/{name}^{{commit}}")
        elif len(name) == _FULL and _is_hex(name):
            found = await self._recall(repository_id, *_NAMED, f"{name}^{{commit}}")
        elif _is_hex(name):
            # A part of a sha may be that of two, one day.
            found = await self._ask(repository_id, *_NAMED, f"{name}^{{commit}}")
        else:
            return ""
        return found.text().strip() if found.ok else ""

    async def read_commit(self, repository_id: int, sha: str) -> Commit:
        """What is written in a commit that exists."""
        wanted = "--format=%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%T%x00%P%x00%B"
        shown = await self._recall(repository_id, "show", "--no-patch", wanted, sha)
        parts = shown.text().rstrip("\n").split("\0", 8)
        return Commit(
            sha=sha,
            author=Signature(*parts[:3]),
            committer=Signature(*parts[3:6]),
            tree=parts[6],
            parents=tuple(parts[7].split()),
            message=parts[8],
        )

    async def is_ancestor(self, repository_id: int, *, old: str, new: str) -> bool:
        """Whether `new` contains `old`; both are full shas of commits that exist."""
        if old == new:
            return True
        asked = await self._recall(repository_id, "merge-base", "--is-ancestor", old, new)
        return asked.ok

    async def span(self, repository_id: int, *, base: str, head: str) -> Span:
        """Commits of `head` that `base` lacks, and their lines since the two parted."""
        counted, listed = await asyncio.gather(
            self._recall(repository_id, "rev-list", "--count", f"{base}..{head}"),
            self._recall(
                repository_id, "diff", "--numstat", "-z", "--no-renames", f"{base}...{head}"
            ),
        )
        lines = (line for line in listed.text().split("\0") if line)
        return Span(
            commits=int(counted.text().strip() or 0),
            files=tuple(_change(line) for line in lines),
        )

    async def pushed(
        self, repository_id: int, *, new: str, known: tuple[str, ...], limit: int
    ) -> list[PushedCommit]:
        """The newest commits of `new` that none of the `known` commits holds, oldest first."""
        listed = await self._ask(
            repository_id,
            "rev-list",
            f"--max-count={limit}",
            "--ignore-missing",
            new,
            *(f"^{sha}" for sha in known),
        )
        shas = reversed(listed.text().split())
        return [await self._pushed(repository_id, sha) for sha in shas]

    async def _pushed(self, repository_id: int, sha: str) -> PushedCommit:
        shown = await self._ask(
            repository_id,
            *("diff-tree", "--root", "--no-commit-id", "--no-renames", "--name-status", "-r", "-z"),
            sha,
        )
        parts = shown.text().split("\0")
        changes = list(zip(parts[::2], parts[1::2], strict=False))
        return PushedCommit(
            commit=await self.read_commit(repository_id, sha),
            added=tuple(path for kind, path in changes if kind == "A"),
            removed=tuple(path for kind, path in changes if kind == "D"),
            modified=tuple(path for kind, path in changes if kind not in "AD"),
        )

    async def can_merge(self, repository_id: int, *, base: str, head: str) -> bool:
        """Whether git merges the two without a conflict."""
        return bool(await self._merged_tree(repository_id, base=base, head=head))

    async def merge(
        self, repository_id: int, *, branch: str, base: str, head: str, message: str, author: str
    ) -> str:
        """Put a merge commit of `head` on `branch` and answer its sha.

        Empty where the two conflict, or where the branch is no longer at `base`.
        """
        tree = await self._merged_tree(repository_id, base=base, head=head)
        if not tree:
            return ""
        person = {"NAME": author, "EMAIL": f"{author}@users.noreply.invalid"}
        names = {f"GIT_{who}_{key}": it for who in _WRITERS for key, it in person.items()}
        made = await self._ask(
            repository_id,
            *("commit-tree", tree, "-p", base, "-p", head, "-m", message),
            variables=names,
        )
        sha = made.text().strip()
        moved = await self._ask(repository_id, "update-ref", f"refs/heads/{branch}", sha, base)
        return sha if made.ok and moved.ok else ""

    async def _merged_tree(self, repository_id: int, *, base: str, head: str) -> str:
        tried = await self._recall(
            repository_id, "merge-tree", "--write-tree", "--no-messages", base, head
        )
        return tried.text().strip() if tried.ok else ""

    async def entries(self, repository_id: int, *, commit: str, path: str) -> list[Entry]:
        """The names in the folder `path`, or the one entry that `path` itself is; empty if none.

        `commit` is a full sha.
        """
        where = (f":(literal){path}",) if path else ()
        found = await self._recall(repository_id, "ls-tree", "-z", "--full-tree", commit, *where)
        entries = [_entry(line) for line in found.text().split("\0") if line]
        if len(entries) == 1 and entries[0].kind == "tree" and entries[0].path == path:
            inside = await self._recall(repository_id, "ls-tree", "-z", f"{commit}:{path}")
            names = [_entry(line) for line in inside.text().split("\0") if line]
            return [Entry(it.kind, it.sha, f"{path}/{it.path}") for it in names]
        return entries

    async def blob(self, repository_id: int, sha: str) -> bytes:
        """The content of a blob that exists."""
        return (await self._recall(repository_id, "cat-file", "blob", sha)).stdout

    async def _recall(self, repository_id: int, *arguments: str) -> processes.Finished:
        """`_ask` for what objects named by their sha say, which is the same for ever."""
        question: tuple[int | str, ...] = (repository_id, *arguments)
        known = self._known.pop(question, None)
        if known is None:
            known = await self._ask(repository_id, *arguments)
        if known.ok and len(known.stdout) <= _LARGEST_RECALLED:
            self._known[question] = known
            if len(self._known) > _RECALLED:
                del self._known[next(iter(self._known))]
        return known

    async def _ask(
        self,
        repository_id: int,
        *arguments: str,
        variables: Mapping[str, str] = _NOTHING,
        stdin: bytes = b"",
    ) -> processes.Finished:
        return await asyncio.to_thread(
            processes.run,
            [self.git, f"--git-dir={self._folder(repository_id)}", *arguments],
            env={**self.environment(), **variables},
            stdin=stdin,
        )

    async def _run(self, *arguments: str | Path) -> None:
        done = await asyncio.to_thread(
            processes.run, [self.git, *arguments], env=self.environment()
        )
        if not done.ok:
            raise Refused(f"git {arguments[0]} failed: {done.complaint()}")

    def _folder(self, repository_id: int) -> Path:
        return self._repositories / f"{repository_id}.git"


def _is_hex(name: str) -> bool:
    return 7 <= len(name) <= _FULL and all(letter in "0123456789abcdef" for letter in name)


def _change(line: str) -> FileChange:
    """One record of `git diff --numstat -z`; a binary file has dashes for numbers."""
    added, deleted, path = line.split("\t", 2)
    return FileChange(
        path=path,
        added=None if added == "-" else int(added),
        deleted=None if deleted == "-" else int(deleted),
    )


def _entry(line: str) -> Entry:
    """One record of `git ls-tree -z`: mode, kind and sha, a tab, the path."""
    about, path = line.split("\t", 1)
    _, kind, sha = about.split(" ")
    return Entry(kind=kind, sha=sha, path=path)
