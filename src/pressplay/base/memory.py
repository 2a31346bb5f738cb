"""This process's own memory, as huge pages.

A fork copies an entry for each page, and the end of the fork removes each again. Where the pages
have 2 MiB instead of 4 KiB, there is one entry for 512.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

_HUGE = 2 * 1024 * 1024
_COLLAPSE = 25
"""`MADV_COLLAPSE`, see madvise(2); Linux 6.1 and newer have it."""


def collapse() -> int:
    """Put what lies in whole huge pages into such; answers the bytes for which that was done.

    Fewer, or none, where this kernel or its settings do not want it: then nothing is changed.
    """
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    done = 0
    for begin, end in _own_areas():
        for start in range(-(-begin // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE):
            if libc.madvise(start, _HUGE, _COLLAPSE) == 0:
                done += _HUGE
    return done


def _own_areas() -> Iterator[tuple[int, int]]:
    """From where to where the heap goes, and each other area that belongs to no file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        area, rights, _, _, inode, *name = line.split(maxsplit=5)
        if rights == "rw-p" and inode == "0" and name in ([], ["[heap]"]):
            begin, _, end = area.partition("-")
            yield int(begin, 16), int(end, 16)
