"""rehearse: touches nothing, and leaves nothing behind."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from pressplay.stages import plumbing, rehearsing


def test_it_ends_and_leaves_neither_thread_nor_open_file() -> None:
    rehearsing.rehearse()
    threads, descriptors = threading.active_count(), _open_files()
    rehearsing.rehearse()
    assert threading.active_count() == threads
    assert _open_files() == descriptors


def test_what_a_stage_finds_out_about_its_sandbox_is_not_found_out_beforehand() -> None:
    plumbing._program.cache_clear()
    rehearsing.rehearse()
    assert plumbing._program.cache_info().currsize == 0


def test_where_temporary_files_go_is_for_each_stage_to_find_out() -> None:
    tempfile.tempdir = None
    rehearsing.rehearse()
    assert tempfile.tempdir is None


def _open_files() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())
