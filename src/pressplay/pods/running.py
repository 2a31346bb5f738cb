"""The life of a pod: init containers in turn, then the rest together, until the main ones end."""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pressplay.base import files
from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.pods import commands, sweeping, variables
from pressplay.pods.containers import Container
from pressplay.pods.filesystems import Filesystem
from pressplay.pods.filling import PodFolder
from pressplay.pods.images import Images
from pressplay.pods.programs import Ended, Program
from pressplay.pods.sandboxing import MARKER, Enclosure, Sandbox
from pressplay.pods.sources import Sources
from pressplay.pods.spares import Shape, Spares
from pressplay.pods.spec import Pod
from pressplay.pods.warm import Entered

RETIRED = ".over-"
"""How the names of folders begin whose pods are over."""

_RESTART_S = 1.0
_LONGEST_RESTART_S = 30.0
_HOST_NAME_LENGTH = 63
_LAST_BYTES, _LAST_LINES = 2048, 80
"""Of a log that explains how its container failed, as in Kubernetes."""


@dataclass(frozen=True)
class ContainerResult:
    """How one container ended; `message` says why it never ran, where it never ran."""

    exit_code: int
    message: str
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True)
class PodResult:
    """How a pod ended. A container that never started is not in `containers`."""

    succeeded: bool
    message: str
    containers: Mapping[str, ContainerResult]


@dataclass(frozen=True)
class _Surroundings:
    images: Images
    sources: Sources
    sandbox: Sandbox
    clock: Clock


class _Remove(Protocol):
    def __call__(self, folder: PodFolder, *, may_keep: bool) -> None: ...


class PodRunner:
    """Runs pods on this machine, each in a folder of its own below `directory`."""

    def __init__(
        self,
        *,
        directory: Path,
        images: Images,
        sources: Sources,
        sandbox: Sandbox,
        clock: Clock,
    ) -> None:
        """`directory` is ours alone: `sweep` removes all that is in it."""
        self._directory = directory.absolute()
        self._surroundings = _Surroundings(images, sources, sandbox, clock)
        self._spares = Spares(self._directory)

    def create(self, pod: Pod) -> PodRun:
        """Fresh folders for a pod; what an earlier attempt with its uid left is wiped."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._surroundings.images.refresh()
        shape = self._shape(pod)
        folder = PodFolder(self._directory / pod.uid, pod, self._surroundings.sources)
        files.remove_tree(folder.path)
        if not self._spares.take(shape, folder.path):
            folder.make_roots()
        folder.make_volumes()
        remove = functools.partial(self._remove, shape)
        return PodRun(folder, surroundings=self._surroundings, remove=remove)

    def sweep(self) -> int:
        """End all pods that a killed predecessor left, and remove their folders.

        To be called before the first `create`. Answers how many processes were killed.
        """
        killed = sweeping.kill_marked(MARKER, self._directory)
        if self._directory.is_dir():
            for folder in list(self._directory.iterdir()):
                files.remove_tree(folder)
        self._spares = Spares(self._directory)
        return killed

    def _shape(self, pod: Pod) -> Shape:
        lookup = self._surroundings.images.lookup
        return tuple((each.name, lookup(each.image)) for each in pod.all_containers)

    def _remove(self, shape: Shape, folder: PodFolder, *, may_keep: bool) -> None:
        may_keep = may_keep and self._surroundings.sandbox.is_tight
        if not may_keep or not self._spares.keep(shape, folder.path):
            files.remove_tree(folder.path)


class PodRun:
    """One attempt at one pod. `run` once; then collect what it left; then `remove`."""

    def __init__(
        self,
        folder: PodFolder,
        *,
        surroundings: _Surroundings,
        remove: _Remove,
    ) -> None:
        self.pod = folder.pod
        self._folder = folder
        self._surroundings = surroundings
        self._remove = remove
        self._programs: dict[str, Program] = {}
        self._prepared: dict[str, Entered] = {}
        self._results: dict[str, ContainerResult] = {}
        self._is_running = False
        self._is_stopping = False
        self._mains_over = asyncio.Event()
        self._over = asyncio.Event()

    def place(self, source: Path, *, container: str, path: str) -> None:
        """Copy a file or folder to where the container will see it. Raises Refused."""
        files.place_beneath(source, *self._filesystem(container).locate_for_writing(path))

    def write(self, data: bytes, *, container: str, path: str) -> None:
        """As `place`, for content."""
        files.write_beneath(*self._filesystem(container).locate_for_writing(path), data)

    async def run(self) -> PodResult:
        """Run to the end. What cannot be started is a failed result; cancelling kills it all."""
        self._is_running = True
        try:
            await self._fill()
            message = await self._run_init_containers() or await self._run_containers()
        except Refused as error:
            message = str(error)
        finally:
            await self._leave_prepared()
            self._over.set()
        return PodResult(not message, message, dict(self._results))

    async def stop(self, *, grace_s: float) -> None:
        """SIGTERM to all programs, after `grace_s` seconds SIGKILL; `run` then answers.

        Returns when nothing runs any more. A pod that was not started yet will not be.
        """
        self._is_stopping = True
        if not self._is_running:
            return
        try:
            async with asyncio.timeout(grace_s):
                await _terminate(self._programs.values())
                await self._over.wait()
        except TimeoutError:
            for program in self._programs.values():
                program.kill()
        await self._over.wait()

    def log_path(self, container: str) -> Path:
        """All that the container printed, mode 0600, without a limit.

        Empty, or not there, before the container starts.
        """
        return self._folder.path / f"{self._container(container).name}.log"

    def export(self, *, container: str, path: str, target: Path) -> bool:
        """Copy what the container has at `path` to `target`; False if it has nothing there.

        Links, pipes and sockets are never followed: Refused if one is on the way, left out
        inside of a folder. So for `read`.
        """
        return files.copy_beneath(*self._filesystem(container).locate(path), target)

    def take(self, *, container: str, path: str, target: Path) -> bool:
        """As `export`, for what nobody reads again here: files of an ended pod go to `target`
        themselves. What is a claim's is copied all the same, and so is what may still change.
        """
        anchor, inner = self._filesystem(container).locate(path)
        is_own = anchor.is_relative_to(self._folder.path)
        may_move = is_own and self._over.is_set() and self._surroundings.sandbox.is_tight
        bring = files.move_beneath if may_move else files.copy_beneath
        return bring(anchor, inner, target)

    def read(self, *, container: str, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes of a file of the container's; None if there is none."""
        return files.read_beneath(*self._filesystem(container).locate(path), limit=limit)

    def exists(self, *, container: str, path: str) -> bool:
        """Whether a plain file or folder is there."""
        return files.kind_beneath(*self._filesystem(container).locate(path)) is not None

    def is_dir(self, *, container: str, path: str) -> bool:
        """Whether a folder is there."""
        return files.kind_beneath(*self._filesystem(container).locate(path)) == "folder"

    def retire(self) -> None:
        """Give its place up: `remove` may come later, and a pod with the same uid before that."""
        folder = self._folder.path.with_name(f"{RETIRED}{secrets.token_hex(8)}")
        self._folder = replace(self._folder, path=self._folder.path.rename(folder))

    def remove(self) -> None:
        """Remove all that the pod wrote; claims stay. To be called when it does not run.

        A program that is alive all the same (somebody cancelled `run` twice) is killed. May be
        called on any thread.
        """
        for program in self._programs.values():
            program.kill()
        for entered in self._prepared.values():
            entered.kill()
        self._remove(self._folder, may_keep=not self._programs and not self._prepared)

    async def _fill(self) -> None:
        if not self._folder.has_copies:
            self._folder.fill()
            return
        copying = asyncio.ensure_future(asyncio.to_thread(self._folder.fill))
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            # A thread cannot be stopped; nobody may remove the folder under its feet.
            await asyncio.wait({copying})
            raise

    async def _run_init_containers(self) -> str:
        for container in self.pod.init_containers:
            if self._is_stopping:
                break
            result = await self._run_container(container, next_ones=self._after(container))
            if result.exit_code:
                return _failure(container, result)
        return "stopped before its containers started" if self._is_stopping else ""

    async def _run_containers(self) -> str:
        if len(self.pod.containers) == 1 and not self.pod.sidecars:
            # Most pods, and the whole machinery below would be a tenth of their cost.
            only = self.pod.containers[0]
            result = await self._run_container(only)
            return _failure(only, result) if result.exit_code else ""
        async with asyncio.TaskGroup() as group:
            sidecars = [group.create_task(self._keep_running(each)) for each in self.pod.sidecars]
            mains = [group.create_task(self._run_container(each)) for each in self.pod.containers]
            await asyncio.wait(mains)
            self._mains_over.set()
            if sidecars:
                await self._end_sidecars(sidecars)
        failures = (
            _failure(container, main.result())
            for container, main in zip(self.pod.containers, mains, strict=True)
            if main.result().exit_code
        )
        return next(failures, "")

    async def _keep_running(self, container: Container) -> None:
        """Run a sidecar, and again if it ends before the main containers do."""
        delay_s = _RESTART_S
        while True:
            await self._run_container(container)
            if self._is_stopping or await self._mains_end_within(delay_s):
                return
            delay_s = min(2 * delay_s, _LONGEST_RESTART_S)
            # Afresh, as a restarted container is: what it planted would be in the sandbox's way.
            root = self._folder.root_of(container)
            files.remove_tree(root)
            root.mkdir()

    async def _mains_end_within(self, delay_s: float) -> bool:
        try:
            await asyncio.wait_for(self._mains_over.wait(), delay_s)
        except TimeoutError:
            return False
        return True

    async def _end_sidecars(self, sidecars: Collection[asyncio.Task[None]]) -> None:
        try:
            async with asyncio.timeout(self.pod.grace_s):
                await _terminate(self._programs.values())
                await asyncio.wait(sidecars)
        except TimeoutError:
            for program in self._programs.values():
                program.kill()

    def _after(self, container: Container) -> Collection[Container]:
        """What starts when an init container has ended."""
        following = self.pod.init_containers[self.pod.init_containers.index(container) + 1 :]
        return following[:1] or (*self.pod.sidecars, *self.pod.containers)

    async def _run_container(
        self, container: Container, *, next_ones: Collection[Container] = ()
    ) -> ContainerResult:
        started_at = self._surroundings.clock.now()
        try:
            program = self._start(container)
        except Refused as error:
            self._note(container, str(error))
            ended = Ended(commands.NOT_FOUND, str(error))
        else:
            self._prepare(next_ones)
            ended = await self._until_ended(container.name, program)
        finished_at = self._surroundings.clock.now()
        message = ended.message
        if ended.exit_code and not message and container.explained_by_log:
            message = self._last_words(container)
        result = ContainerResult(ended.exit_code, message, started_at, finished_at)
        self._results[container.name] = result
        return result

    async def _until_ended(self, name: str, program: Program) -> Ended:
        self._programs[name] = program
        try:
            ended = await program.ended()
        except asyncio.CancelledError:
            program.kill()
            await program.ended()
            del self._programs[name]
            raise
        del self._programs[name]
        return ended

    def _prepare(self, containers: Iterable[Container]) -> None:
        """Bring what comes next as far as it can come before it may begin, while there is time."""
        for container in containers:
            # What is in the way is said when the container is to start, not before.
            with suppress(Refused, OSError):
                enclosure = self._enclosure(container)
                if enclosure.filesystem.reaches_into_volumes(enclosure.working_dir):
                    # What runs now may be about to make that place itself.
                    continue
                log = self.log_path(container.name)
                entered = self._surroundings.sandbox.prepare(enclosure, output=log)
                if entered is not None:
                    self._prepared[container.name] = entered

    async def _leave_prepared(self) -> None:
        while self._prepared:
            _, entered = self._prepared.popitem()
            await entered.leave()

    def _start(self, container: Container) -> Program:
        entered = self._prepared.pop(container.name, None)
        if entered is not None:
            entered.begin()
            return entered
        return self._surroundings.sandbox.start(
            self._enclosure(container), output=self.log_path(container.name)
        )

    def _enclosure(self, container: Container) -> Enclosure:
        filesystem = self._filesystem(container.name)
        image = filesystem.image
        own = variables.environment(container, self.pod, self._surroundings.sources)
        command = variables.command_line(
            container, own, entrypoint=image.entrypoint, arguments=image.arguments
        )
        commands.check(
            command,
            search=own.get("PATH") or ":".join(image.path),
            filesystem=filesystem,
            working_dir=container.working_dir,
        )
        return Enclosure(
            filesystem=filesystem,
            folder=self._folder.path,
            hostname=self.pod.name[:_HOST_NAME_LENGTH] or "pod",
            network=self.pod.network_of(container),
            working_dir=container.working_dir,
            command=command,
            variables=own,
        )

    def _last_words(self, container: Container) -> str:
        """The end of its log. Source of the length: Kubernetes, "Container Lifecycle"."""
        with self.log_path(container.name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-_LAST_LINES:])

    def _note(self, container: Container, message: str) -> None:
        """Tell the reader of the log, who would otherwise see nothing."""
        log = self.log_path(container.name)
        log.touch(mode=0o600)
        with log.open("a") as writer:
            writer.write(f"Error: {message}\n")

    def _filesystem(self, name: str) -> Filesystem:
        container = self._container(name)
        image = self._surroundings.images.lookup(container.image)
        return self._folder.filesystem(container, image)

    def _container(self, name: str) -> Container:
        for container in self.pod.all_containers:
            if container.name == name:
                return container
        raise Refused(f"Pod {self.pod.name} has no container {name!r}")


async def _terminate(programs: Iterable[Program]) -> None:
    await asyncio.gather(*(program.terminate() for program in programs))


def _failure(container: Container, result: ContainerResult) -> str:
    because = f": {result.message}" if result.message else ""
    return f"{container.name}: Error (exit code {result.exit_code}){because}"
