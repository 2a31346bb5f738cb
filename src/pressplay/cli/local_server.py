"""Finding the local server, or starting it in the background."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from pressplay import app
from pressplay.app import Address
from pressplay.base import processes
from pressplay.base.errors import Unavailable

_PATIENCE_S = 30.0
_OTHERS_PATIENCE_S = 5.0
IDLE_S = 300.0
"""A server that a command started ends after so long without a run or a preview."""


def ensure(state: Path) -> Address:
    """The server of `state`, started if none runs. Raises Unavailable with the end of its log."""
    found = app.read_address(state)
    if found is not None:
        return found
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = state / "server.log"
    child = processes.spawn(
        [
            *(sys.executable, "-m", "pressplay.cli", "--state", str(state)),
            *("up", "--idle", str(IDLE_S)),
        ],
        env=dict(os.environ),  # noqa: TID251 - the server is started as the user's own
        output=log,
    )
    until = time.monotonic() + _PATIENCE_S
    try:
        while (found := app.read_address(state)) is None:
            if _has_ended(child.pid):
                # Another command may have started one at the same moment: then ours gave way.
                until = min(until, time.monotonic() + _OTHERS_PATIENCE_S)
            if time.monotonic() > until:
                said = log.read_text(errors="replace").splitlines()[-5:]
                raise Unavailable(
                    f"The local server did not start; {log} ends with:\n" + "\n".join(said)
                )
            time.sleep(0.02)
    finally:
        os.close(child.pidfd)
    return found


def _has_ended(pid: int) -> bool:
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return ended == pid
