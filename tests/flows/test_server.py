"""The local server: one for a state folder, started by whoever needs it, ended by itself."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pressplay.server import standing
from pressplay.server.standing import Address

if TYPE_CHECKING:
    from tests.flows.conftest import Machine  # only a name here: pytest hands the object in


def _up(machine: Machine, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pressplay.cli", "--state", str(machine.state), "up"]
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)


def _ready(machine: Machine) -> Address:
    until = time.monotonic() + 30
    while (found := standing.read_address(machine.state)) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_a_server_ends_by_itself_when_nothing_needs_it(machine: Machine) -> None:
    with _up(machine, "--idle", "0.5") as server:
        _ready(machine)
        assert server.wait(timeout=30) == 0
    assert standing.read_address(machine.state) is None


def test_a_second_server_on_the_same_folder_is_refused_and_harms_nothing(
    machine: Machine,
) -> None:
    first = machine.address
    with _up(machine) as second:
        _, said = second.communicate(timeout=30)
    assert second.returncode == 2
    assert f"belongs to the running process {first.pid}" in said
    assert standing.read_address(machine.state) == first


def test_two_commands_that_both_start_a_server_share_one(machine: Machine) -> None:
    command = [sys.executable, "-c"]
    program = (
        "import sys, pathlib; from pressplay.cli import local_server; "
        f"print(local_server.ensure(pathlib.Path({str(machine.state)!r})).pid)"
    )
    both = [subprocess.Popen([*command, program], stdout=subprocess.PIPE) for _ in range(2)]
    said = {each.communicate(timeout=60)[0] for each in both}
    assert [each.returncode for each in both] == [0, 0]
    assert len(said) == 1


def test_down_ends_the_server_and_says_so_when_there_is_none(machine: Machine) -> None:
    pid = machine.address.pid
    done = machine.call("down")
    assert (done.code, done.out) == (0, f"Server {pid} ended.\n")
    assert machine.call("down").out == f"No server is running on {machine.state}.\n"
