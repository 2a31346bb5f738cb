"""Folders that a stage needs only while it works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_MAKE = "from pressplay.stages import scratch; print(scratch.folder()); print(scratch.folder());"

_AS_A_FORK = "import sys, os; sys.stdout.flush(); os._exit(0)"


def _run(code: str, folder: Path) -> list[Path]:
    done = subprocess.run(
        [sys.executable, "-c", _MAKE + code],
        env={"TMPDIR": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in done.stdout.splitlines()]


def test_each_folder_is_fresh_and_nobody_elses(tmp_path: Path) -> None:
    one, other = _run(_AS_A_FORK, tmp_path)
    assert one != other
    assert [one.stat().st_mode & 0o777, other.stat().st_mode & 0o777] == [0o700, 0o700]
    assert list(one.iterdir()) == list(other.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "left"),
    [
        pytest.param("", 0, id="a process that ends in the ordinary way"),
        pytest.param(_AS_A_FORK, 2, id="a forked stage"),
    ],
)
def test_a_forked_stage_leaves_its_folders_to_its_pod(tmp_path: Path, code: str, left: int) -> None:
    _run(code, tmp_path)
    assert len(list(tmp_path.iterdir())) == left
