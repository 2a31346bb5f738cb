"""Child processes: the only module that starts one.

`run` is for short programs whose output is wanted (git, a formatter); `stream` is for long ones
whose output is wanted while it comes, and may be endless (an agent, a test suite). `spawn` is for
processes that live on: output goes straight to a file, and the end is awaited through a pidfd, so
that the event loop starts no thread for it.
"""

from __future__ import annotations

import functools
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pressplay.base.errors import Refused

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_CHUNK = 65536
_PIPE_CAPACITY = 1024 * 1024
"""What a pipe holds at most for an ordinary user (pipe(7), /proc/sys/fs/pipe-max-size)."""


@dataclass(frozen=True)
class Finished:
    """How a program ended; `exit_code` is negative for a signal, None when time ran out."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def timed_out(self) -> bool:
        return self.exit_code is None

    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode(errors="replace")

    def complaint(self) -> str:
        """The last lines of what it said, for a message."""
        said = (self.stderr or self.stdout).decode(errors="replace").strip()
        return "\n".join(said.splitlines()[-20:])


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes | BinaryIO = b"",
    stdout: BinaryIO | None = None,
    timeout_s: float = 120.0,
) -> Finished:
    """Run `command` to its end, with `env` as its whole environment.

    Its input is `stdin`: what is given, or the rest of an open file that has no buffer. Its output
    is in the answer or, as it may be too large for memory, in such a file `stdout`.
    When time runs out, its whole process group is killed. Raises Refused if there is no such
    program.
    """
    given = stdin if isinstance(stdin, bytes) else None
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Refused(
            f"Program not found: {command[0]}; install it or put it on PATH ({error})"
        ) from error
    try:
        printed, stderr = process.communicate(given, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill_group(process.pid, signal.SIGKILL)
        printed, stderr = process.communicate()
        return Finished(None, printed or b"", stderr)
    except BaseException:
        _kill_group(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return Finished(process.returncode, printed or b"", stderr)


def stream(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_s: float,
    on_output: Callable[[bytes], None],
    grace_s: float = 2.0,
    stdin: Path = Path(os.devnull),
) -> int | None:
    """Run `command` to its end and hand its output and errors, mixed, to `on_output` as they come.

    Returns the exit code, None when time ran out: then its process group gets SIGTERM and,
    `grace_s` later, SIGKILL. Whoever is left of the group when the program ends is killed, so
    that nothing goes on behind the caller's back. Raises Refused if there is no such program.
    """
    try:
        with stdin.open("rb") as reader:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                cwd=cwd,
                stdin=reader,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except (FileNotFoundError, PermissionError) as error:
        raise Refused(
            f"Program cannot be started: {command[0]}; install it or put it on PATH ({error})"
        ) from error
    pidfd = os.pidfd_open(process.pid)
    try:
        ended = _follow(process, pidfd, deadline=time.monotonic() + timeout_s, on_output=on_output)
        if not ended:
            _kill_group(process.pid, signal.SIGTERM)
            _follow(process, pidfd, deadline=time.monotonic() + grace_s, on_output=on_output)
    finally:
        # Before the leader is reaped its number cannot belong to another group.
        _kill_group(process.pid, signal.SIGKILL)
        code = process.wait()
        os.close(pidfd)
        if process.stdout:
            process.stdout.close()
    return code if ended else None


def _follow(
    process: subprocess.Popen[bytes],
    pidfd: int,
    *,
    deadline: float,
    on_output: Callable[[bytes], None],
) -> bool:
    """Hand on output until the process ends (True) or the deadline passes (False)."""
    if process.stdout is None:
        return False
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pidfd, selectors.EVENT_READ)
        selector.register(pipe, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fd for key, _ in selector.select(left)}
            if pipe in ready and not _hand_on(pipe, on_output):
                selector.unregister(pipe)
            if pidfd in ready:
                _drain(pipe, on_output)
                return True
    return False


def _hand_on(pipe: int, on_output: Callable[[bytes], None]) -> bool:
    """Pass on what is there; False at the end of the stream or when nothing is there."""
    try:
        chunk = os.read(pipe, _CHUNK)
    except BlockingIOError:
        return False
    if chunk:
        on_output(chunk)
    return bool(chunk)


def _drain(pipe: int, on_output: Callable[[bytes], None]) -> None:
    """The rest of what an ended process wrote; bounded, as a child that fled may go on writing."""
    for _ in range(_PIPE_CAPACITY // _CHUNK):
        if not _hand_on(pipe, on_output):
            return


@dataclass(frozen=True)
class Child:
    """A process that lives on, leader of its own session."""

    pid: int
    pidfd: int
    handle: subprocess.Popen[bytes] | None = None

    async def wait(self) -> int:
        """The exit code; negative for the signal that ended it. To be awaited once."""
        await self.ended()
        return self.reap()

    async def ended(self) -> None:
        """Wait for the end without collecting it: until `reap`, its process group stays ours."""
        await readable(self.pidfd)

    def reap(self) -> int:
        """Collect a process that has ended; blocks if it has not."""
        os.close(self.pidfd)
        if self.handle is not None:
            return self.handle.wait()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def signal_group(self, number: int) -> None:
        """Send a signal to the whole process group; quiet when nobody is left."""
        _kill_group(self.pid, number)


async def readable(descriptor: int) -> None:
    """Wait until there is something to read: for a pidfd, until its process has ended."""
    import asyncio  # noqa: PLC0415 - 50 ms that a stage, which only runs programs, does without

    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    output: Path,
    inherit: Sequence[int] = (),
    cwd: Path | None = None,
    streams: int | None = None,
) -> Child:
    """Start `command` with output and errors appended to `output` and nothing on standard input.

    `inherit` are file descriptors that stay open in the child; `streams` is one that becomes its
    standard input and output instead. The caller must await `Child.wait`. Raises Refused if there
    is no such program, or if it cannot be started.
    """
    try:
        if cwd is not None:
            return _start_in(cwd, command, env=env, output=output, inherit=inherit)
        return _start(command, env=env, output=output, inherit=inherit, streams=streams)
    except FileNotFoundError as error:
        raise Refused(f"Program not found: {command[0]}; install it or put it on PATH") from error
    except OSError as error:
        raise Refused(f"Program {command[0]} cannot be started: {error.strerror}") from error


def _start(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    output: Path,
    inherit: Sequence[int],
    streams: int | None,
) -> Child:
    _keep_what_was_left_open()
    own = ((os.POSIX_SPAWN_DUP2, streams, number) for number in (0, 1) if streams is not None)
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, str(output), _APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        *own,
        *((os.POSIX_SPAWN_DUP2, number, number) for number in inherit),
    ]
    pid = os.posix_spawnp(
        command[0],
        list(command),
        dict(env),
        file_actions=actions,
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGINT],
    )
    return Child(pid=pid, pidfd=os.pidfd_open(pid))


@functools.cache
def _keep_what_was_left_open() -> None:
    """No child gets what whoever started us left open, such as the pipes of `make`.

    All that Python opens itself stays with it (PEP 446), so that once is enough.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        if int(name) > 2:
            with suppress(OSError):
                os.set_inheritable(int(name), False)  # noqa: FBT003 - its only form


def _start_in(
    cwd: Path,
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    output: Path,
    inherit: Sequence[int],
) -> Child:
    """Start in a working directory, which posix_spawn has no word for."""
    log = os.open(output, _APPEND, 0o600)
    try:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=inherit,
        )
    finally:
        os.close(log)
    return Child(pid=process.pid, pidfd=os.pidfd_open(process.pid), handle=process)


def _kill_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
