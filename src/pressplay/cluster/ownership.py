"""Who owns the store in a folder: a lock that ends with the process, and the process's number.

Apart from the store, so that a command which only looks for a server need not load it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK_FILE = "lock"


def owner(folder: Path) -> int | None:
    """The process that owns the store in `folder` now, or None. Takes nothing from anybody."""
    try:
        lock = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.read(lock, 32).decode(errors="replace").strip()
        return int(text) if text.isdecimal() else None
    finally:
        os.close(lock)
    return None
