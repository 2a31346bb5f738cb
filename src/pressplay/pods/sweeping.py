"""The end of what a killed predecessor left running.

Bubblewrap dies with whoever started it; a plain process does not, and neither does a sandbox that
was just being built. The marker in their environment tells whose they are. A process that wipes
its own environment escapes: without a sandbox nothing better is to be had.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PASSES = 20
_WAIT_MS = 2000


def kill_marked(marker: str, directory: Path) -> int:
    """Kill every process whose variable `marker` is a path in `directory`; answers how many.

    Looks again until none is left, for a dying process may have started another.
    """
    killed = 0
    for _ in range(_PASSES):
        found = list(_marked(f"{marker}={directory}/".encode()))
        if not found:
            break
        killed += len(found)
        for pidfd in found:
            _kill(pidfd)
    return killed


def _marked(start: bytes) -> Iterator[int]:
    """A pidfd of each such process. It is opened before the look, so that it cannot be reused."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            pidfd = os.pidfd_open(int(entry.name))
        except OSError:
            continue
        if _has_variable(entry, start):
            yield pidfd
        else:
            os.close(pidfd)


def _has_variable(process: Path, start: bytes) -> bool:
    try:
        environment = (process / "environ").read_bytes()
    except OSError:
        return False
    return any(variable.startswith(start) for variable in environment.split(b"\0"))


def _kill(pidfd: int) -> None:
    """Kill it and wait until it is gone. A zombie has no environment and is not found again."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(_WAIT_MS)
    os.close(pidfd)
