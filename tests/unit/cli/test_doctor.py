"""`pressplay doctor`: what it finds, how it says so, and that it never shows a key."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pressplay.cli import checking, doctor
from pressplay.cli.checking import Check, State, Surroundings

STATES = {"ok", "warn", "missing"}


def _run(state: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(doctor.command, list(arguments), obj=state, env=environment)
    return done.exit_code, done.output


def _found(check: Check, state: Path, environment: Mapping[str, str]) -> dict[str, State]:
    around = Surroundings(environment, state)
    return {each.check: each.state for each in check(around)}


def test_this_machine_can_run_and_every_check_says_what_it_found(tmp_path: Path) -> None:
    code, output = _run(tmp_path / "not/there/yet", "--output", "json")
    found: list[dict[str, Any]] = json.loads(output)
    assert code == 0
    assert {"python", "git", "sandbox", "disk space", "server", "claude", "model", "rust"} <= {
        each["check"] for each in found
    }
    for each in found:
        assert set(each) == {"check", "state", "found", "remedy"}
        assert each["state"] in STATES
        assert each["found"]
        assert bool(each["remedy"]) is (each["state"] != "ok"), each
    assert not (tmp_path / "not").exists()


def test_without_git_no_run_works_and_the_code_is_2(tmp_path: Path) -> None:
    code, output = _run(tmp_path, PATH=str(tmp_path))
    assert code == 2
    assert "MISS  git" in output
    assert "→ install git" in output
    assert output.strip().endswith("Missing: git. No run works without.")


def test_what_only_some_runs_need_is_a_warning(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path)}
    assert _found(checking.rust, tmp_path, nothing) == {"rust": State.WARN}
    claude = _found(checking.claude, tmp_path, nothing)
    assert claude == {"claude": State.WARN, "model": State.WARN}
    assert set(_found(checking.cluster_tools, tmp_path, nothing).values()) == {State.OK}


def test_neither_the_key_nor_an_endpoints_password_is_shown(tmp_path: Path) -> None:
    secret, url = "sk-ant-REDACTED", "https://me:pass-word-1@models.example"
    environment = {"ANTHROPIC_API_KEY": secret, "ANTHROPIC_BASE_URL": url}
    for output in ("text", "json"):
        _, said = _run(tmp_path, "--output", output, **environment)
        assert secret not in said
        assert "pass-word-1" not in said


def test_a_state_folder_that_is_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = _found(checking.state_folder, tmp_path / "file" / "state", os.environ)
    assert found == {"state folder": State.MISSING}


@pytest.mark.parametrize(
    ("free", "state"), [(6 << 30, "ok"), (5 << 30, "ok"), (1 << 30, "warn"), (1 << 20, "missing")]
)
def test_disk_space_is_judged_by_what_a_build_takes(free: int, state: str, tmp_path: Path) -> None:
    finding = checking.judge_space(free, tmp_path)
    assert finding.state == state
    assert bool(finding.remedy) is (state != "ok")


@pytest.mark.parametrize(
    ("naming", "allowed", "state"),
    [
        ("pr", "", State.WARN),
        ("", "me/a,me/b", State.WARN),
        ("pr", " me/a ", State.OK),
        ("repo-pr", "", State.OK),
    ],
)
def test_names_that_two_repositories_would_share_are_warned_of(
    naming: str, allowed: str, state: State
) -> None:
    settings = {"PRESSPLAY_NAMING": naming, "PRESSPLAY_ALLOWED_REPOSITORIES": allowed}
    assert doctor.judge_naming(settings).state is state


def test_a_forge_without_known_apps_is_a_warning_with_the_remedy(tmp_path: Path) -> None:
    _, output = _run(tmp_path, "--repo", "https://git.example/me/app", "--output", "json")
    protection = json.loads(output)[-1]
    assert (protection["check"], protection["state"]) == ("protection", "warn")
    assert "--apps DIR" in protection["remedy"]


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(doctor.command, ["--repo", "https://x"], obj=tmp_path)
    assert "is no address of a repository" in str(done.exception)


def test_no_address_is_called_where_none_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("doctor went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert _run(tmp_path)[0] == 0
