"""`pressplay doctor --repo URL`: another server's local forge plays GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pressplay.app import installing
from pressplay.base.redaction import Secret
from pressplay.cli import workspaces
from pressplay.forge import app_keys
from pressplay.server import standing
from pressplay.server.standing import ForgeSettings

if TYPE_CHECKING:
    from tests.flows.conftest import Called, Machine  # only names here


@pytest.fixture
def here(tmp_path: Path, new_machine: Callable[[Path], Machine]) -> Iterator[Machine]:
    """The machine on which the command is called."""
    made = new_machine(tmp_path / "here")
    yield made
    made.kill()


def _fill(machine: Machine, repository: Path, *, apps: Path) -> None:
    """A repository on the forge, and the key of an App that works there."""
    workspace = workspaces.read_workspace(repository)
    with machine.operator() as operator:
        made = operator.ensure_repository("greeter", default_branch=workspace.branch)
        workspaces.push(
            workspace,
            workspaces.Refspec(workspace.sha, workspace.branch),
            url=made.clone_url,
            server_url=machine.address.forge_url,
            token=Secret(machine.address.operator_token),
        )
        for name in ("agent", app_keys.APPROVER):
            permissions = {**installing.APPS["rex"], "metadata": "read"}
            key = operator.ensure_app(f"acme-{name}", permissions)
            (apps / name).mkdir(parents=True)
            (apps / name / "app-id").write_text(f"{key.id}\n")
            (apps / name / "private-key").write_text(key.private_key)


def _rows(called: Called) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(called.out)
    return rows


def test_doctor_says_whether_the_default_branch_of_a_known_forge_is_protected(
    machine: Machine, here: Machine, repository: Path, tmp_path: Path
) -> None:
    _fill(machine, repository, apps=tmp_path / "apps")
    url = machine.address.forge_url
    host = url.removeprefix("http://").replace(":", "_")
    settings = ForgeSettings(url, f"{url}/api/v3", str(tmp_path / "apps"))
    standing.write_forge(here.state / "forges" / host, settings)
    asked = ("doctor", "--output", "json", "--repo", f"{url}/operator/greeter")

    found = here.call(*asked)
    assert found.code == 0, found.err
    assert _rows(found)[-1]["check"] == "protection"
    assert _rows(found)[-1]["state"] == "ok", found.out

    with machine.operator() as operator:
        operator.set_protection("operator", "greeter", "trunk", enabled=False)
    unprotected = _rows(here.call(*asked))[-1]
    assert unprotected["state"] == "warn"
    assert unprotected["found"] == "operator/greeter: trunk is not protected"
    assert "ruleset" in unprotected["remedy"]

    gone = _rows(here.call(*asked[:-1], f"{url}/operator/gone"))[-1]
    assert gone["state"] == "warn"
    assert gone["found"].startswith("operator/gone: ")


def test_doctor_looks_at_the_running_servers_settings(machine: Machine) -> None:
    address = machine.address
    found = {each["check"]: each for each in _rows(machine.call("doctor", "--output", "json"))}
    assert found["server"]["found"] == f"running, process {address.pid} at {address.kube_url}"
    assert found["naming"] == {
        "check": "naming",
        "state": "ok",
        "found": "repo-pr",
        "remedy": "",
    }
