"""Used pod folders, cleaned for the next pod of the same shape.

A container's root begins with a dozen folders and links, mount points mostly. To make and remove
them costs more on a journaling file system than the container itself; a spare keeps them. All
else in it is removed, so that the next pod finds what a fresh folder has.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pressplay.base import files
from pressplay.pods import etc
from pressplay.pods.images import Image

Shape: TypeAlias = tuple[tuple[str, Image], ...]
"""The containers of a pod: name and image of each."""

_KEPT_PER_SHAPE = 16
_KEPT_SHAPES = 8
_OWN_ATTRIBUTES = ("user.", "system.")
"""The extended attributes that an ordinary user can set: notes, and access control lists."""

_LARGEST_FOLDER = 64 * 1024
"""Bytes. A folder that once held many files stays slow for ever."""


class Spares:
    """Folders for reuse, kept in `directory`. They die with this process: see PodRunner.sweep.

    `take` belongs to one thread; `keep` may be called on any.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[Shape, list[Path]] = {}
        self._skeletons: dict[Image, _Skeleton] = {}
        self._numbers = itertools.count()

    def take(self, shape: Shape, folder: Path) -> bool:
        """Turn a spare into `folder`, with a root for each container; False if there is none."""
        kept = self._kept.get(shape)
        if not kept:
            return False
        kept.pop().rename(folder)
        return True

    def keep(self, shape: Shape, folder: Path) -> bool:
        """Clean `folder` and keep it; False if it is to be removed instead."""
        kept = self._kept.get(shape)
        is_full = len(self._kept) >= _KEPT_SHAPES if kept is None else len(kept) >= _KEPT_PER_SHAPE
        if is_full:
            return False
        try:
            if not self._clean(shape, folder):
                return False
            name = f".spare-{os.getpid()}-{next(self._numbers)}"
            spare = folder.rename(self._directory / name)
        except OSError:
            return False
        self._kept.setdefault(shape, []).append(spare)
        return True

    def _clean(self, shape: Shape, folder: Path) -> bool:
        images = dict(shape)
        logs = {f"{name}.log" for name in images}
        for entry in folder.iterdir():
            if entry.name in logs:
                os.truncate(entry, 0)
            elif entry.name not in images:
                files.remove_tree(entry)
        for name, image in images.items():
            if image not in self._skeletons:
                self._skeletons[image] = _skeleton(image)
            if not _clean_folder(str(folder / name), "", self._skeletons[image]):
                return False
        return True


@dataclass(frozen=True)
class _Skeleton:
    """What belongs in a root, by its path in there: folders' modes, and links' goals."""

    folders: Mapping[str, int]
    links: Mapping[str, str]
    covered: frozenset[str]
    """Folders with a mount over them: nothing in the container could reach what is below."""


def _skeleton(image: Image) -> _Skeleton:
    covered = [bind.target.lstrip("/") for bind in image.binds] + ["proc", "dev"]
    folders = {"": 0o755}
    for target in (*covered, "etc", etc.HOME.lstrip("/")):
        path = PurePosixPath(target)
        folders |= {str(each): 0o755 for each in (path, *path.parents) if each.name}
    links = {path.lstrip("/"): goal for path, goal in image.links}
    if image.etc is not None:
        links |= {f"etc/{each.name}": etc.link_to(each.name) for each in image.etc.iterdir()}
    return _Skeleton(
        folders=folders | {"tmp": 0o1777},
        links=links,
        covered=frozenset(covered),
    )


def _clean_folder(folder: str, inside: str, skeleton: _Skeleton) -> bool:
    """Remove what the skeleton has not; False for a folder that cannot be made as new."""
    status = os.lstat(folder)
    if status.st_size > _LARGEST_FOLDER or any(
        name.startswith(_OWN_ATTRIBUTES) for name in os.listxattr(folder)
    ):
        return False
    if status.st_mode & 0o7777 != skeleton.folders[inside]:
        os.chmod(folder, skeleton.folders[inside])  # noqa: PTH101 - a Path doubles the time
    with os.scandir(folder) as entries:
        found = list(entries)
    return all(_clean_entry(entry, inside, skeleton) for entry in found)


def _clean_entry(entry: os.DirEntry[str], inside: str, skeleton: _Skeleton) -> bool:
    path = f"{inside}/{entry.name}" if inside else entry.name
    if entry.is_symlink():
        if os.readlink(entry.path) != skeleton.links.get(path):  # noqa: PTH115 - see above
            os.unlink(entry.path)  # noqa: PTH108 - see above
        return True
    if entry.is_dir() and path in skeleton.folders:
        if path in skeleton.covered:
            return True
        return _clean_folder(entry.path, path, skeleton)
    files.remove_tree(Path(entry.path))
    return True
