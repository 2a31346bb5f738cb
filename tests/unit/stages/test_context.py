"""context: parameters, then the event, then the workspace's own git remote."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import context
from pressplay.stages.environment import StageEnvironment

MakeEnv = Callable[..., StageEnvironment]
SHA = "0123456789abcdef0123456789abcdef01234567"


def outputs(env: StageEnvironment) -> dict[str, str]:
    return {file.name: file.read_text() for file in env.out.iterdir()}


def git(folder: Path, *arguments: str) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.com",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.com",
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "feature/x")
    git(folder, "remote", "add", "origin", "https://x:secret@forge.example/acme/todo.git")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_every_output_is_written_even_where_it_is_empty(make_env: MakeEnv) -> None:
    env = make_env(GITHUB_APP="rex", OWNER="acme", REPO="todo", ISSUE="7")
    context.run(env)
    assert outputs(env) == {
        "github-app": "rex",
        "repository": "acme/todo",
        "owner": "acme",
        "repo": "todo",
        "subject": "issue-7",
        "pr": "",
        "issue": "7",
        "comment-id": "",
        "ref": "",
        "sha": "",
        "task-id": "",
        "task-ref": "",
        "attempt": "",
    }


def test_the_older_parameter_agent_names_the_app(make_env: MakeEnv) -> None:
    env = make_env(AGENT_ALIAS="qa", OWNER="acme", REPO="todo")
    context.run(env)
    assert outputs(env)["github-app"] == "qa"


def test_an_event_is_enough(make_env: MakeEnv) -> None:
    event = {
        "repository": {"owner": {"login": "acme"}, "name": "todo"},
        "pull_request": {"number": 123, "head": {"ref": "feature-branch", "sha": SHA}},
    }
    env = make_env(GITHUB_APP="clippy", EVENT=json.dumps(event))
    context.run(env)
    found = outputs(env)
    assert (found["repository"], found["pr"], found["ref"]) == (
        "acme/todo",
        "123",
        "feature-branch",
    )
    assert found["subject"] == "pr-123"


def test_a_known_pull_request_is_the_subject_whatever_was_given(make_env: MakeEnv) -> None:
    env = make_env(GITHUB_APP="qa", OWNER="acme", REPO="todo", SUBJECT="issue-7", PR="9")
    context.run(env)
    assert outputs(env)["subject"] == "pr-9"


@pytest.mark.usefixtures("workspace")
def test_the_workspace_stands_in_for_an_event(make_env: MakeEnv, workspace: Path) -> None:
    env = make_env(GITHUB_APP="rex")
    context.run(env)
    found = outputs(env)
    assert (found["repository"], found["ref"]) == ("acme/todo", "feature/x")
    assert found["sha"] == git(workspace, "rev-parse", "HEAD")


@pytest.mark.usefixtures("workspace")
def test_a_given_subject_is_not_mixed_with_the_workspaces_branch(make_env: MakeEnv) -> None:
    env = make_env(GITHUB_APP="rex", ISSUE="7")
    context.run(env)
    found = outputs(env)
    assert (found["repository"], found["ref"], found["sha"]) == ("acme/todo", "", "")


def test_without_any_repository_it_ends_in_the_agreed_words(make_env: MakeEnv) -> None:
    with pytest.raises(Refused) as caught:
        context.run(make_env(GITHUB_APP="rex"))
    assert str(caught.value) == (
        "Error: Repository information not available from event payload and no git context found"
    )


def test_an_unknown_app_ends_in_the_agreed_words(make_env: MakeEnv) -> None:
    with pytest.raises(Refused) as caught:
        context.run(make_env(GITHUB_APP="invalid-app", OWNER="a", REPO="b"))
    assert str(caught.value) == (
        "Error: Invalid github-app 'invalid-app'. Must be one of: rex, clippy, qa, triage, security"
    )


def test_a_hostile_workspace_runs_nothing(make_env: MakeEnv, workspace: Path) -> None:
    trap = workspace.parent / "trapped"
    git(workspace, "config", "core.fsmonitor", f"touch {trap}")
    git(workspace, "config", "core.pager", f"touch {trap}")
    git(workspace, "config", "core.sshCommand", f"touch {trap}")
    context.run(make_env(GITHUB_APP="rex"))
    assert not trap.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://forge.example/acme/todo.git",
        "https://forge.example/acme/todo",
        "http://x:y@127.0.0.1:4711/acme/todo.git/",
        "git@forge.example:acme/todo.git",
        "ssh://git@forge.example:22/acme/todo.git",
        "https://forge.example/some/group/acme/todo.git\n",
    ],
)
def test_every_form_of_a_remotes_address_is_read(url: str) -> None:
    assert context.remote_repository(url) == ("acme", "todo")


@pytest.mark.parametrize("url", ["", "/srv/git/todo.git", "todo", "https://forge.example/todo"])
def test_what_is_no_forge_names_no_repository(url: str) -> None:
    assert context.remote_repository(url) is None
