from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from pressplay.stages import loops

BUSY = """
import asyncio, sys
from pressplay.stages import loops, wrapper
wrapper.stop_on_signals()

async def hurry():
    while True:
        await asyncio.sleep(0)

async def work():
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(hurry())
        print("begun", flush=True)

try:
    loops.run(work())
finally:
    print("cleaned up", flush=True)
"""


async def _answer() -> int:
    await asyncio.sleep(0)
    return 7


async def _failing() -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


def test_what_the_work_answers_or_raises_comes_out() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        assert loops.run(_answer()) == 7
        with pytest.raises(ValueError, match="no"):
            loops.run(_failing())
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_much_work_ends_it_in_good_order(number: signal.Signals) -> None:
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", BUSY], env=dict(os.environ), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.send_signal(number)
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (128 + number, "cleaned up\n")
