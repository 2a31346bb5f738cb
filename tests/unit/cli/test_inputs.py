"""What a user hands in, and the answer to what cannot be used."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.cli import agents, origins, pipelines, workspaces


def _git(path: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    subprocess.run(["git", "-C", str(path), *identity, *arguments], check=True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"gone: there is no such folder"):
        workspaces.read_workspace(tmp_path / "gone")


def test_a_folder_without_git_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no git repository; run `git init`"):
        workspaces.read_workspace(tmp_path)


def test_a_repository_without_commits_is_refused(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    with pytest.raises(Refused, match="has no commits"):
        workspaces.read_workspace(tmp_path)


def test_a_workspace_knows_its_branch_and_what_is_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "my repo"
    path.mkdir()
    _git(path, "init", "-q", "-b", "trunk")
    _git(path, "commit", "-q", "--allow-empty", "-m", "start")
    workspace = workspaces.read_workspace(path)
    assert (workspace.branch, workspace.name) == ("trunk", "my-repo")
    assert not workspaces.has_uncommitted_changes(workspace)
    (path / "new").write_text("")
    assert workspaces.has_uncommitted_changes(workspace)


def test_the_first_line_of_an_issue_is_its_title(tmp_path: Path) -> None:
    path = tmp_path / "issue.md"
    path.write_text("\n# Do it\n\nIn this way.\n")
    assert pipelines.read_issue(path) == origins.IssueText("Do it", "In this way.")


def test_an_empty_issue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "issue.md"
    path.write_text("  \n\n")
    with pytest.raises(Refused, match="is empty; its first line is the title"):
        pipelines.read_issue(path)


def test_an_agent_needs_a_program() -> None:
    with pytest.raises(Refused, match="put it after `--`"):
        agents.choose("command", (), environment={})
    with pytest.raises(Refused, match="is no program on PATH"):
        agents.choose("command", ("no-such-program",), environment={})


def test_file_arguments_of_an_agent_are_named_absolutely_and_shown_to_it(tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text("")
    choice = agents.choose("command", ("sh", str(script), "--fast"), environment={})
    argv = json.loads(choice.files["command.json"])
    assert argv[1:] == [str(script), "--fast"]
    assert script in choice.programs
