"""command: a free command without rights, its outputs, its limits."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import commands
from pressplay.stages.environment import Ending, StageEnvironment

MakeEnv = Callable[..., StageEnvironment]


def asked(make_env: MakeEnv, *words: str, **more: Any) -> StageEnvironment:
    return make_env(REQUEST=json.dumps({"command": list(words), **more}))


def shell(make_env: MakeEnv, line: str, **more: Any) -> StageEnvironment:
    return asked(make_env, "/bin/sh", "-c", args=[line], **more)


def test_its_files_come_back_as_outputs(make_env: MakeEnv) -> None:
    env = shell(
        make_env,
        "printf one > a.txt; mkdir d; printf two > d/b.json",
        outputs=[{"name": "a", "path": "a.txt"}, {"name": "b", "path": "/work/src/d/b.json"}],
    )
    assert commands.run(env).ending is Ending.PASS
    assert json.loads((env.out / "outputs.json").read_text()) == {"a": "one", "b": "two"}


def test_it_works_in_the_workspace_with_its_own_variables_only(
    make_env: MakeEnv, capfd: pytest.CaptureFixture[str]
) -> None:
    env = shell(make_env, "pwd; env", env=[{"name": "GREETING", "value": "hi there"}])
    commands.run(env)
    said = capfd.readouterr().out
    assert said.startswith(f"{env.workspace}\n")
    assert "GREETING=hi there" in said
    assert "PRESSPLAY_" not in said


def test_what_it_prints_is_redacted(make_env: MakeEnv, capfd: pytest.CaptureFixture[str]) -> None:
    token = "ghs_" + "a" * 36
    commands.run(shell(make_env, f"printf '%s\\n%s' token={token} last={token}"))
    said = capfd.readouterr().out
    assert token not in said
    assert said == "token=***\nlast=***\n"


def test_outputs_are_redacted(make_env: MakeEnv) -> None:
    token = "ghs_" + "a" * 36
    env = shell(make_env, f"printf {token} > a", outputs=[{"name": "a", "path": "a"}])
    commands.run(env)
    assert json.loads((env.out / "outputs.json").read_text()) == {"a": "***"}


def test_a_command_that_fails_fails_the_stage_with_its_last_words(make_env: MakeEnv) -> None:
    outcome = commands.run(shell(make_env, "echo first; echo no such chart >&2; exit 7"))
    assert outcome.ending is Ending.FAIL
    assert outcome.reason == "The command ended with exit code 7: no such chart"


def test_a_command_that_never_ends_is_ended(make_env: MakeEnv) -> None:
    outcome = commands.run(shell(make_env, "sleep 60", timeoutSeconds=1))
    assert outcome.ending is Ending.FAIL
    assert outcome.reason == "The command ran longer than 1 s"


def test_endless_output_is_cut(make_env: MakeEnv, capfd: pytest.CaptureFixture[str]) -> None:
    commands.run(shell(make_env, "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end"))
    said = capfd.readouterr().out
    assert len(said) < commands.LOG_LIMIT + 2 * commands.LINE_LIMIT + 100_000
    assert "output_cut" in said
    assert "the end" not in said


def test_an_output_that_is_not_there_is_refused_by_name(make_env: MakeEnv) -> None:
    env = shell(make_env, "true", outputs=[{"name": "urls", "path": "urls.json"}])
    with pytest.raises(Refused, match=r"Output urls: the command left no file at urls\.json"):
        commands.run(env)


def test_an_output_that_is_too_large_is_refused(make_env: MakeEnv) -> None:
    env = shell(make_env, "head -c 65537 /dev/zero > a", outputs=[{"name": "a", "path": "a"}])
    with pytest.raises(Refused, match="larger than 64 KiB"):
        commands.run(env)


@pytest.mark.parametrize("path", ["/etc/passwd", "/var/run/secrets/x", "../a", "link", "d/x"])
def test_an_output_from_elsewhere_is_refused(make_env: MakeEnv, path: str) -> None:
    env = shell(
        make_env, "ln -s /etc/passwd link; ln -s /etc d", outputs=[{"name": "a", "path": path}]
    )
    with pytest.raises(Refused):
        commands.run(env)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({}, "spec.command is empty"),
        ({"command": []}, "spec.command is empty"),
        ({"command": "rm -rf /"}, "spec.command must be a list"),
        ({"command": ["x"], "args": [1]}, "spec.args must be a list"),
        ({"command": ["x"], "env": [{"name": "a b", "value": "c"}]}, "spec.env"),
        ({"command": ["x"], "env": [{"name": "A", "valueFrom": {}, "value": 1}]}, "spec.env"),
        ({"command": ["x"], "outputs": [{"name": "a/b", "path": "c"}]}, "spec.outputs"),
        ({"command": ["x"], "outputs": [{"name": "a"}]}, "spec.outputs"),
        ({"command": ["x"], "timeoutSeconds": 9999}, "spec.timeoutSeconds"),
    ],
)
def test_a_request_that_is_wrong_names_its_field(request_: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=told):
        commands.read_command(request_)


def test_a_program_that_is_not_there_is_refused(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="no-such-program"):
        commands.run(asked(make_env, "no-such-program"))
