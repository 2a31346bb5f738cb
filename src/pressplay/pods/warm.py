"""Programs that are forked from a process which has loaded them already, into a sandbox.

The sandbox is built as for any other program, around one that only waits (`cat`); the fork steps
in beside it. When the fork ends, the waiting program is let go, and with it everything inside.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import processes
from pressplay.base.processes import Child
from pressplay.pods.programs import Enclosed, Ended, Program

_LINES = 2
"""In a report: the fork's number, and its exit code."""

_LOOK_AGAIN_S = 0.005

_SERVER_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONMALLOC": "malloc"}
"""Memory by the C library's `malloc` lies in one piece, of which huge pages can be made; that of
Python's own allocator lies scattered in pieces of 1 MiB."""

WAITING = ("/bin/cat",)
"""What waits in the sandbox: answers a knock, and ends when the door is closed."""


@dataclass(frozen=True)
class Call:
    """One program to fork: its arguments behind the prefix, its whole environment, where."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    working_dir: str


class ForkServer:
    """A process that forks the programs whose command begins with `prefix`."""

    def __init__(
        self, command: Sequence[str], *, prefix: Sequence[str], images: frozenset[str], log: Path
    ) -> None:
        """`command` gets the socket of its orders as standard input, and says when it is ready.

        `images` are the names of the images in which `prefix` means that program.
        """
        self._prefix = tuple(prefix)
        self._images = images
        self._is_ready = False
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._child: Child | None = processes.spawn(
                command, env=_SERVER_ENVIRONMENT, output=log, streams=theirs.fileno()
            )
        os.set_blocking(self._orders.fileno(), False)

    def serves(self, image: str, command: Sequence[str], variables: Mapping[str, str]) -> bool:
        """Whether `fork` would start what this command line starts in that image."""
        return (
            image in self._images
            and tuple(command[: len(self._prefix)]) == self._prefix
            and not {"PATH", "PYTHONPATH", "LD_PRELOAD"} & set(variables)
            and self._look_if_ready()
        )

    def call(self, command: Sequence[str], variables: Mapping[str, str], *, at: str) -> Call:
        """What to `fork` for a command that is served."""
        return Call(tuple(command[len(self._prefix) :]), variables, at)

    def fork(self, call: Call, *, monitor: int, door: socket.socket, log: int, start: int) -> int:
        """Order it; answers the descriptor on which its number and its exit code arrive.

        `monitor` is the sandbox's outer process, `door` leads to the waiting program; it begins
        when there is a byte on `start`. Raises OSError where the server has gone.
        """
        report, theirs = os.pipe()
        order = os.memfd_create("order")
        try:
            with os.fdopen(order, "wb", closefd=False) as writer:
                writer.write(json.dumps({**vars(call), "monitor": monitor}).encode())
            os.lseek(order, 0, os.SEEK_SET)
            socket.send_fds(self._orders, [b"!"], [order, theirs, door.fileno(), log, start])
        except OSError:
            os.close(report)
            self._is_ready = False
            raise
        finally:
            os.close(theirs)
            os.close(order)
        return report

    def close(self) -> None:
        """Let the server end; what it has forked goes on."""
        self._orders.close()
        if self._child is not None:
            self._child.signal_group(signal.SIGTERM)
            self._child.reap()
            self._child = None

    def _look_if_ready(self) -> bool:
        if not self._is_ready:
            with suppress(OSError):
                self._is_ready = bool(self._orders.recv(1))
        return self._is_ready


class Entered:
    """A fork in a sandbox, which does nothing before `begin`. See `programs.Program`."""

    def __init__(
        self,
        around: Enclosed,
        door: socket.socket,
        *,
        forks: ForkServer,
        call: Call,
        output: Path,
        otherwise: Callable[[], Program],
    ) -> None:
        """`around` is a sandbox in which nothing runs but what waits behind `door`.

        Both are owned here from now on. `otherwise` starts the program without a fork, for when
        there is none to be had.
        """
        self.around = around
        self._door = door
        self._otherwise = otherwise
        self._instead: Program | None = None
        self._said = b""
        self._is_killed = False
        self._report = -1
        start, self._start = os.pipe()
        try:
            with output.open("ab") as log, suppress(OSError):
                self._report = forks.fork(
                    call, monitor=around.pid, door=door, log=log.fileno(), start=start
                )
                os.set_blocking(self._report, False)
        finally:
            os.close(start)

    def begin(self) -> None:
        """Let it run."""
        # A fork that has gone is seen by its report.
        with suppress(BrokenPipeError):
            os.write(self._start, b"!")
        self._close_start()

    async def leave(self) -> None:
        """End it unbegun; back when nothing of it runs."""
        self._close_start()
        self.around.kill()
        await self._ended_around()

    def _close_start(self) -> None:
        start, self._start = self._start, -1
        if start >= 0:
            os.close(start)

    async def _ended_around(self) -> Ended:
        while self._report >= 0:
            await processes.readable(self._report)
            self._read()
        self._door.close()
        return await self.around.ended()

    async def ended(self) -> Ended:
        around = await self._ended_around()
        if self._said.count(b"\n") == _LINES:
            code = int(self._said.split()[1])
            return Ended(128 - code if code < 0 else code)
        if self._pid or self._is_killed or around.message:
            return around if around.message else Ended(128 + signal.SIGKILL)
        if self._instead is None:
            self._instead = self._otherwise()
        return await self._instead.ended()

    async def terminate(self) -> None:
        while self._report >= 0 and not self._pid:
            await asyncio.sleep(_LOOK_AGAIN_S)
            self._read()
        if self._report >= 0:
            _terminate(self._pid)
        elif self._instead is not None:
            await self._instead.terminate()

    def kill(self) -> None:
        self._is_killed = True
        self.around.kill()
        if self._instead is not None:
            self._instead.kill()

    @property
    def _pid(self) -> int:
        """The fork's number out here; 0 while it is not known."""
        number, newline, _ = self._said.partition(b"\n")
        return int(number) if newline else 0

    def _read(self) -> None:
        """What the report says by now; it is closed when nothing can be added to it."""
        with suppress(BlockingIOError):
            while self._report >= 0:
                chunk = os.read(self._report, 4096)
                self._said += chunk
                if not chunk or self._said.count(b"\n") == _LINES:
                    os.close(self._report)
                    self._report = -1


def _terminate(pid: int) -> None:
    """The whole group; or the leader alone, where it is so young that it has no group yet."""
    with suppress(ProcessLookupError):
        try:
            os.killpg(pid, signal.SIGTERM)
        except ProcessLookupError:
            os.kill(pid, signal.SIGTERM)
