"""What a container sees at a path, and which file of the host that is.

The only way from a container's path to a host's: through the mounts, longest first, and then
downwards without following a link, since whatever ran in the pod may have planted one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.pods.images import Image


@dataclass(frozen=True)
class Attachment:
    """A volume, or the part `inner` of it, at the path `target` of a container.

    `anchor` is the volume's own folder (or file), whose parent nothing in a pod can write to:
    `inner` on the other hand may lead through links by the time it is used.
    """

    anchor: Path
    inner: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class Filesystem:
    """One container's view: its image, its own writable root, its volumes (parents first)."""

    image: Image
    root: Path
    attachments: tuple[Attachment, ...]

    def locate(self, path: str) -> tuple[Path, str]:
        """The folder that holds `path`, and the way down from there. Raises Refused."""
        wanted = PurePosixPath(path)
        if not wanted.is_absolute():
            raise Refused(f"Path {path} is relative; write it from the container's root")
        for attachment in reversed(self.attachments):
            if wanted.is_relative_to(attachment.target):
                rest = wanted.relative_to(attachment.target)
                return attachment.anchor, str(PurePosixPath(attachment.inner) / rest)
        return self.root, str(wanted.relative_to("/"))

    def locate_for_writing(self, path: str) -> tuple[Path, str]:
        """As `locate`, refusing what the image's read-only part would hide."""
        anchor, inner = self.locate(path)
        top = PurePosixPath(path).parts[1:2]
        if anchor == self.root and (top in (("proc",), ("dev",)) or self.image.on_host(path)):
            raise Refused(f"Path {path} lies in the image, which is read-only; choose another")
        return anchor, inner

    def mount_points(self) -> Iterator[tuple[Attachment, Path, str]]:
        """Each attachment, and where its mount point is: the folder that holds it, and the rest."""
        for index, attachment in enumerate(self.attachments):
            outer = Filesystem(self.image, self.root, self.attachments[:index])
            yield attachment, *outer.locate(attachment.target)

    def reaches_into_volumes(self, working_dir: str) -> bool:
        """Whether something has to be made in a volume before the container can start."""
        inside = any(anchor != self.root for _, anchor, _ in self.mount_points())
        parts = any(attachment.inner for attachment in self.attachments)
        return parts or inside or self.locate(working_dir)[0] != self.root

    def make_parts(self) -> None:
        """Make the parts of volumes that are to be mounted and not there. Raises Refused."""
        for attachment in self.attachments:
            if attachment.inner and not _is_there(attachment.anchor, attachment.inner):
                files.make_beneath(attachment.anchor, attachment.inner)

    def make_mount_points(self) -> None:
        """Make the mount points inside of volumes. Raises Refused.

        A sandbox would make them too, but by a path through a volume that another container may
        be rearranging at that moment.
        """
        for attachment, anchor, inner in self.mount_points():
            if anchor == self.root or _is_there(anchor, inner):
                continue
            if (attachment.anchor / attachment.inner).is_file():
                files.write_beneath(anchor, inner, b"")
            else:
                files.make_beneath(anchor, inner)

    def make_working_dir(self, path: str) -> None:
        """As Kubernetes does, make a working directory that is not there. Raises Refused."""
        if path == "/":
            return
        anchor, inner = self.locate(path)
        if anchor != self.root or self.image.on_host(path) is None:
            files.make_beneath(anchor, inner)

    def is_executable(self, path: str) -> bool | None:
        """Whether a program is at `path`; None if it is not there.

        Where only the container itself can tell (a link in a volume), the answer is True.
        """
        try:
            anchor, inner = self.locate(path)
            host = self.image.on_host(path) if anchor == self.root else None
            host = host or files.beneath(anchor, inner)
        except Refused:
            return True
        if os.access(host, os.X_OK):
            return host.is_file()
        return False if host.exists() else None


def _is_there(anchor: Path, inner: str) -> bool:
    opened = files.open_beneath(anchor, inner)
    if opened is not None:
        os.close(opened)
    return opened is not None
