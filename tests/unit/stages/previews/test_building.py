"""build: what the repository's own command makes of the source, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pressplay.api import policy
from pressplay.base.errors import Refused, Unavailable
from pressplay.stages.environment import Ending, StageEnvironment
from pressplay.stages.previews import archives, building


def env_with(make_env: Any, build: list[str], **files: str) -> StageEnvironment:
    env: StageEnvironment = make_env(
        settings={"PATH": os.environ["PATH"], "GITHUB_TOKEN": "ghp_0123456789abcdef0123456789"},
        REQUEST=json.dumps({"repo": "acme/todo", "env": [{"name": "COLOUR", "value": "green"}]}),
        ROOT=str(make_env().inputs.parent),
    )
    source = env.inputs / "source"
    source.mkdir(parents=True)
    for name, text in files.items():
        (source / name.replace("_", ".")).write_text(text)
    rules = {"version": 1, "preview": {"process": {"build": build, "command": ["./app"]}}}
    record = policy.Record(policy=policy.Policy.from_json(rules), base_sha="b" * 40)
    (env.inputs / "policy.json").write_text(json.dumps(record.to_json()))
    return env


def unpacked(env: StageEnvironment, folder: Path) -> Path:
    """What a preview finds, unpacked as its pod does it."""
    (folder / "built").mkdir(parents=True)
    (env.out / building.ARCHIVE).rename(folder / "built" / archives.NAME)
    archives.run_unpack(StageEnvironment(variables={"PRESSPLAY_ROOT": str(folder)}))
    return folder / "app"


def test_what_is_built_travels_with_its_modes_and_links(make_env: Any, tmp_path: Path) -> None:
    script = "cp in.txt out && chmod 755 out && ln -s out link && mkdir -p a/b && echo $COLOUR"
    env = env_with(make_env, ["sh", "-c", script], in_txt="hello\n")
    assert building.run(env).ending is Ending.PASS
    found = unpacked(env, tmp_path / "there")
    assert (found / "link").readlink() == Path("out")
    assert (found / "link").read_text() == "hello\n"
    assert os.access(found / "out", os.X_OK)
    assert (found / "a/b").is_dir()
    log = (env.artifacts / building.LOG).read_text()
    assert log == f"$ sh -c {script}\ngreen\n"


def test_a_build_sees_neither_the_steps_variables_nor_its_home(
    make_env: Any, tmp_path: Path
) -> None:
    env = env_with(make_env, ["sh", "-c", "env | sort > seen"])
    building.run(env)
    seen = (unpacked(env, tmp_path / "there") / "seen").read_text()
    assert "ghp_" not in seen
    assert "PRESSPLAY_REQUEST" not in seen
    assert "PRESSPLAY_PREVIEW=1" in seen
    assert f"HOME={os.environ['HOME']}\n" not in seen


def test_a_build_that_fails_says_how_with_its_last_lines(make_env: Any) -> None:
    script = "seq 100; echo 'error: no rule for app' >&2; exit 2"
    env = env_with(make_env, ["sh", "-c", script])
    outcome = building.run(env)
    assert outcome.ending is Ending.FAIL
    assert outcome.reason.startswith("The build ended with exit code 2. It said last: 92\n")
    assert outcome.reason.endswith("error: no rule for app")
    assert not (env.out / building.ARCHIVE).exists()
    assert "\n1\n" in (env.artifacts / building.LOG).read_text()


def test_a_build_that_says_nothing_is_told_as_such(make_env: Any) -> None:
    outcome = building.run(env_with(make_env, ["false"]))
    assert outcome.reason == "The build ended with exit code 1. It printed nothing"


def test_a_broken_archive_can_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / archives.NAME).write_text("no archive")
    with pytest.raises(Unavailable, match="does not go into or out of its archive"):
        archives.run_unpack(StageEnvironment(variables={"PRESSPLAY_ROOT": str(tmp_path)}))


def test_a_build_that_does_not_end_is_ended(make_env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "BUILD_S", 0.3)
    outcome = building.run(env_with(make_env, ["sleep", "60"]))
    assert outcome.ending is Ending.FAIL
    assert "did not end within 0 s" in outcome.reason


def test_a_program_that_is_not_there_is_named(make_env: Any) -> None:
    env = env_with(make_env, ["no-such-program-here"])
    with pytest.raises(Refused, match="no-such-program-here; install it"):
        building.run(env)
    assert (env.artifacts / building.LOG).exists()


def test_secrets_that_a_build_prints_are_kept_nowhere(make_env: Any) -> None:
    token = "ghp_" + "a1B2" * 9
    env = env_with(make_env, ["sh", "-c", f"echo {token}; exit 1"])
    outcome = building.run(env)
    assert token not in outcome.reason
    assert token not in (env.artifacts / building.LOG).read_text()


def test_links_beyond_the_tree_stay_links(make_env: Any, tmp_path: Path) -> None:
    env = env_with(make_env, ["ln", "-s", "/etc/passwd", "trap"])
    building.run(env)
    with tarfile.open(env.out / building.ARCHIVE) as archive:
        assert archive.getmember("./trap").issym()


def test_a_rust_tree_leaves_its_program_and_no_intermediate_files(
    make_env: Any, tmp_path: Path
) -> None:
    if subprocess.run(["which", "cargo"], capture_output=True, check=False).returncode:
        pytest.skip("no cargo on this machine; see https://rustup.rs")
    manifest = '[package]\nname = "app"\nversion = "0.1.0"\n[[bin]]\nname = "app"\npath = "a.rs"\n'
    files = {"Cargo_toml": manifest, "a_rs": "fn main() {}\n"}
    env = env_with(make_env, ["cargo", "build", "--release"], **files)
    assert building.run(env).ending is Ending.PASS, (env.artifacts / building.LOG).read_text()
    assert (env.out / building.ARCHIVE).stat().st_size < 5_000_000
    found = unpacked(env, tmp_path / "there")
    assert subprocess.run([found / "target/release/app"], check=False).returncode == 0
    assert not (found / "target/release/deps").exists()
