"""Git against real repositories, some of them hostile."""

import os
import subprocess
from pathlib import Path

import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.stages import git

ME = git.Identity("Test", "test@example.com")


def sh(cwd: Path, *command: str) -> str:
    cwd.mkdir(parents=True, exist_ok=True)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **ME.variables(),
    }
    return subprocess.run(
        command, cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with two commits on main."""
    path = tmp_path / "origin"
    sh(path, "git", "init", "-q", "-b", "main", ".")
    (path / "a.txt").write_text("one\n")
    (path / "b.txt").write_text("b\n")
    sh(path, "git", "add", "-A")
    sh(path, "git", "commit", "-qm", "first")
    (path / "a.txt").write_text("two\n")
    sh(path, "git", "commit", "-qam", "second")
    return path


def head(path: Path) -> str:
    return sh(path, "git", "rev-parse", "HEAD")


def branch_head(path: Path, branch: str) -> str:
    return sh(path, "git", "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")


def commit(path: Path, message: str = "more") -> str:
    sh(path, "git", "add", "-A")
    sh(path, "git", "commit", "-q", "--allow-empty", "-m", message)
    return head(path)


@pytest.fixture
def fetched(origin: Path, tmp_path: Path) -> tuple[Path, str]:
    """Our own git directory with the head of `origin`."""
    directory = tmp_path / "own"
    git.fetch_commit(directory, url=f"file://{origin}", sha=head(origin), ref="main")
    return directory, head(origin)


def test_a_commit_is_fetched_with_its_history(origin: Path, fetched: tuple[Path, str]) -> None:
    directory, sha = fetched
    assert git.has_commit(directory, sha)
    first = sh(origin, "git", "rev-parse", "HEAD~1")
    assert git.is_ancestor(directory, first, sha)
    assert [c.path for c in git.changes(directory, first, sha)] == ["a.txt"]
    assert git.added_text(directory, first, sha).endswith("two")


def test_a_shallow_fetch_brings_one_commit(origin: Path, tmp_path: Path) -> None:
    git.fetch_commit(tmp_path / "own", url=f"file://{origin}", sha=head(origin), depth=1)
    assert not git.has_commit(tmp_path / "own", sh(origin, "git", "rev-parse", "HEAD~1"))


def test_a_commit_that_is_not_there_is_refused(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not on branch 'main'"):
        git.fetch_commit(tmp_path / "own", url=f"file://{origin}", sha="1" * 40, ref="main")


def test_a_repository_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be fetched"):
        git.fetch_commit(tmp_path / "own", url="http://127.0.0.1:9/a/b.git", sha="1" * 40)


def test_programs_of_a_url_are_never_started(tmp_path: Path) -> None:
    url = f"ext::touch {tmp_path}/pwned"
    with pytest.raises(Refused):
        git.fetch_commit(tmp_path / "own", url=url, sha="1" * 40)
    assert not (tmp_path / "pwned").exists()


def test_a_ref_cannot_bring_a_refspec(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Parameter ref"):
        git.fetch_commit(tmp_path / "own", url=str(origin), sha="1" * 40, ref="x:refs/heads/y")


def test_export_writes_the_files_even_those_that_attributes_hide(
    origin: Path, tmp_path: Path
) -> None:
    (origin / ".gitattributes").write_text("b.txt export-ignore\na.txt filter=evil export-subst\n")
    (origin / "a.txt").write_text("$Format:%H$\n")
    (origin / "run.sh").write_text("#!/bin/sh\n")
    (origin / "run.sh").chmod(0o755)
    sha = commit(origin)
    git.fetch_commit(tmp_path / "own", url=str(origin), sha=sha)
    assert git.export_tree(tmp_path / "own", sha, tmp_path / "tree") == ()
    tree = tmp_path / "tree"
    assert (tree / "b.txt").read_text() == "b\n"
    assert (tree / "a.txt").read_text() == "$Format:%H$\n"
    assert os.access(tree / "run.sh", os.X_OK)
    assert not (tree / ".git").exists()


def test_export_leaves_out_links_that_lead_out(origin: Path, tmp_path: Path) -> None:
    deep = origin / "p/q"
    deep.mkdir(parents=True)
    (origin / "inner").symlink_to("a.txt")
    (origin / "absolute").symlink_to("/etc/passwd")
    (origin / "climbs").symlink_to("../../etc/passwd")
    (deep / "top").symlink_to("../..")
    (deep / "sly").symlink_to("top/../x")
    sha = commit(origin)
    git.fetch_commit(tmp_path / "own", url=str(origin), sha=sha)
    left = git.export_tree(tmp_path / "own", sha, tmp_path / "tree")
    assert set(left) == {"absolute", "climbs", "p/q/sly"}
    assert (tmp_path / "tree/inner").read_text() == "two\n"
    assert not (tmp_path / "tree/absolute").is_symlink()


def test_a_snapshot_ignores_hooks_filters_and_settings_of_the_tree(
    fetched: tuple[Path, str], tmp_path: Path
) -> None:
    directory, sha = fetched
    tree = tmp_path / "tree"
    git.export_tree(directory, sha, tree)
    sh(tree, "git", "init", "-q", ".")
    trap = f"touch {tmp_path}/pwned"
    for key in ("core.fsmonitor", "filter.evil.clean", "core.pager", "alias.add"):
        sh(tree, "git", "config", key, trap if key != "alias.add" else f"!{trap}")
    hook = tree / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{trap}\n")
    hook.chmod(0o755)
    (tree / ".gitattributes").write_text("* filter=evil\n")
    (tree / "new.txt").write_text("new\n")
    found = git.snapshot(directory, tree, on=sha)
    work = git.commit_tree(directory, found, parent=sha, message="m", identity=ME)
    assert {c.path: c.status for c in git.changes(directory, sha, work)} == {
        ".gitattributes": "A",
        "new.txt": "A",
    }
    assert not (tmp_path / "pwned").exists()
    assert git.line(directory, start=sha, tip=work) == (git.Record(work, ME, ME, "m"),)


def test_a_snapshot_of_an_unchanged_tree_is_the_commits_own(
    fetched: tuple[Path, str], tmp_path: Path
) -> None:
    directory, sha = fetched
    git.export_tree(directory, sha, tmp_path / "tree")
    assert git.snapshot(directory, tmp_path / "tree", on=sha) == git.tree_of(directory, sha)


def test_a_push_moves_one_branch_forward_and_never_back(
    origin: Path, fetched: tuple[Path, str]
) -> None:
    directory, sha = fetched
    url = f"file://{origin}"
    tree = git.tree_of(directory, sha)
    work = git.commit_tree(directory, tree, parent=sha, message="m", identity=ME)
    other = git.commit_tree(directory, tree, parent=sha, message="n", identity=ME)
    assert branch_head(origin, "pressplay/issue-1") == ""
    assert git.push(directory, url=url, sha=work, branch="pressplay/issue-1")
    assert branch_head(origin, "pressplay/issue-1") == work
    assert git.push(directory, url=url, sha=work, branch="pressplay/issue-1")
    assert not git.push(directory, url=url, sha=other, branch="pressplay/issue-1")
    assert branch_head(origin, "pressplay/issue-1") == work
    assert head(origin) == sha


def test_a_pushing_hook_of_the_directory_is_not_run(
    origin: Path, fetched: tuple[Path, str], tmp_path: Path
) -> None:
    directory, sha = fetched
    hook = directory / "hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    hook.chmod(0o755)
    assert git.push(directory, url=str(origin), sha=sha, branch="x")
    assert not (tmp_path / "pwned").exists()


def test_a_file_is_read_at_a_commit_and_a_link_is_none(origin: Path, tmp_path: Path) -> None:
    (origin / "link").symlink_to("a.txt")
    sha = commit(origin)
    git.fetch_commit(tmp_path / "own", url=str(origin), sha=sha)
    assert git.file_at(tmp_path / "own", sha, "a.txt") == b"two\n"
    assert git.file_at(tmp_path / "own", sha, "link") is None
    assert git.file_at(tmp_path / "own", sha, "none") is None
    assert git.file_at(tmp_path / "own", sha, "*") is None


def test_the_token_is_not_in_a_message(tmp_path: Path) -> None:
    token = Secret("ghs_" + "a" * 36)
    with pytest.raises(Unavailable) as caught:
        git.fetch_commit(
            tmp_path / "own", url="http://127.0.0.1:9/a/b.git", sha="a" * 40, auth=token
        )
    assert token.reveal() not in str(caught.value)


def test_a_snapshot_keeps_what_an_export_leaves_out(origin: Path, tmp_path: Path) -> None:
    (origin / "absolute").symlink_to("/etc/passwd")
    sh(origin, "git", "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    sh(origin, "git", "add", "absolute")
    sh(origin, "git", "commit", "-qm", "odd things")
    own, sha = tmp_path / "own", head(origin)
    git.fetch_commit(own, url=str(origin), sha=sha)
    left_out = git.export_tree(own, sha, tmp_path / "tree")
    found = git.snapshot(own, tmp_path / "tree", on=sha, keep=left_out)
    assert found == git.tree_of(own, sha)
