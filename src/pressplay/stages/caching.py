"""The cache of a repository's dependencies, as it travels between pods: one tar archive.

An archive, because a folder among artifacts loses what builds look at: times, links, modes. What a
pod unpacks is its own copy and is thrown away with it. Only `warming` makes an archive to keep.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pressplay.base import files, processes
from pressplay.base.errors import Refused
from pressplay.stages.environment import StageEnvironment

FINGERPRINT = "fingerprint"
"""The first file in the archive: what it serves, so that one need not unpack it to know."""

INPUT = "cache.tar"
OUTPUT = "cache/cache.tar"

LIMIT_SETTING = "PRESSPLAY_CACHE_MB"
DEFAULT_LIMIT_MB = 1024

_ARCHIVE_S = 300.0
_FINGERPRINT_LIMIT = 4096
_PATH = "/usr/local/bin:/usr/bin:/bin"


def folder(env: StageEnvironment) -> Path:
    """Where the cache lies: at the same path in every pod, which some of its content names."""
    return env.workspace.parent / "cache"


def restore(env: StageEnvironment) -> Path:
    """Unpack what an earlier run of the repository left, once; the folder may be missing after.

    A folder that is there, be it empty, stays as it is. A broken archive counts as none: it can
    only cost time.
    """
    target, archive = folder(env), env.inputs / INPUT
    if target.exists() or not archive.is_file():
        return target
    target.mkdir(parents=True)
    unpacked = _tar("--extract", "--no-same-owner", archive=archive, directory=target)
    if not unpacked:
        env.log("cache_unusable", archive=archive.name, size=archive.stat().st_size)
        files.remove_tree(target)
    return target


def stored_fingerprint(env: StageEnvironment) -> str:
    """What the archive that an earlier run left serves; "" where there is none."""
    # Imported here: of all stages only one looks into an archive.
    import tarfile  # noqa: PLC0415 - see above

    try:
        with tarfile.open(env.inputs / INPUT, "r:") as archive:
            first = archive.next()
            if first is None or first.name != FINGERPRINT:
                return ""
            reader = archive.extractfile(first)
            return "" if reader is None else reader.read(_FINGERPRINT_LIMIT).decode().strip()
    except (OSError, ValueError, tarfile.TarError):
        return ""


def has_outgrown(env: StageEnvironment) -> bool:
    """Whether what earlier runs left fills more than half of what may be kept.

    Nothing takes out of it what no commit needs any more. Built upon for ever, it would one day be
    too large, and then never be kept again.
    """
    archive = env.inputs / INPUT
    return archive.is_file() and archive.stat().st_size * 2 > limit_mb(env) * 1024**2


def save(env: StageEnvironment, *, fingerprint: str) -> str:
    """Pack the cache up for later runs; "" or why it is not kept."""
    source = folder(env)
    limit = limit_mb(env)
    size_mb = size_of(source) / 1024**2
    if size_mb > limit:
        return (
            f"the cache of {size_mb:.0f} MiB is larger than {limit} MiB and is not kept; raise "
            f"{LIMIT_SETTING} in pressplay-settings to keep it"
        )
    (source / FINGERPRINT).write_text(f"{fingerprint}\n")
    target = env.out / OUTPUT
    target.parent.mkdir(parents=True, exist_ok=True)
    # A part of an archive must never look like one.
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        made = _tar("--create", archive=Path(part.name), directory=source)
    if not made:
        Path(part.name).unlink()
        return "the cache could not be packed up; is the disk full?"
    Path(part.name).replace(target)
    return ""


def size_of(root: Path) -> int:
    """Bytes in the files of a folder."""
    return sum(p.lstat().st_size for p in root.rglob("*") if not p.is_symlink() and p.is_file())


def limit_mb(env: StageEnvironment) -> int:
    """The largest cache that is kept, in MiB; 0 where none is to be. Raises Refused."""
    text = env.setting(LIMIT_SETTING, str(DEFAULT_LIMIT_MB))
    if not text.isdecimal():
        raise Refused(f"{LIMIT_SETTING} is {text!r}; write a number of MiB, 0 to keep no cache")
    return int(text)


def _tar(*options: str, archive: Path, directory: Path) -> bool:
    """Run tar: Python's own would take five times as long, and knows no safe way out in 3.11.2."""
    command = ["tar", *options, f"--file={archive.absolute()}", f"--directory={directory}"]
    if "--create" in options:
        command += ["--anchored", f"--exclude=./{FINGERPRINT}", FINGERPRINT, "."]
    with tempfile.TemporaryDirectory() as home:
        return processes.run(
            command, env={"PATH": _PATH, "HOME": home, "LC_ALL": "C"}, timeout_s=_ARCHIVE_S
        ).ok
