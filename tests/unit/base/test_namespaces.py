from __future__ import annotations

from pathlib import Path

from pressplay.base import namespaces

KINDS = ("user", "mnt", "pid", "ipc", "uts", "net")


def test_a_rehearsal_leaves_everything_as_it_is() -> None:
    before = _namespaces(), _open()

    namespaces.rehearse()

    assert (_namespaces(), _open()) == before


def _namespaces() -> list[int]:
    return [Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in KINDS]


def _open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
