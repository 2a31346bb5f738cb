"""Finding the local server, or starting it in the background."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pressplay.base import errors, processes
from pressplay.base.errors import Unavailable
from pressplay.server import standing
from pressplay.server.standing import Address

_PATIENCE_S = 30.0
_OTHERS_PATIENCE_S = 5.0
MODEL_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")
_ROOM = 64 * 1024
"""Bytes without which a server can not even say what it lacks."""

IDLE_S = 300.0
"""A server that a command started ends after so long without a run or a preview."""


def folder(state: Path | None) -> Path:
    """The state folder that a command works on: the one it was given, or the user's."""
    environment = os.environ  # noqa: TID251 - the command line reads it
    return state or standing.default_state(environment)


def find(state: Path) -> Address | None:
    """The server of `state`, if one runs."""
    return standing.read_address(state)


def ensure(state: Path) -> Address:
    """The server of `state`, started if none runs. Raises Unavailable with the end of its log."""
    found = standing.read_address(state)
    if found is not None:
        return found
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = state / "server.log"
    child = processes.spawn(
        [
            *(sys.executable, "-m", "pressplay.cli", "--state", str(state)),
            *("up", "--idle", str(IDLE_S)),
        ],
        env=_servers_own(os.environ),  # noqa: TID251 - the server is started as the user's own
        output=log,
    )
    until = time.monotonic() + _PATIENCE_S
    try:
        while (found := standing.read_address(state)) is None:
            if _has_ended(child.pid):
                # Another command may have started one at the same moment: then ours gave way.
                until = min(until, time.monotonic() + _OTHERS_PATIENCE_S)
            if time.monotonic() > until:
                if shutil.disk_usage(state).free < _ROOM:
                    raise errors.disk_full(OSError(errno.ENOSPC, "", str(state)))
                said = log.read_text(errors="replace").splitlines()[-5:]
                raise Unavailable(
                    f"The local server did not start; {log} ends with:\n" + "\n".join(said)
                )
            time.sleep(0.02)
    finally:
        os.close(child.pidfd)
    return found


def _servers_own(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without the model's key, which lives in a Secret for a run only."""
    return {name: value for name, value in environment.items() if name not in MODEL_VARIABLES}


def _has_ended(pid: int) -> bool:
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return ended == pid
