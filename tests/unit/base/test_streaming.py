"""`processes.stream`: output while it comes, an end in any case, nobody left behind."""

import os
import sys
import time
from pathlib import Path

import pytest

from pressplay.base import processes
from pressplay.base.errors import Refused

ENV = {"PATH": os.environ["PATH"]}


def stream(code: str, *, timeout_s: float = 20, grace_s: float = 0.5) -> tuple[int | None, bytes]:
    chunks: list[bytes] = []
    ended = processes.stream(
        [sys.executable, "-c", code],
        env=ENV,
        cwd=Path("/"),
        timeout_s=timeout_s,
        on_output=chunks.append,
        grace_s=grace_s,
    )
    return ended, b"".join(chunks)


def test_output_and_errors_arrive_in_order() -> None:
    code = "import sys; print('a', flush=True); print('b', file=sys.stderr, flush=True); print('c')"
    assert stream(code) == (0, b"a\nb\nc\n")


def test_all_of_a_large_output_arrives() -> None:
    ended, output = stream("import sys; sys.stdout.write('x' * 3_000_000)")
    assert (ended, len(output)) == (0, 3_000_000)


def test_the_exit_code_and_the_signal_are_told() -> None:
    assert stream("raise SystemExit(7)")[0] == 7
    assert stream("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")[0] == -9


def test_standard_input_is_empty() -> None:
    assert stream("import sys; print(repr(sys.stdin.read()))") == (0, b"''\n")


def test_a_program_past_its_time_is_asked_and_then_ended() -> None:
    polite = "import signal, sys, time\nsignal.signal(15, lambda *a: sys.exit(print('bye')))\n"
    ended, output = stream(polite + "print('hi', flush=True)\ntime.sleep(60)", timeout_s=1)
    assert (ended, output) == (None, b"hi\nbye\n")
    deaf = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(60)"
    started = time.monotonic()
    assert stream(deaf, timeout_s=0.5, grace_s=0.2)[0] is None
    assert time.monotonic() - started < 10


def test_whoever_the_program_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\n"
    )
    started = time.monotonic()
    assert stream(code)[0] == 0
    assert time.monotonic() - started < 10
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.02)
    raise AssertionError("the grandchild still runs")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_reader_that_fails_leaves_no_process() -> None:
    def fail(_: bytes) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        processes.stream(
            [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
            env=ENV,
            cwd=Path("/"),
            timeout_s=20,
            on_output=fail,
        )


def test_a_program_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="no-such-program"):
        processes.stream(
            ["no-such-program"], env=ENV, cwd=Path("/"), timeout_s=1, on_output=lambda _: None
        )
