"""The /etc of an image: chosen files of the host's, and accounts of our own.

It is a copy, because a mount for each file would cost more than the step itself, and the host's
own folder holds what is nobody's business: password hashes, private keys, host configuration.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from pressplay.base import files

UID = 1000
"""What a container's own user is called inside."""

HOME = "/home/step"

SHARED = "/run/pressplay/etc"
"""Where it stands in a container that has an /etc of its own, with links to it."""

_HOST = Path("/etc")
_CHOSEN = (
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "pki",
    "protocols",
    "services",
    "ssl",
)
# They change while a machine moves from network to network.
_CHANGING = ("hosts", "resolv.conf")
_PASSWD = f"""\
root:x:0:0:root:/root:/usr/sbin/nologin
step:x:{UID}:{UID}:step:{HOME}:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUP = f"root:x:0:\nstep:x:{UID}:\nnogroup:x:65534:\n"


def prepare(folder: Path) -> None:
    """Fill `folder` afresh."""
    files.remove_tree(folder)
    folder.mkdir(parents=True)
    for name in _CHOSEN:
        _copy(_HOST / name, folder / name)
    files.write_atomically(folder / "passwd", _PASSWD.encode())
    files.write_atomically(folder / "group", _GROUP.encode())
    refresh(folder)


def link_to(name: str) -> str:
    """Where the link of this name leads, in an /etc of a container's own."""
    return f"..{SHARED}/{name}"


def refresh(folder: Path) -> None:
    """Bring what may have changed on the host since up to date; cheap where nothing has."""
    for name in _CHANGING:
        with suppress(OSError):
            changed = (_HOST / name).stat().st_mtime_ns
            if changed != _changed_at(folder / name):
                files.write_atomically(folder / name, (_HOST / name).read_bytes())
                os.utime(folder / name, ns=(changed, changed))


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _copy(source: Path, target: Path) -> None:
    """Copy without private keys, and without what we may not read.

    A link into /usr stays a link, for /usr is in the image too; so does a relative one, for its
    neighbour is copied as well. Others become what they point to.
    """
    try:
        if source.is_symlink() and _stays_a_link(source):
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir()
            for each in source.iterdir():
                if each.name != "private":
                    _copy(each, target / each.name)
        elif source.is_file():
            shutil.copyfile(source, target)
    except OSError:
        return


def _stays_a_link(source: Path) -> bool:
    goal = source.readlink()
    return not goal.is_absolute() or goal.parts[1:2] == ("usr",)
