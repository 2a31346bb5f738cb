"""The refs of a bare repository are those that git itself lists."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pressplay.forge.local import ref_files


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "1.git"
    _git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    return folder


def test_an_empty_repository_has_no_branch(repository: Path) -> None:
    assert ref_files.read(repository, below="refs/heads") == {}


def test_branches_in_files_and_packed_ones_are_read_alike(repository: Path) -> None:
    one, two = _commit(repository, "one"), _commit(repository, "two")
    for name in ("main", "feature/deep/er", "gone"):
        _git("update-ref", f"refs/heads/{name}", one, at=repository)
    _git("update-ref", "refs/tags/v1", two, at=repository)
    _git("pack-refs", "--all", at=repository)
    _git("update-ref", "refs/heads/main", two, at=repository)
    _git("update-ref", "refs/heads/new", one, at=repository)
    _git("update-ref", "-d", "refs/heads/gone", at=repository)
    found = ref_files.read(repository, below="refs/heads")
    assert found == {"feature/deep/er": one, "main": two, "new": one}
    assert found == _listed(repository)


def test_a_lock_that_a_kill_left_is_no_branch(repository: Path) -> None:
    sha = _commit(repository, "one")
    _git("update-ref", "refs/heads/main", sha, at=repository)
    (repository / "refs/heads/main.lock").write_text(f"{sha}\n")
    (repository / "refs/heads/empty").write_text("")
    assert ref_files.read(repository, below="refs/heads") == {"main": sha}


def _commit(repository: Path, message: str) -> str:
    tree = _git("hash-object", "-t", "tree", "-w", "/dev/null", at=repository)
    who = ("-c", "user.name=n", "-c", "user.email=n@localhost")
    return _git(*who, "commit-tree", tree, "-m", message, at=repository)


def _listed(repository: Path) -> dict[str, str]:
    format_ = "--format=%(refname:lstrip=2) %(objectname)"
    lines = _git("for-each-ref", format_, "refs/heads", at=repository).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def _git(*arguments: str, at: Path | None = None) -> str:
    where = ["-C", str(at)] if at else []
    done = subprocess.run(["git", *where, *arguments], capture_output=True, check=True, text=True)
    return done.stdout.strip()
