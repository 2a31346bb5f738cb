"""Previews after their run: looked at, extended, taken down, and gone by themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from pressplay.base import clocks
from pressplay.base.redaction import Secret
from pressplay.cli import workspaces
from pressplay.cli.origins import Asked, IssueText, LocalOrigin

if TYPE_CHECKING:
    from tests.flows.conftest import Machine


def _until(holds: Callable[[], bool], *, patience_s: float = 20) -> None:
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.1)


def _stands(machine: Machine, name: str) -> bool:
    with machine.kube() as kube:
        return kube.get("Namespace", "", name) is not None


def _get(preview: dict[str, Any]) -> int:
    asked = Request(
        f"http://{preview['connect']}/api/items/count", headers={"Host": preview["host"]}
    )
    with urlopen(asked, timeout=5) as answer:
        status: int = answer.status
        return status


def test_a_preview_is_listed_opened_extended_survives_a_restart_and_is_destroyed(
    machine: Machine,
) -> None:
    done = machine.call("demo", "--sample", "python", "--output", "json")
    assert done.code == 0, done.out + done.err
    run = done.json()["run"]
    (listed,) = _json(machine.call("preview", "list", "--output", "json"))
    number = str(listed["pr"])
    assert (listed["run"], listed["ready"]) == (run, True)
    assert listed["url"] == done.json()["urls"]["endpoints"][0]["url"]
    assert 0 < listed["expiresInSeconds"] <= 30 * 60, "the sample's policy says 30m"
    table = machine.call("preview", "list").out.splitlines()
    assert table[0].split()[:4] == ["PR", "REPOSITORY", "URL", "READY"]
    assert table[1].split()[:4] == [number, listed["repository"], listed["url"], "yes"]

    opened = machine.call("preview", "open", number)
    assert (opened.code, opened.out.strip()) == (0, listed["url"])
    assert _get(listed) == 200

    longer = machine.call("preview", "extend", number, "24h", "--output", "json")
    assert longer.code == 0, longer.err
    assert clocks.from_text(longer.json()["expires"]) == clocks.from_text(
        listed["expires"]
    ) + timedelta(hours=24)
    _check_refusals(machine, number)

    limits = ("ConfigMap", "agents", "pressplay-limits")
    with machine.kube() as kube:
        kube.patch(*limits, {"data": {"agents": "2", "loads": None}})
    assert machine.call("down").code == 0
    assert machine.call("preview", "list").code == 3
    again = machine.address
    assert again.pid
    with machine.kube() as kube:
        found = kube.get(*limits)
    assert found is not None
    assert (found["data"]["agents"], found["data"]["loads"]) == ("2", "1"), "theirs, completed"
    reopened = machine.call("preview", "open", f"#{number}", "--output", "json")
    assert reopened.code == 0, reopened.err
    assert _get(reopened.json()) == 200
    assert reopened.json()["expires"] == longer.json()["expires"]

    gone = machine.call("preview", "destroy", number, "--yes")
    assert (gone.code, "is gone" in gone.out) == (0, True), gone.err
    world = machine.world()
    assert (world["namespaces"], world["deployments"]) == (["agents"], [])
    assert machine.call("preview", "list").out == "No preview stands; an approved run leaves one.\n"


def test_without_a_server_no_preview_stands_and_none_is_started_for_the_answer(
    machine: Machine,
) -> None:
    nobody = machine.call("preview", "list")
    assert nobody.code == 3
    assert "No server runs here" in nobody.err
    assert "`pressplay up` starts it" in nobody.err
    assert not machine.state.exists()


def test_previews_go_with_their_time_and_with_their_pull_request(
    machine: Machine, repository: Path
) -> None:
    origin = LocalOrigin(machine.address, workspaces.read_workspace(repository))
    subject = origin.find(Asked(text=IssueText("Say more", "")))
    with machine.operator() as operator, machine.kube() as kube:
        owner, name = subject.repository.owner, subject.repository.name
        pulls = {}
        for branch in ("stays", "closes"):
            workspace = workspaces.read_workspace(repository)
            workspaces.push(
                workspace,
                workspaces.Refspec(_commit(repository, branch), branch),
                url=subject.repository.clone_url,
                server_url=machine.address.forge_url,
                token=Secret(machine.address.operator_token),
            )
            made = operator.open_pull(owner, name, head=branch, base="trunk", title=branch)
            pulls[branch] = made.number
        tomorrow, lately = (
            clocks.to_text(datetime.now(UTC) + timedelta(hours=hours)) for hours in (24, -1)
        )
        for space, pr, expires in (
            ("impl-pr-stays", pulls["stays"], tomorrow),
            ("impl-pr-closes", pulls["closes"], tomorrow),
            ("impl-pr-late", pulls["stays"], lately),
        ):
            kube.create(_namespace(space, pr=pr, expires=expires, of=f"{owner}/{name}"))
        _until(lambda: not _stands(machine, "impl-pr-late"))
        assert _stands(machine, "impl-pr-closes")
        operator.set_pull_state(owner, name, pulls["closes"], state="closed")
    _until(lambda: not _stands(machine, "impl-pr-closes"))
    assert _stands(machine, "impl-pr-stays")


def _check_refusals(machine: Machine, number: str) -> None:
    for words, said in (
        (("extend", number, "40d"), "at most 30d from now on"),
        (("extend", number, "soon"), "DURATION is 'soon'"),
        (("open", "99"), f"Pull request 99 has no preview. There are: {number} ("),
        (("destroy", number), "say so with --yes"),
        (("list", "--repo", "nonsense"), "write OWNER/NAME"),
        (("open", "seven"), "is no pull request's number"),
    ):
        refused = machine.call("preview", *words)
        assert (refused.code, said in refused.err) == (2, True), refused.err


def _json(called: Any) -> list[dict[str, Any]]:
    assert called.code == 0, called.err
    found: list[dict[str, Any]] = called.json()
    return found


def _commit(repository: Path, message: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    command: list[str] = ["git", "-C", str(repository), *who]
    subprocess.run([*command, "commit", "-q", "--allow-empty", "-m", message], check=True)
    return workspaces.read_workspace(repository).sha


def _namespace(name: str, *, pr: int, expires: str, of: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {"preview": "true", "pr": str(pr)},
            "annotations": {
                "pressplay.dev/expires": expires,
                "pressplay.dev/repository": of,
            },
        },
    }
