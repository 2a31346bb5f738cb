"""A started program: how to ask it to end, how to end it, and how to know that it is gone.

Both kinds answer `ended` only when nothing of the program runs any more, so that nobody writes to
a folder while its outputs are collected.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pressplay.base import processes
from pressplay.base.processes import Child
from pressplay.pods import commands

_LOOK_AGAIN_S = 0.005
_LOOKS = 20
"""How often to look for killed processes; nobody may be there to collect them."""

_BUILD_FAILED = 1
"""Bubblewrap's exit code when it cannot build the sandbox, or cannot start the program in it."""

_INNER = re.compile(rb'"child-pid": *(\d+)')
_EXITED = re.compile(rb'"exit-code": *\d+')


@dataclass(frozen=True)
class Ended:
    """How a program ended: 128 + N for signal N, as a shell says it; a message if it never ran."""

    exit_code: int
    message: str = ""


class Program(Protocol):
    """One running program. All methods may be called after the end; they then do nothing."""

    async def ended(self) -> Ended:
        """Wait until nothing of it runs. One waiter at a time; a cancelled one may come back."""

    async def terminate(self) -> None:
        """Send SIGTERM, once the program can hear it. Does not wait for what follows."""

    def kill(self) -> None:
        """Send SIGKILL to all of it. `ended` then answers soon."""


class Bare:
    """A program in its own session and nothing else around it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._is_running = True

    async def ended(self) -> Ended:
        await self._child.ended()
        # Before the leader is collected its group's number cannot belong to anybody else.
        self.kill()
        self._is_running = False
        code = self._child.reap()
        for _ in range(_LOOKS):
            if not _has_members(self._child.pid):
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        return Ended(_exit_code(code))

    async def terminate(self) -> None:
        if self._is_running:
            self._child.signal_group(signal.SIGTERM)

    def kill(self) -> None:
        if self._is_running:
            self._child.signal_group(signal.SIGKILL)


class Enclosed:
    """A program behind bubblewrap, which is three processes.

    Ours is the monitor; its child is the first process of the pid namespace; that one's child is
    the program. A SIGTERM to the monitor would only make it take everything down at once, so the
    signal goes to the process group inside. The first process hears no signal that it has no
    handler for (pid_namespaces(7)); the program does.
    """

    def __init__(self, child: Child, *, status: int, output: Path) -> None:
        """`status` is the reading end of bubblewrap's --json-status-fd, owned from here on."""
        os.set_blocking(status, False)
        self.pid = child.pid
        self._child = child
        self._status = status
        self._said = b""
        self._output = output
        self._is_running = True

    async def ended(self) -> Ended:
        await self._child.ended()
        inner = self._inner()
        if inner:
            await _gone(inner)
        self._is_running = False
        os.close(self._status)
        code = self._child.reap()
        if code == _BUILD_FAILED and not _EXITED.search(self._said):
            return Ended(commands.NOT_FOUND, f"the sandbox did not start: {self._last_words()}")
        return Ended(_exit_code(code))

    async def terminate(self) -> None:
        while self._is_running:
            inner = self._inner()
            if inner and _has_child(inner):
                with suppress(ProcessLookupError):
                    os.killpg(inner, signal.SIGTERM)
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    def kill(self) -> None:
        if self._is_running:
            inner = self._inner()
            if inner:
                with suppress(ProcessLookupError):
                    os.kill(inner, signal.SIGKILL)
            self._child.signal_group(signal.SIGKILL)

    def _inner(self) -> int:
        """The first process of the namespace, by its number here; 0 while there is none."""
        with suppress(BlockingIOError):
            self._said += os.read(self._status, 4096)
        found = _INNER.search(self._said)
        return int(found[1]) if found else 0

    def _last_words(self) -> str:
        lines = self._output.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _exit_code(code: int) -> int:
    return 128 - code if code < 0 else code


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _has_child(pid: int) -> bool:
    """Whether the namespace's first process has started the program, so that a signal arrives."""
    try:
        return bool(Path(f"/proc/{pid}/task/{pid}/children").read_bytes())
    except OSError:
        return False


async def _gone(pid: int) -> None:
    """Wait until a namespace whose first process is `pid` is empty.

    It dies with its monitor, but a moment later. A pidfd tells the end only when every process
    of the namespace is gone.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not _has_ended(pidfd) and _is_bubblewrap(pid):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            await processes.readable(pidfd)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
    _collect(pid)


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _is_bubblewrap(pid: int) -> bool:
    """Whether the number still means the process that we were told of."""
    try:
        return Path(f"/proc/{pid}/comm").read_bytes() == b"bwrap\n"
    except OSError:
        return False


def _collect(pid: int) -> None:
    """Where we are the first process of a container ourselves, the orphan became our child."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
