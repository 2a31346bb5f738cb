"""The whole job, as a user would do it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Machine

AGENT = """#!/usr/bin/env python3
import os, pathlib, sys
role = os.environ["PRESSPLAY_ROLE"]
task = pathlib.Path(os.environ["PRESSPLAY_TASK_FILE"]).read_text()
assert "wave" in task, task
if role == "rex":
    path = pathlib.Path("greeter.py")
    path.write_text(path.read_text().replace('(200, "hello")', '({code}, "hello, and a wave")'))
if role == "qa":
    pathlib.Path("tests/test_wave.py").write_text(
        'import greeter\\n\\n\\ndef test_it_waves():\\n'
        '    assert greeter.answer("/")[1] == "hello, and a wave"\\n')
"""


def _agent(folder: Path, *, code: int) -> Path:
    path = folder / "agent.py"
    path.write_text(AGENT.replace("{code}", str(code)))
    path.chmod(0o755)
    return path


def _issue(folder: Path) -> Path:
    path = folder / "issue.md"
    path.write_text("# Greet with a wave\n\nSay hello, and a wave.\n")
    return path


def _state_of(repository: Path) -> dict[str, str]:
    """Everything of a repository but its branches."""

    def git(*arguments: str) -> str:
        command: list[str] = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return {
        "status": git("status", "--porcelain", "--branch", "--ignored"),
        "head": git("rev-parse", "HEAD"),
        "config": (repository / ".git" / "config").read_text(),
        "stash": git("stash", "list"),
        "remotes": git("remote", "-v"),
        "files": "\n".join(sorted(each.name for each in (repository / ".git").iterdir())),
    }


def _get(endpoint: dict[str, Any], path: str) -> tuple[int, str]:
    asked = Request(f"http://{endpoint['connect']}{path}", headers={"Host": endpoint["host"]})
    with urlopen(asked, timeout=5) as answer:
        return answer.status, answer.read().decode()


def test_the_demo_ends_approved_unmerged_served_and_proven(machine: Machine) -> None:
    done = machine.call("demo", "--sample", "python", "--output", "json")
    assert done.code == 0, done.out + done.err
    summary = done.json()
    assert summary["verdict"] == "pass"
    status, body = _get(summary["urls"]["endpoints"][0], "/api/items/count")
    assert status == 200
    assert json.loads(body)["count"] > 0
    verified = machine.call("evidence", "verify", summary["bundle"], "--output", "json")
    assert verified.code == 0, verified.out
    assert verified.json()["verdict"] == "pass"
    world = machine.world()
    (pull,) = world["repositories"]["sample-python"]["pulls"]
    assert (pull["state"], pull["merged"]) == ("open", False)
    assert pull["reviews"] == [("qa-approver[bot]", "APPROVED", True)]
    assert [check[:2] for check in pull["checks"]] == [("pressplay/verdict", "success")]


def test_a_repository_never_seen_before_gets_its_pull_request_and_stays_as_it_was(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    before = _state_of(repository)
    arguments = ("run", "--repo", repository, "--issue", _issue(tmp_path), "--output", "json")
    program = _agent(tmp_path, code=200)
    done = machine.call(*arguments, "--agent", "command", "--", program)
    assert done.code == 0, done.out + done.err
    summary = done.json()
    assert _get(summary["urls"]["endpoints"][0], "/") == (200, "hello, and a wave")
    assert _state_of(repository) == before
    assert summary["branch"] == "pressplay/issue-1"
    world = machine.world()

    again = machine.call(*arguments, "--agent", "command", "--", program)
    assert again.code == 0, again.out + again.err
    assert again.json()["pr"] == summary["pr"]
    assert machine.world() == world


def test_an_edit_that_makes_the_app_answer_500_is_not_approved_and_leaves_no_preview(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    # Readiness asks for any answer below 400: here it must not be the thing that finds the fault.
    policy = repository / ".pressplay.yaml"
    text = policy.read_text().replace("ready: /\n", "ready: /ready\n")
    policy.write_text(text)
    source = repository / "greeter.py"
    source.write_text(
        source.read_text()
        .replace('if path == "/" else', 'if path in ("/",) else')
        .replace('(404, "no")', '((200, "ok") if path == "/ready" else (404, "no"))')
    )
    command: list[str] = [
        "git",
        "-C",
        str(repository),
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@localhost",
    ]
    subprocess.run([*command, "commit", "-qam", "ready"], check=True)
    done = machine.call(
        *("run", "--repo", repository, "--issue", _issue(tmp_path), "--output", "json"),
        *("--agent", "command", "--", _agent(tmp_path, code=500)),
    )
    assert done.code == 1, done.out + done.err
    summary = done.json()
    assert summary["verdict"] == "fail"
    assert summary["urls"] == {}
    verified = machine.call("evidence", "verify", summary["bundle"], "--output", "json")
    assert (verified.code, verified.json()["verdict"]) == (0, "fail")
    world = machine.world()
    assert world["namespaces"] == ["agents"]
    assert world["deployments"] == []
    (pull,) = world["repositories"]["greeter"]["pulls"]
    assert pull["reviews"] == []
    assert "success" not in [check[1] for check in pull["checks"]]


def test_the_same_head_in_another_run_is_covered_and_changes_nothing(machine: Machine) -> None:
    done = machine.call("demo", "--sample", "python", "--output", "json")
    assert done.code == 0, done.out + done.err
    world = machine.world()
    run = done.json()["run"]
    with machine.kube() as kube:
        first = kube.get("Workflow", "agents", run)
        assert first is not None
        second = {
            **{key: first[key] for key in ("apiVersion", "kind", "spec")},
            "metadata": {
                "name": f"{run}-g1",
                "namespace": "agents",
                "labels": {
                    name: value
                    for name, value in first["metadata"]["labels"].items()
                    if name in ("pressplay.dev/repo", "pressplay.dev/subject")
                },
            },
        }
        kube.create(second)
        finished = _finish(machine, f"{run}-g1")
    assert finished["status"]["phase"] == "Succeeded"
    outputs = {p["name"]: p["value"] for p in finished["status"]["outputs"]["parameters"]}
    assert outputs["decision"] == "covered"
    assert "already has a valid result" in outputs["reason"]
    assert machine.world() == world


def _finish(machine: Machine, run: str) -> dict[str, Any]:
    with machine.kube() as kube:
        for change in kube.watch("Workflow", "agents", name=run, timeout_s=60):
            if change.object.get("status", {}).get("finishedAt"):
                return change.object
    pytest.fail(f"{run} did not finish")
