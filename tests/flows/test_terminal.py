"""What a person sees who watches a run on a terminal, leaves, comes back, or stops it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Machine  # only a name here

COLUMNS = ("NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "PR", "MESSAGE")
DEMO = ("demo", "--sample", "python")
_PATIENCE_S = 120.0
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Seat:
    """Somebody in front of a terminal on which `pressplay` runs."""

    def __init__(self, machine: Machine, *arguments: str, columns: int = 80) -> None:
        self.written = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            env = {name: value for name, value in os.environ.items() if name != "CI"}
            program = [sys.executable, "-m", "pressplay.cli", "--state", str(machine.state)]
            os.execve(  # noqa: S606 - the command, on a terminal of its own
                program[0], [*program, *arguments], {**env, "TERM": "xterm-256color"}
            )
        self.resize(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def wait_for(self, text: str) -> None:
        """Read until this was shown."""
        until = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < until, self.shown
            assert self._read(), f"the command ended without {text!r}:\n{self.shown}"

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.write(self._terminal, b"\x03")

    def leave(self) -> int:
        """Read to the end; answers the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self._pid, 0)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(status)

    @property
    def shown(self) -> str:
        """What was written, without colours and movements."""
        return _STEERING.sub("", self.written)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], _PATIENCE_S)
        assert ready, f"nothing is shown any more:\n{self.shown}"
        try:
            data = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.written += data.decode(errors="replace")
        return bool(data)


def test_a_run_is_drawn_while_it_goes_on_and_summed_up_at_its_end(machine: Machine) -> None:
    seat = Seat(machine, *DEMO)
    seat.wait_for("set-params")
    seat.resize(44)
    seat.wait_for("acceptance")
    seat.resize(200)
    assert seat.leave() == 0, seat.shown
    assert "\x1b[?25l" in seat.written
    assert seat.written.rindex("\x1b[?25h") > seat.written.rindex("\x1b[?25l")
    before = seat.shown.partition("\n  Verdict")[0]
    for known in ("look_taken", "Pull request  #", "Preview       http://", "✓ approve"):
        assert known in before
    assert "A person merges; nothing here can." in seat.shown


def test_ctrl_c_ends_the_watching_and_says_how_to_come_back(machine: Machine) -> None:
    seat = Seat(machine, *DEMO)
    seat.wait_for("Run implement")
    seat.interrupt()
    assert seat.leave() == 130
    found = re.search(r"No longer watching\. Run (\S+) goes on\.", seat.shown)
    assert found is not None, seat.shown
    run = found[1]
    assert f"workflow watch {run}" in seat.shown
    assert f"workflow stop {run}" in seat.shown
    assert "Traceback" not in seat.shown
    assert seat.written.rfind("\x1b[?25h") >= seat.written.rfind("\x1b[?25l")

    again = machine.call("workflow", "watch", run, "--output", "json")
    assert again.code == 0, again.out + again.err
    summary = again.json()
    assert (summary["run"], summary["verdict"]) == (run, "pass")
    assert summary["pr"]["url"].endswith("/pull/2")
    _check_listing(machine, run)


def _check_listing(machine: Machine, run: str) -> None:
    (row,) = json.loads(machine.call("workflow", "list", "--output", "json").out)
    assert (row["name"], row["status"], row["pr"]) == (run, "Succeeded", "2")
    everything = machine.call("workflow", "list", "--all").out
    assert f"{run}-implement" in everything
    assert everything.split()[:7] == list(COLUMNS)
    shown = machine.call("workflow", "get").out
    assert f"{'Name:':<20}{run}\n" in shown
    assert "✔ acceptance" in shown
    workflow: dict[str, Any] = machine.call("workflow", "get", run, "--output", "json").json()
    assert workflow["kind"] == "Workflow"
    logs = machine.call("workflow", "logs", run, "implement").out
    assert "implement/publish: pushed branch=pressplay/issue-1" in logs
    token = machine.call("workflow", "logs", run, "publish", "--container", "token").out
    assert "token_minted" in token
    assert machine.call("workflow", "logs", run, "no-such-step").code == 2


def test_a_stopped_run_ends_cleaned_up_and_keeps_its_proof(machine: Machine) -> None:
    seat = Seat(machine, *DEMO)
    seat.wait_for("Preview")
    stopped = machine.call("workflow", "stop", "@latest", "--output", "json")
    assert stopped.code == 0, stopped.err
    assert stopped.json()["stopped"] is True
    assert seat.leave() == 1, seat.shown
    assert "Evidence" in seat.shown
    assert machine.world()["namespaces"] == ["agents"]
    assert "has ended already" in machine.call("workflow", "stop", "@latest").out


def test_logs_are_followed_to_the_end_of_the_run(machine: Machine) -> None:
    seat = Seat(machine, *DEMO)
    seat.wait_for("implement")
    followed = machine.call("workflow", "logs", "@latest", "--follow")
    assert seat.leave() == 0, seat.shown
    assert followed.code == 0, followed.err
    for known in ("implement/publish: pushed", "acceptance: look_taken", "seal: run_sealed"):
        assert known in followed.out


@pytest.mark.parametrize("verb", ["get", "watch", "stop", "logs"])
def test_a_run_that_is_not_there_is_refused_with_the_way_to_those_that_are(
    machine: Machine, verb: str
) -> None:
    done = machine.call("workflow", verb, "no-such-run")
    assert done.code == 2
    assert "`pressplay workflow list` shows them" in done.err


def test_without_a_terminal_lines_are_plain_and_json_is_alone_on_standard_output(
    machine: Machine,
) -> None:
    plain = machine.call(*DEMO)
    assert plain.code == 0, plain.out + plain.err
    assert "\x1b" not in plain.out
    assert re.search(r"^  ✓ acceptance +\d+ s$", plain.out, re.MULTILINE)
    known = machine.call("workflow", "watch", "--output", "json")
    assert json.loads(known.out)["spend_usd"] in (None, 0)
