from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pressplay.base import memory, processes

_LARGE = """
import mmap
from pathlib import Path
from pressplay.base import memory
kept = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE)
kept.write(b"x" * len(kept))
print(memory.collapse())
print(Path("/proc/self/smaps_rollup").read_text())
print(kept[:] == b"x" * len(kept))
"""


def test_memory_becomes_huge_pages_and_keeps_what_is_in_it() -> None:
    said = processes.run([sys.executable, "-c", _LARGE], env={}).text()

    done, whole = int(said.splitlines()[0]), said.splitlines()[-1]
    assert whole == "True"
    if not done:
        pytest.skip("this kernel makes no huge pages")
    found = re.search(r"AnonHugePages:\s+(\d+) kB", said)
    assert found
    assert int(found[1]) * 1024 >= done


def test_nothing_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    memory.collapse()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
