"""A pull request that a person opened: validated at its head, once, never two heads at a time."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.api import names
from pressplay.api.forge import Pull
from pressplay.base.redaction import Secret
from pressplay.cli import agents, pipelines, workspaces
from pressplay.cli.agents import AgentChoice
from pressplay.cli.origins import Asked, LocalOrigin
from pressplay.cli.pipelines import Session
from pressplay.cli.workspaces import Refspec

if TYPE_CHECKING:
    from tests.flows.conftest import Machine

BRANCH, CLONE = "feature/wave", "elsewhere"
"""The branch on the forge, and its name in the person's clone: nobody else pushes it."""

WAVING = '(200, "hello, and a wave")'
QA_TEST = (
    "import greeter\n\n\ndef test_it_waves():\n"
    '    assert greeter.answer("/")[1] == "hello, and a wave"\n'
)
AGENT = f"""#!/usr/bin/env python3
import os, pathlib, time
assert os.environ["PRESSPLAY_ROLE"] == "qa", "nobody implements in a validation"
time.sleep({{pause}})
pathlib.Path("tests/test_wave.py").write_text({QA_TEST!r})
"""
_PATIENCE_S = 120


@dataclass
class Person:
    """Somebody with write permission and a clone of the repository."""

    machine: Machine
    repository: Path
    number: int = 0

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
        command: list[str] = ["git", "-C", str(self.repository), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def publish(self) -> str:
        """Put the default branch on the forge, as it is there; the repository's clone address."""
        address = self.machine.address
        workspace = workspaces.read_workspace(self.repository)
        with self.machine.operator() as operator:
            made = operator.ensure_repository(workspace.name, default_branch="trunk")
        self.push(made.clone_url, workspace.sha, "trunk")
        assert made.clone_url.startswith(address.forge_url)
        return made.clone_url

    def push(self, url: str, sha: str, branch: str) -> None:
        address = self.machine.address
        workspaces.push(
            workspaces.read_workspace(self.repository),
            Refspec(sha, branch),
            url=url,
            server_url=address.forge_url,
            token=Secret(address.operator_token),
        )

    def change(self, old: str, new: str) -> str:
        """One commit on the branch, and its sha."""
        if not self.git("branch", "--list", CLONE):
            self.git("branch", CLONE)
        self.git("switch", "-q", CLONE)
        source = self.repository / "greeter.py"
        source.write_text(source.read_text().replace(old, new))
        self.git("commit", "-qam", "Greet with a wave")
        sha = self.git("rev-parse", "HEAD")
        self.git("switch", "-q", "trunk")
        return sha

    def open_pull(self, *, draft: bool = False) -> Pull:
        with self.machine.operator() as operator:
            made = operator.open_pull(
                operator.repositories()[0].owner,
                "greeter",
                head=BRANCH,
                base="trunk",
                title="Greet with a wave",
                body="Say hello, and a wave.",
                draft=draft,
            )
        self.number = made.number
        return made

    def pull(self) -> Pull:
        with self.machine.operator() as operator:
            return operator.pull(operator.repositories()[0].owner, "greeter", self.number)


@pytest.fixture
def person(machine: Machine, repository: Path) -> Person:
    return Person(machine, repository)


def _agent(folder: Path, *, pause: int = 0, greeting: str = "wave") -> AgentChoice:
    path = folder / "agent.py"
    path.write_text(AGENT.format(pause=pause).replace("and a wave", f"and a {greeting}"))
    path.chmod(0o755)
    return agents.choose("command", (str(path),), environment={})


def _start(person: Person, agent: AgentChoice) -> Session:
    machine = person.machine
    workspace = workspaces.read_workspace(person.repository)
    return pipelines.press_play(
        address=machine.address,
        state=machine.state,
        origin=LocalOrigin(machine.address, workspace),
        asked=Asked(pr=person.number),
        agent=agent,
    )


def _until(machine: Machine, run: str, holds: Any) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_S
    with machine.kube() as kube:
        while time.monotonic() < until:
            found = kube.get("Workflow", "agents", run)
            if found is not None and holds(found):
                return found
            time.sleep(0.05)
    pytest.fail(f"{run} was not as wanted in {_PATIENCE_S} s")


def _finish(machine: Machine, run: str) -> dict[str, Any]:
    return _until(machine, run, lambda found: found.get("status", {}).get("finishedAt"))


def _outputs(workflow: dict[str, Any]) -> dict[str, str]:
    return {p["name"]: p["value"] for p in workflow["status"]["outputs"]["parameters"]}


def _said(workflow: dict[str, Any]) -> list[str]:
    return [
        f"{node['displayName']}: {node.get('message', '')}"
        for node in workflow["status"].get("nodes", {}).values()
        if node["phase"] in ("Failed", "Error")
    ]


def test_a_persons_pull_request_is_tested_deployed_and_approved_and_only_once(
    machine: Machine, person: Person, tmp_path: Path
) -> None:
    url = person.publish()
    head = person.change('(200, "hello")', WAVING)
    person.push(url, head, BRANCH)
    pull = person.open_pull()
    agent = _agent(tmp_path)
    session = _start(person, agent)
    assert session.run == names.validate_run(
        repository_id=session.subject.repository.id, pr=pull.number, head=head
    )
    done = _finish(machine, session.run)
    assert done["status"]["phase"] == "Succeeded", _said(done)
    outputs = _outputs(done)
    assert (outputs["decision"], outputs["verdict"]) == ("proceed", "pass")

    world = machine.world()["repositories"]["greeter"]
    (seen,) = world["pulls"]
    assert (seen["state"], seen["merged"], seen["head"]) == ("open", False, BRANCH)
    assert seen["reviews"] == [("qa-approver[bot]", "APPROVED", True)]
    assert [check[:2] for check in seen["checks"]] == [("pressplay/verdict", "success")]
    now = person.pull()
    assert now.head_sha == outputs["head_sha"] != head
    assert len(world["refs"][f"refs/heads/{BRANCH}"]) == 3
    with machine.kube() as kube:
        (preview,) = kube.list("Namespace", labels="preview=true")
        assert kube.get("CodeRun", "agents", f"{session.run}-clippy-format") is not None
        assert kube.get("CodeRun", "agents", f"{session.run}-implement") is None
    assert preview["metadata"]["labels"]["pressplay.dev/workflow"] == session.run

    # The head that QA's tests made has its result: nothing is done again.
    before = machine.world()
    again = _finish(machine, _start(person, agent).run)
    assert _outputs(again)["decision"] == "covered"
    assert "already has a valid result" in _outputs(again)["reason"]
    assert machine.world() == before


def test_a_pull_request_whose_app_answers_500_is_not_approved_and_keeps_no_preview(
    machine: Machine, person: Person, tmp_path: Path
) -> None:
    policy = person.repository / ".pressplay.yaml"
    policy.write_text(policy.read_text().replace("ready: /\n", "ready: /ready\n"))
    source = person.repository / "greeter.py"
    ready = '((200, "ok") if path == "/ready" else (404, ""))'
    source.write_text(source.read_text().replace('(404, "no")', ready))
    person.git("commit", "-qam", "ready")
    url = person.publish()
    head = person.change('(200, "hello")', '(500, "hello, and a wave")')
    person.push(url, head, BRANCH)
    person.open_pull()
    session = _start(person, _agent(tmp_path))
    done = _finish(machine, session.run)
    assert done["status"]["phase"] == "Failed"
    assert _outputs(done)["verdict"] == "fail", _said(done)
    world = machine.world()
    assert (world["namespaces"], world["deployments"]) == (["agents"], [])
    (seen,) = world["repositories"]["greeter"]["pulls"]
    assert (seen["reviews"], seen["state"]) == ([], "open")
    assert "success" not in [check[1] for check in seen["checks"]]


def test_a_draft_and_a_closed_pull_request_end_at_once_with_the_reason(
    machine: Machine, person: Person, tmp_path: Path
) -> None:
    url = person.publish()
    person.push(url, person.change('(200, "hello")', WAVING), BRANCH)
    pull = person.open_pull(draft=True)
    agent = _agent(tmp_path)
    drafted = _finish(machine, _start(person, agent).run)
    with machine.operator() as operator:
        owner = operator.repositories()[0].owner
        operator.set_pull_state(owner, "greeter", pull.number, state="closed")
    with machine.kube() as kube:
        again = {**drafted, "metadata": {"name": "closed", "namespace": "agents"}}
        kube.create({key: again[key] for key in ("apiVersion", "kind", "metadata", "spec")})
    closed = _finish(machine, "closed")
    for ended, why in ((drafted, "is a draft; mark it ready"), (closed, "is closed; there is")):
        assert ended["status"]["phase"] == "Succeeded", _said(ended)
        assert _outputs(ended)["decision"] == "refused"
        assert f"Pull request #{pull.number} {why}" in _outputs(ended)["reason"]
        assert not [n for n in ended["status"]["nodes"].values() if n["displayName"] == "deploy"]
    assert machine.world()["namespaces"] == ["agents"]


def test_a_newer_head_stops_the_older_run_which_cleans_up_and_says_so(
    machine: Machine, person: Person, tmp_path: Path
) -> None:
    url = person.publish()
    head = person.change('(200, "hello")', WAVING)
    person.push(url, head, BRANCH)
    person.open_pull()
    older = _start(person, _agent(tmp_path, pause=600))
    _until(machine, older.run, lambda _: _is_working(machine, older.run))

    newer_head = person.change("and a wave", "and a song")
    person.push(url, newer_head, BRANCH)
    quick = tmp_path / "quick"
    quick.mkdir()
    newer = _start(person, _agent(quick, greeting="song"))
    assert newer.run != older.run
    stopped = _finish(machine, older.run)
    outputs = _outputs(stopped)
    assert outputs["decision"] == "superseded"
    assert outputs["reason"] == f"The newer run {newer.run} goes on instead"
    assert stopped["status"]["message"] == "Stopped with strategy 'Stop'"
    with machine.kube() as kube:
        agent_run = kube.get("CodeRun", "agents", f"{older.run}-qa-testing")
    assert agent_run is not None
    assert agent_run["spec"]["cancel"] is True

    done = _finish(machine, newer.run)
    assert done["status"]["phase"] == "Succeeded", _said(done)
    assert _outputs(done)["decision"] == "proceed"
    with machine.kube() as kube:
        previews = kube.list("Namespace", labels="preview=true")
    assert [p["metadata"]["labels"]["pressplay.dev/workflow"] for p in previews] == [newer.run]


def _is_working(machine: Machine, run: str) -> bool:
    """Whether the agent of QA has begun."""
    with machine.kube() as kube:
        found = kube.get("Workflow", "agents", f"{run}-qa-testing")
    nodes = (found or {}).get("status", {}).get("nodes", {}).values()
    return any(n["displayName"] == "agent" and n["phase"] == "Running" for n in nodes)
