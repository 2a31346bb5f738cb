"""Git bundles: how commits travel between pods that share no volume.

The commits of one bundle have names, which stand in it as `refs/pressplay/NAME`. Taking one in
makes its commits present in our git directory and moves no ref there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from pressplay.base.errors import Refused
from pressplay.stages import git, plumbing

FOREIGN_LIMIT = 256 * 1024 * 1024
"""Largest bundle of an agent's commits, in bytes."""

HEADER_LIMIT = 64 * 1024

_PREFIX = "refs/pressplay/"

# Source: git's manual page gitformat-bundle; prerequisites begin with a minus.
_SIGNATURE = b"# v2 git bundle\n"
_TIP = re.compile(rb"([0-9a-f]{40}) " + _PREFIX.encode() + rb"([a-z]{1,20})")
_PREREQUISITE = re.compile(rb"-([0-9a-f]{40})( .*)?")


def write(
    directory: Path, target: Path, *, tips: Mapping[str, str], without: Sequence[str] = ()
) -> None:
    """Write a bundle with the commits of `tips` (name to commit) that `without` does not reach.

    Each of `without` is one on which the commits rest. Raises Refused where git cannot.
    """
    lines = [f"-{sha}\n" for sha in without]
    lines += [f"{sha} {_PREFIX}{name}\n" for name, sha in tips.items()]
    wanted = [*tips.values(), *(f"^{sha}" for sha in without)]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb", buffering=0) as writer:
        writer.write(_SIGNATURE + "".join(lines).encode() + b"\n")
        # What `git bundle create` does, in one process instead of three.
        finished = plumbing.call(
            directory,
            *("pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "--quiet"),
            stdin="".join(f"{each}\n" for each in wanted).encode(),
            stdout=writer,
        )
    if not finished.ok:
        target.unlink()
        raise plumbing.failure(finished, f"Bundle {target.name} cannot be written")


def take(directory: Path, bundle: Path) -> dict[str, str]:
    """Take in a bundle of ours, which rests on nothing; name to commit. Raises Refused."""
    git.init(directory)
    with bundle.open("rb", buffering=0) as reader:
        tips, prerequisites = _read_header(_skip_header(reader, bundle.name), bundle.name)
        if prerequisites:
            raise Refused(f"Bundle {bundle.name} is not usable: it rests on commits of others")
        finished = plumbing.call(directory, "index-pack", "--stdin", stdin=reader)
    if not finished.ok:
        raise plumbing.failure(finished, f"Bundle {bundle.name} is not usable")
    return tips


def take_foreign(directory: Path, bundle: Path) -> dict[str, str]:
    """Take in a bundle that an agent could reach: every object checked, every link followed.

    Raises Refused for one that is damaged, too large, or rests on commits that are missing.
    """
    if bundle.stat().st_size > FOREIGN_LIMIT:
        raise Refused(f"Bundle {bundle.name} is larger than {FOREIGN_LIMIT >> 20} MiB")
    with bundle.open("rb", buffering=0) as reader:
        tips, prerequisites = _read_header(_skip_header(reader, bundle.name), bundle.name)
        finished = plumbing.call(
            directory, "index-pack", "--stdin", "--fix-thin", "--strict", stdin=reader
        )
    missing = git.missing_commits(directory, [*prerequisites, *tips.values()])
    for sha in prerequisites:
        if sha in missing:
            raise Refused(f"Bundle {bundle.name} rests on commit {sha[:10]}, which is not known")
    if not finished.ok:
        raise plumbing.failure(finished, f"Bundle {bundle.name} holds what git refuses")
    for name, sha in tips.items():
        if sha in missing:
            raise Refused(f"Bundle {bundle.name} does not hold the commit that it calls {name}")
    return tips


def _skip_header(reader: BinaryIO, name: str) -> bytes:
    """The lines between signature and pack; the reader then stands where the pack begins."""
    data = reader.read(HEADER_LIMIT)
    end = data.find(b"\n\n")
    if not data.startswith(_SIGNATURE) or end < 0:
        raise Refused(f"{name} is no bundle of ours")
    reader.seek(end + 2)
    return data[len(_SIGNATURE) : end]


def _read_header(header: bytes, name: str) -> tuple[dict[str, str], list[str]]:
    """Tips by name, and the commits that the bundle rests on."""
    tips: dict[str, str] = {}
    prerequisites: list[str] = []
    for line in header.split(b"\n"):
        if found := _PREREQUISITE.fullmatch(line):
            prerequisites.append(found[1].decode())
        elif found := _TIP.fullmatch(line):
            tips[found[2].decode()] = found[1].decode()
        else:
            raise Refused(f"{name} has a header line that no bundle of ours has")
    return tips, prerequisites
