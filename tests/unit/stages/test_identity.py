"""token: which permissions may be asked for, what a real forge mints, how it is written."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.forge.client import Forge
from pressplay.forge.errors import RefusedByForge
from pressplay.stages import identity
from pressplay.stages.environment import StageEnvironment

MakeEnv = Any
READING = ("--permissions", "contents=read,metadata=read")


def put_key(env: StageEnvironment, repository: Any, app: str = "rex") -> None:
    env.app_key_dir.mkdir(parents=True, exist_ok=True)
    key = repository.forge.keys[app]
    (env.app_key_dir / "app-id").write_text(key.app_id)
    (env.app_key_dir / "private-key").write_text(key.private_key.reveal())


def written(env: StageEnvironment) -> Secret:
    return Secret(env.token_file.read_text())


def test_a_token_for_one_repository_is_written_for_its_owner_only(
    make_env: MakeEnv, repository: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = repository.forge.settings
    env = make_env(*READING, settings=settings, OWNER=repository.owner, REPO=repository.name)
    put_key(env, repository)
    identity.run_token(env)
    assert stat.S_IMODE(env.token_file.stat().st_mode) == 0o600
    with Forge(api_url=repository.forge.api_url, token=written(env)) as forge:
        assert forge.repository(repository.owner, repository.name).name == repository.name
    assert written(env).reveal() not in capsys.readouterr().out


def test_it_carries_no_more_than_was_asked_for(make_env: MakeEnv, repository: Any) -> None:
    request = json.dumps({"repo": f"{repository.owner}/{repository.name}"})
    env = make_env(*READING, settings=repository.forge.settings, REQUEST=request)
    put_key(env, repository)
    identity.run_token(env)
    with (
        Forge(api_url=repository.forge.api_url, token=written(env)) as forge,
        pytest.raises(RefusedByForge),
    ):
        forge.add_comment(repository.owner, repository.name, 1, body="hello")


def test_a_second_token_replaces_the_first(make_env: MakeEnv, repository: Any) -> None:
    settings = repository.forge.settings
    env = make_env(*READING, settings=settings, OWNER=repository.owner, REPO=repository.name)
    put_key(env, repository)
    identity.run_token(env)
    first = written(env).reveal()
    identity.run_token(env)
    assert written(env).reveal() != first
    assert [file.name for file in env.token_file.parent.iterdir()] == ["token"]


def test_no_token_is_minted_for_a_repository_that_is_not_allowed(
    make_env: MakeEnv, repository: Any
) -> None:
    settings = repository.forge.settings | {"PRESSPLAY_ALLOWED_REPOSITORIES": "acme/other"}
    env = make_env(*READING, settings=settings, OWNER=repository.owner, REPO=repository.name)
    put_key(env, repository)
    with pytest.raises(Refused, match="is not allowed here"):
        identity.run_token(env)
    assert not env.token_file.exists()


def test_without_a_key_it_says_where_one_belongs(make_env: MakeEnv, tmp_path: Path) -> None:
    env = make_env(*READING, OWNER="acme", REPO="todo")
    with pytest.raises(Refused, match="app-id"):
        identity.run_token(env)


def test_permissions_are_read_from_the_command_line() -> None:
    argv = ("--permissions", "contents=read,pull_requests=write,metadata=read")
    assert identity.read_permissions(argv) == {
        "contents": "read",
        "pull_requests": "write",
        "metadata": "read",
    }


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--permissions",),
        ("--permissions", ""),
        ("--permissions", "contents"),
        ("--permissions", "contents=admin"),
        ("--permissions", "metadata=write"),
        ("--permissions", "administration=read"),
        ("--permissions", "workflows=write"),
        ("--permissions", "contents=read,contents=write"),
        ("--other", "contents=read"),
        ("--permissions", "contents=read", "more"),
    ],
)
def test_nothing_beyond_what_a_token_of_ours_may_have_is_asked_for(argv: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        identity.read_permissions(argv)
