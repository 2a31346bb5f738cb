"""Unpacks an archive of a repository, whose author may be hostile, into a folder.

Written by hand because the standard library's extraction filters are missing in the oldest
Python that we support (3.11.2; they came with 3.11.4).
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pressplay.base import files
from pressplay.base.errors import Refused


def extract(archive: Path, target: Path) -> tuple[str, ...]:
    """Write folders, files and inner links of `archive` into the new or empty folder `target`.

    Returns the names of the links that were left out because they lead out of `target`. Raises
    Refused for a name that leaves the folder.
    """
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise Refused(f"Folder {target} is not empty; export into a new one")
    links: list[tuple[PurePosixPath, str]] = []
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            name = _checked(member.name)
            if member.issym():
                links.append((name, member.linkname))
            else:
                _write(tar, member, target / name)
    # Last, so that no file is ever written through a link.
    return _link(target, links)


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ".git" in (p.lower() for p in path.parts):
        raise Refused(f"The tree holds the path {name!r}, which no checkout may have")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise Refused(f"The tree holds {member.name!r}, which is neither file, folder nor link")
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("xb") as writer:
        shutil.copyfileobj(content, writer)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _link(target: Path, links: list[tuple[PurePosixPath, str]]) -> tuple[str, ...]:
    for name, leads_to in links:
        path = files.beneath(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(leads_to)
    return remove_leading_out(target, [str(name) for name, _ in links])


def remove_leading_out(target: Path, links: Sequence[str]) -> tuple[str, ...]:
    """Remove those of the `links` beneath `target` that lead out of it; answers which.

    A link that looks harmless may lead out through another one, so all must stand already.
    """
    root = Path(os.path.realpath(target))
    outside = tuple(
        name
        for name in links
        if os.readlink(target / name).startswith("/")  # noqa: PTH115 - the text itself
        or not Path(os.path.realpath(target / name)).is_relative_to(root)
    )
    for name in outside:
        (target / name).unlink()
    return outside
