"""The whole job on a Rust service: what a machine with cargo shows first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from pressplay.cli import demo

if TYPE_CHECKING:
    from tests.flows.conftest import Machine

pytestmark = pytest.mark.skipif(
    bool(demo.missing_for_rust(dict(os.environ))),
    reason=f"Rust is not here: {demo.missing_for_rust(dict(os.environ))}",
)


def _ask(endpoint: dict[str, Any], path: str) -> tuple[int, Any]:
    asked = Request(f"http://{endpoint['connect']}{path}", headers={"Host": endpoint["host"]})
    with urlopen(asked, timeout=5) as answer:
        return answer.status, json.loads(answer.read())


def _artifact(machine: Machine, run: str, path: str) -> str:
    return (machine.state / "artifacts" / run / "evidence" / path).read_text()


def test_the_demo_takes_rust_and_ends_approved_unmerged_served_and_proven(
    machine: Machine,
) -> None:
    done = machine.call("demo", "--output", "json")
    assert done.code == 0, done.out + done.err
    summary = done.json()
    run = summary["run"]
    assert summary["verdict"] == "pass"
    status, counted = _ask(summary["urls"]["endpoints"][0], "/api/items/count")
    assert status == 200
    assert counted["count"] > 0

    verified = machine.call("evidence", "verify", summary["bundle"], "--output", "json")
    assert (verified.code, verified.json()["verdict"]) == (0, "pass")
    clippy = json.loads(_artifact(machine, run, "clippy/report.json"))
    assert (clippy["language"], clippy["lintStatus"], clippy["fmtStatus"]) == (
        "rust",
        "pass",
        "pass",
    )
    # Every role has something to do, or the demo would show nothing.
    assert set(clippy["changedFiles"]) == {"src/api.rs", "src/items.rs"}
    proof = _artifact(machine, run, "qa/proof/tests.txt")
    assert "fails on the base, as it must: shelf::count::an_empty_shelf_counts_zero" in proof
    # The base says no by itself: mutants stand in for it only where it cannot.
    assert "mutant" not in proof
    assert "Finished" in _artifact(machine, run, "deploy/build.txt")

    world = machine.world()
    (pull,) = world["repositories"]["sample-rust"]["pulls"]
    assert (pull["state"], pull["merged"]) == ("open", False)
    assert pull["reviews"] == [("qa-approver[bot]", "APPROVED", True)]
    assert [check[:2] for check in pull["checks"]] == [("pressplay/verdict", "success")]


def test_a_build_that_fails_ends_the_run_with_its_last_words_and_leaves_no_preview(
    machine: Machine, tmp_path: Path
) -> None:
    repository = tmp_path / "shelf"
    sample = demo.sample(tmp_path / "sample", language="rust")
    shutil.copytree(sample.workspace.path, repository)
    policy = repository / ".pressplay.yaml"
    broken = "build: [cargo, build, --release, --bin, no-such-program]"
    policy.write_text(policy.read_text().replace("build: [cargo, build, --release]", broken))
    _commit(repository)
    issue = tmp_path / "issue.md"
    issue.write_text("# Count the items\n\nPlease add `GET /api/items/count`.\n")
    script = tmp_path / "scenario.yaml"
    script.write_text(sample.agent.files["scenario.yaml"])
    done = machine.call(
        *("run", "--repo", repository, "--issue", issue, "--output", "json"),
        *("--agent", "scripted", "--", script),
    )
    assert done.code == 1, done.out + done.err
    summary = done.json()
    assert "The build ended with exit code 101" in summary["reason"]
    assert "no-such-program" in summary["reason"]
    assert summary["urls"] == {}
    assert "no-such-program" in _artifact(machine, summary["run"], "deploy/build.txt")
    assert machine.world()["namespaces"] == ["agents"]


def _commit(repository: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    command = ["git", "-C", str(repository), *who, "commit", "-qam", "another build"]
    subprocess.run(command, check=True)
