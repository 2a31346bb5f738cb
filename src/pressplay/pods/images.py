"""What a container image is on this machine: folders of the host, shown read-only.

No image is pulled. Every name that is not ours stands for the host's base system; ours adds the
interpreter and the package that run the stages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pressplay
from pressplay.pods import etc

_SYSTEM_PATH = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)
_USR = Path("/usr")
# Beside /usr, or links into it where the two are merged.
_BESIDE_USR = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Bind:
    """A file or folder of the host, and where a container sees it, read-only."""

    source: Path
    target: str


@dataclass(frozen=True, eq=False)
class Image:
    """A root file system put together from the host's folders; equal only to itself."""

    name: str
    binds: tuple[Bind, ...] = ()
    path: tuple[str, ...] = _SYSTEM_PATH
    env: Mapping[str, str] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links: where, and to what."""

    etc: Path | None = None
    """The folder that is its /etc."""

    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def with_binds(self, *binds: Bind, path: tuple[str, ...] = ()) -> Image:
        """This image with more of the host's folders, and `path` searched after its own PATH."""
        return replace(self, binds=(*self.binds, *binds), path=(*self.path, *path))

    def with_toolchain(self, root: Path, *, programs: Path) -> Image:
        """This image with a toolchain's folder, its `programs` searched before the system's."""
        shown = () if _is_shown(root, list(self.binds)) else (Bind(root, str(root)),)
        if str(programs) in self.path:
            return replace(self, binds=(*self.binds, *shown))
        own = sum(each not in _SYSTEM_PATH for each in self.path)
        path = (*self.path[:own], str(programs), *self.path[own:])
        return replace(self, binds=(*self.binds, *shown), path=path)

    @property
    def variables(self) -> dict[str, str]:
        """Its environment, PATH included."""
        return {"PATH": ":".join(self.path), **self.env}

    def on_host(self, path: str) -> Path | None:
        """The host's file behind a path of the image's read-only part; None outside of it."""
        for link, goal in self.links:
            if path == link or path.startswith(link + "/"):
                path = str(PurePosixPath(link).parent / goal) + path[len(link) :]
        best = max(
            (bind for bind in self.binds if (path + "/").startswith(bind.target + "/")),
            key=lambda bind: len(bind.target),
            default=None,
        )
        return None if best is None else best.source / path[len(best.target) :].lstrip("/")


@dataclass(frozen=True)
class Images:
    """Which image a name means; the tag does not matter, and an unknown name means the host."""

    host: Image
    named: Mapping[str, Image] = field(default_factory=dict)

    def lookup(self, image: str) -> Image:
        return self.named.get(_without_tag(image), self.host)

    def refresh(self) -> None:
        """Follow the host's changes; called at the start of each pod."""
        for folder in {each.etc for each in (self.host, *self.named.values())}:
            if folder is not None:
                etc.refresh(folder)


def host_image(*, etc_folder: Path) -> Image:
    """The host's base system: /usr, what stands beside it, and a chosen /etc.

    `etc_folder` is filled here; it must be writable to us and last as long as the image.
    """
    etc.prepare(etc_folder)
    beside = [Path("/", name) for name in _BESIDE_USR]
    links = [each for each in beside if each.is_symlink()]
    folders = [_USR, *(each for each in beside if each.is_dir() and not each.is_symlink())]
    return Image(
        name="host",
        binds=tuple(Bind(each, str(each)) for each in folders),
        env={"HOME": etc.HOME, "LANG": "C.UTF-8"},
        links=tuple((str(each), str(each.readlink()).lstrip("/")) for each in links),
        etc=etc_folder,
    )


def runner_image(host: Image) -> Image:
    """The host's base system with the interpreter that runs us, and with us.

    Its PATH begins with the real interpreter, so that no step pays for a shim in front of it.
    """
    folders = [Path(sys.prefix), Path(sys.base_prefix), *_import_folders()]
    binds: dict[str, Bind] = {}
    for folder in folders:
        for target in (folder, folder.resolve()):
            if not _is_shown(target, [*host.binds, *binds.values()]):
                binds[str(target)] = Bind(folder.resolve(), str(target))
    for hop in _interpreter_hops():
        if hop.exists() and not _is_shown(hop, [*host.binds, *binds.values()]):
            binds[str(hop)] = Bind(hop.resolve(), str(hop))
    return replace(
        host,
        name="runner",
        binds=(*host.binds, *binds.values()),
        path=(str(Path(sys.executable).parent), *host.path),
        env={**host.env, "PYTHONSAFEPATH": "1"},
    )


def _without_tag(image: str) -> str:
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


def _is_shown(path: Path, binds: list[Bind]) -> bool:
    return any(path.is_relative_to(bind.target) for bind in binds)


def _import_folders() -> list[Path]:
    return [Path(each).parent for each in pressplay.__path__]


def _interpreter_hops() -> list[Path]:
    """The interpreter, and every link on the way to the real one."""
    hops = [Path(sys.executable)]
    while hops[-1].is_symlink():
        hops.append(Path(os.path.normpath(hops[-1].parent / hops[-1].readlink())))
    return hops
