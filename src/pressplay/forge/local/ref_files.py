"""The refs of a bare repository, read from its files: every reader of a pull request asks for them,
and a process for each question costs more than all else in the answer.

Source: git's manual pages gitrepository-layout and git-pack-refs. The repositories are our own, so
their refs stand in files, and git alone writes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_SHA = re.compile(r"[0-9a-f]{40}")


def read(repository: Path, *, below: str) -> dict[str, str]:
    """Every ref below such as `refs/heads`, without that, and the object that it points to."""
    # Git packs a ref before it removes the file: read in this order, none is missed.
    loose = dict(_loose(repository / below, below=""))
    packed = _packed(repository / "packed-refs", below=f"{below}/")
    found = {**dict(packed), **loose}
    return {name: found[name] for name in sorted(found)}


def _loose(folder: Path, *, below: str) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        name = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _loose(folder / entry.name, below=f"{name}/")
        elif not entry.name.endswith(".lock"):
            sha = _text(folder / entry.name).strip()
            if _SHA.fullmatch(sha):
                yield name, sha


def _packed(path: Path, *, below: str) -> Iterator[tuple[str, str]]:
    for line in _text(path).splitlines():
        sha, _, name = line.partition(" ")
        if name.startswith(below) and _SHA.fullmatch(sha):
            yield name.removeprefix(below), sha


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
