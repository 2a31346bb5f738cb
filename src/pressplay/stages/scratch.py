"""Folders that a stage needs only while it works."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def folder() -> Path:
    """A fresh folder, left to whoever removes the stage's container.

    To remove a clone or what was built takes as long as many a stage, and the run would wait for
    it. A process that ends in the ordinary way removes it, a forked stage does not.
    """
    made = Path(tempfile.mkdtemp(prefix="scratch-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
