"""What a stage sees and writes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.stages.environment import Foreign, StageEnvironment

TOKEN = "ghp_" + "a" * 36


@pytest.fixture
def env(tmp_path: Path) -> StageEnvironment:
    return StageEnvironment(
        variables={
            "PRESSPLAY_OUT": str(tmp_path / "out"),
            "PRESSPLAY_ARTIFACTS": str(tmp_path / "artifacts"),
            "PRESSPLAY_OWNER": "octo",
            "PRESSPLAY_PR": "",
            "GITHUB_API_URL": "https://api.github.com",
            "MY_TOKEN": "plain-looking-value",
        }
    )


def test_an_empty_parameter_counts_as_not_given(env: StageEnvironment) -> None:
    assert env.get("OWNER") == "octo"
    assert env.get("PR", "7") == "7"
    assert env.get("NOPE") == ""
    assert env.setting("GITHUB_API_URL") == "https://api.github.com"
    assert env.require("OWNER") == "octo"
    with pytest.raises(Refused, match="PRESSPLAY_PR is empty"):
        env.require("PR")


def test_paths_have_the_defaults_of_the_manifests() -> None:
    env = StageEnvironment(variables={})
    assert [str(path) for path in (env.out, env.artifacts, env.inputs, env.workspace)] == [
        "/out",
        "/artifacts",
        "/in",
        "/work/src",
    ]
    assert str(env.token_file) == "/var/run/github/token"
    assert str(env.app_key_dir) == "/var/run/secrets/github-app"
    assert str(env.signing_key_dir) == "/var/run/secrets/evidence-signing"
    assert str(env.agents_dir) == "/etc/agents"
    assert str(env.agent_dir) == "/etc/pressplay/agent"


def test_without_a_sandbox_every_default_path_lies_below_the_root() -> None:
    env = StageEnvironment(variables={"PRESSPLAY_ROOT": "/pod", "PRESSPLAY_IN": "/given"})
    assert str(env.out) == "/pod/out"
    assert str(env.inputs) == "/given"
    assert str(env.path("/etc/agents/x")) == "/pod/etc/agents/x"
    assert str(env.path("/pod/etc/agents/x")) == "/pod/etc/agents/x"
    assert str(env.path("relative")) == "relative"
    with pytest.raises(Refused, match=r"\.\."):
        env.path("/etc/../../x")


def test_what_is_written_is_redacted(env: StageEnvironment) -> None:
    env.write_output("reason", f"no {TOKEN} here")
    env.write_artifact("rex/logs.txt", f"plain-looking-value and {TOKEN}")
    env.write_artifact("rex/report.json", {"u": ["http://h", "a@b", TOKEN]})
    env.write_artifact("rex/raw.bin", b"\x00\xff")
    assert (env.out / "reason").read_text() == "no *** here"
    assert (env.artifacts / "rex/logs.txt").read_text() == "*** and ***"
    assert json.loads((env.artifacts / "rex/report.json").read_text()) == {
        "u": ["http://h", "a@b", "***"]
    }
    assert (env.artifacts / "rex/raw.bin").read_bytes() == b"\x00\xff"


def test_nothing_is_written_outside_its_folder(env: StageEnvironment, tmp_path: Path) -> None:
    for path in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(Refused):
            env.write_output(path, "x")
    env.out.mkdir(parents=True)
    (env.out / "link").symlink_to(tmp_path / "victim")
    (env.out / "folder").symlink_to(tmp_path)
    for path in ("link", "folder/victim"):
        with pytest.raises(Refused, match="symbolic link"):
            env.write_output(path, "x")
    assert not (tmp_path / "victim").exists()


def test_a_log_line_is_one_line_of_words(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    env.log("step_done", run="r-1", count=3, text="two\nlines", empty="", token=TOKEN)
    line = 'step_done run=r-1 count=3 text="two\\nlines" empty="" token=***\n'
    assert capsys.readouterr().out == line


def test_variables_do_not_show_in_a_trace(env: StageEnvironment) -> None:
    assert "plain-looking-value" not in repr(env)


def test_what_is_not_ours_says_how_long_it_took_and_when_it_ended(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    before = time.time()
    with env.timed(Foreign.TESTS):
        time.sleep(0.02)
    found = re.fullmatch(r"took what=tests seconds=([\d.]+) ended=([\d.]+)\n", _said(capsys))
    assert found is not None
    assert 0.02 <= float(found[1]) <= time.time() - before + 0.001
    assert before <= float(found[2]) <= time.time() + 0.001


def test_the_time_of_what_failed_is_told_too(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused), env.timed(Foreign.AGENT):
        raise Refused("no")
    assert _said(capsys).startswith("took what=agent seconds=0.0")


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out
