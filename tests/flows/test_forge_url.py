"""A repository on a forge elsewhere: another server's local forge plays GitHub."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pressplay.app import installing
from pressplay.base.redaction import Secret
from pressplay.cli import demo, workspaces
from pressplay.forge import app_keys
from pressplay.server import standing

if TYPE_CHECKING:
    from tests.flows.conftest import Called, Machine  # only names here


class Github:
    """The other machine: its forge with a repository, an issue and Apps with their keys."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.apps = folder / "apps"
        self.sample = demo.sample(folder / "sample", language="python")
        self.url = machine.address.forge_url
        self.script = folder / "scenario.yaml"
        self.script.write_text(self.sample.agent.files["scenario.yaml"])

    def fill(self) -> None:
        """Put a repository there, and make the keys as a person downloads them."""
        with self.machine.operator() as operator:
            repository = operator.ensure_repository("shop", default_branch="main")
            for name in ("agent", app_keys.APPROVER):
                granted = installing.APPS["rex" if name == "agent" else name]
                made = operator.ensure_app(f"acme-{name}", {**granted, "metadata": "read"})
                place = self.apps / name
                place.mkdir(parents=True)
                (place / "app-id").write_text(f"{made.id}\n")
                (place / "private-key").write_text(made.private_key)
            workspace = self.sample.workspace
            workspaces.push(
                workspace,
                workspaces.Refspec(workspace.sha, "main"),
                url=repository.clone_url,
                server_url=self.url,
                token=Secret(self.machine.address.operator_token),
            )

    def open_issue(self) -> int:
        issue = self.sample.issue
        with self.machine.operator() as operator:
            return operator.open_issue(
                "operator", "shop", title=issue.title, body=issue.body
            ).number


@pytest.fixture
def github(tmp_path: Path, new_machine: Callable[[Path], Machine]) -> Iterator[Github]:
    """GitHub, as far as this installation can tell."""
    made = Github(new_machine(tmp_path / "github"), tmp_path / "operator")
    made.fill()
    yield made
    made.machine.kill()


@pytest.fixture
def here(tmp_path: Path, new_machine: Callable[[Path], Machine]) -> Iterator[Machine]:
    """The machine on which the command is called; its servers are ended."""
    made = new_machine(tmp_path / "here")
    yield made
    for state in (made.state, *made.state.glob("forges/*")):
        new_machine(state).kill()


def _run(here: Machine, github: Github, *arguments: str | Path) -> Called:
    scripted = ("--agent", "scripted", "--output", "json", "--", github.script)
    return here.call("run", "--repo", f"{github.url}/operator/shop", *arguments, *scripted)


def _error(called: Called) -> str:
    assert called.code in (2, 3), called.out + called.err
    error = json.loads(called.out)["error"]
    assert error["kind"] == {2: "refused", 3: "unavailable"}[called.code]
    message: str = error["message"]
    return message


def test_an_issue_of_a_forge_elsewhere_becomes_an_approved_pull_request_there(
    here: Machine, github: Github
) -> None:
    number = github.open_issue()
    done = _run(here, github, "--issue", str(number), "--apps", github.apps)
    assert done.code == 0, done.out + done.err
    summary = done.json()
    assert summary["pr"]["url"].startswith(f"{github.url}/operator/shop/pull/")
    (pull,) = github.machine.world()["repositories"]["shop"]["pulls"]
    assert (pull["state"], pull["merged"], pull["author"]) == ("open", False, "acme-agent[bot]")
    assert pull["reviews"] == [("acme-qa-approver[bot]", "APPROVED", True)]
    assert github.machine.world()["alarms"] == []
    assert github.machine.world()["namespaces"] == ["agents"], "nothing of ours runs over there"
    assert standing.read_address(here.state) is None, "no server of the local forge was needed"

    assert here.call("down").out.startswith("Server ")
    # Remembered: the second time no folder is named, and the same work is known.
    again = _run(here, github, "--issue", str(number))
    assert again.code == 0, again.out + again.err
    assert again.json()["run"] == summary["run"]


def test_what_a_forge_elsewhere_lacks_is_refused_with_the_remedy(
    here: Machine, github: Github, tmp_path: Path
) -> None:
    assert "give --apps DIR the first time" in _error(_run(here, github, "--issue", "1"))
    nowhere = tmp_path / "nowhere"
    assert "is not there; give a folder" in _error(
        _run(here, github, "--issue", "1", "--apps", nowhere)
    )
    apps = ("--apps", github.apps)
    assert "no such issue" in _error(_run(here, github, "--issue", "99", *apps))
    assert "no such pull request" in _error(_run(here, github, "--pr", "99", *apps))
    text = tmp_path / "issue.md"
    text.write_text("Do it\n")
    assert "must be the number" in _error(_run(here, github, "--issue", str(text), *apps))

    elsewhere = f"{github.url}/operator/no-such"
    scripted = ("--agent", "scripted", "--output", "json", "--", github.script)
    missing = here.call("run", "--repo", elsewhere, "--issue", "1", *apps, *scripted)
    said = _error(missing)
    assert "is not installed on operator/no-such, or there is no such repository" in said
    assert f"{github.url}/settings/apps" in said

    key = github.apps / "agent" / "private-key"
    key.write_text("no key\n")
    assert f"{github.apps / 'agent'}: The App's private key is not" in _error(
        _run(here, github, "--issue", "1", *apps)
    )
    assert not list(here.state.glob("forges/*/server.json")), "no server was started for a refusal"


def test_a_forge_that_does_not_answer_ends_with_3(
    here: Machine, github: Github, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/operator/shop"
        scripted = ("--agent", "scripted", "--output", "json", "--", github.script)
        done = here.call("run", "--repo", address, "--issue", "1", "--apps", github.apps, *scripted)
    assert done.code == 3, done.out + done.err
    assert json.loads(done.out)["error"]["kind"] == "unavailable"


def test_an_issue_of_the_local_forge_is_played_by_its_number(
    machine: Machine, tmp_path: Path
) -> None:
    sample = demo.sample(tmp_path / "sample", language="python")
    script = tmp_path / "scenario.yaml"
    script.write_text(sample.agent.files["scenario.yaml"])
    arguments = ("run", "--repo", sample.workspace.path, "--agent", "scripted", "--output", "json")
    missing = machine.call(*arguments, "--issue", "1", "--", script)
    assert "no such issue" in _error(missing)
    with machine.operator() as operator:
        opened = operator.open_issue(
            "operator", sample.workspace.name, title=sample.issue.title, body=sample.issue.body
        )
    done = machine.call(*arguments, "--issue", f"#{opened.number}", "--", script)
    assert done.code == 0, done.out + done.err
    assert done.json()["branch"] == f"pressplay/issue-{opened.number}"

    number = str(done.json()["pr"]["number"])
    covered = machine.call(*arguments, "--pr", number, "--", script)
    assert covered.code == 0, covered.out + covered.err
    assert (covered.json()["decision"], covered.json()["pr"]) == ("covered", done.json()["pr"])
    assert "no such pull request" in _error(machine.call(*arguments, "--pr", "99", "--", script))
