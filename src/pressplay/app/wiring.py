"""The wiring: settings in, running tasks out. The only place that chooses implementations.

One process serves one state folder: the store and its API, the engine, the controllers, and the
local forge on a port of its own. Killed at any point, it goes on where its records end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from pressplay.app import providing
from pressplay.app.installing import Installer
from pressplay.app.providing import Sources
from pressplay.base import clocks, files
from pressplay.base.errors import Unavailable
from pressplay.cluster.sqlite import SqliteObjects
from pressplay.controllers.closing import ClosingController, ForgePulls, StoredForge
from pressplay.controllers.deployments import DeploymentController
from pressplay.controllers.expiry import ExpiryController
from pressplay.controllers.runs import RunController
from pressplay.engine.artifacts import ArtifactRepository
from pressplay.engine.steppods import StepPods
from pressplay.engine.watching import Engine
from pressplay.forge.local import app as forge_app
from pressplay.pods import sandboxing
from pressplay.pods.removing import Remover
from pressplay.pods.running import PodRunner
from pressplay.pods.sandboxing import Bubblewrap, Sandbox
from pressplay.pods.warm import ForkServer
from pressplay.server import app as server_app
from pressplay.server import serving, standing
from pressplay.server.auth import Accounts
from pressplay.server.standing import NAMESPACE, Address, ForgeSettings

_LOG = logging.getLogger(__name__)

OPERATOR = "operator"
"""The login of this machine's user on the local forge."""

_OWN_FORGE_PAUSE_S, _FORGE_PAUSE_S = 5.0, 60.0
"""How often the forge is asked for closed pull requests: our own, and one with a rate limit."""


@dataclass(frozen=True)
class Settings:
    """What one server is told.

    `state` holds everything that it knows. With `idle_s`, it ends by itself once there has been
    no unfinished run and no preview for so many seconds. With `forge`, it works for a forge
    elsewhere and starts none of its own.
    """

    state: Path
    idle_s: float | None = None
    forge: ForgeSettings | None = None


async def serve(settings: Settings) -> None:
    """Serve one state folder until SIGTERM, SIGINT, or until it has been idle for long enough."""
    state = settings.state
    for folder in ("artifacts", "logs", "pods", "forge", "claims"):
        (state / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        files.spread(state / folder)
    store = await SqliteObjects.open(state / standing.STORE, clock=clocks.SystemClock())
    try:
        async with (
            _Sockets(state, with_forge=settings.forge is None) as sockets,
            asyncio.TaskGroup() as group,
        ):
            server = _Server(settings=settings, store=store, sockets=sockets)
            await server.run(group)
    finally:
        await store.aclose()
        standing.remove_address(state, pid=os.getpid())


class _Server:
    """Everything that runs in one process."""

    def __init__(self, *, settings: Settings, store: SqliteObjects, sockets: _Sockets) -> None:
        state, clock = settings.state, clocks.SystemClock()
        self._settings = settings
        self._store = store
        self._sockets = sockets
        self._keys = _Keys.load(state)
        self._accounts = Accounts(
            server_key=self._keys.server_key, operator_token=self._keys.operator_token
        )
        self._artifacts = ArtifactRepository(state / "artifacts")
        sources = Sources(
            store=store,
            accounts=self._accounts,
            artifacts=self._artifacts,
            claims=state / "claims",
            environment={"PRESSPLAY_KUBE_URL": sockets.kube_url},
        )
        self._installer = Installer(
            store,
            forge=settings.forge,
            own_url=sockets.forge_url,
            operator_token=self._keys.operator_token,
            clock=clock,
        )
        self._sandbox = sandboxing.detect()
        self._forks = _warm_up(self._sandbox, log=state / "forking.log")
        runner = PodRunner(
            directory=state / "pods",
            images=providing.all_images(store, etc_folder=state / "etc"),
            sources=sources,
            sandbox=self._sandbox,
            clock=clock,
        )
        runner.sweep()
        self._remover = Remover()
        self._steps = StepPods(
            runner=runner, remover=self._remover, artifacts=self._artifacts, logs=state / "logs"
        )
        self._engine = Engine(objects=store, pods=self._steps, clock=clock)
        self._runs = RunController(objects=store, clock=clock)
        self._deployments = DeploymentController(
            objects=store, runner=runner, logs=state / "logs" / "previews", clock=clock
        )
        self._expiry = ExpiryController(objects=store, clock=clock)
        self._closing = ClosingController(
            objects=store,
            pulls=ForgePulls(forge=StoredForge(objects=store, namespace=NAMESPACE), clock=clock),
            pause_s=_OWN_FORGE_PAUSE_S if settings.forge is None else _FORGE_PAUSE_S,
        )
        self._clock = clock

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Start everything in an order in which nobody meets a closed door; end on a signal."""
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        if self._sandbox.warning:
            _LOG.warning("%s", self._sandbox.warning)
        doors = [(serving.http(self._kube()), self._sockets.kube)]
        if self._sockets.forge is not None:
            doors.append((serving.http(self._forge()), self._sockets.forge))
        servers = [server for server, _ in doors]
        faces = [group.create_task(server.serve(sockets=[at])) for server, at in doors]
        await serving.until_started(*servers)
        await self._installer.install()
        working = [
            group.create_task(self._work(work, ending=ending))
            for work in (
                self._runs.run(),
                self._deployments.run(),
                self._expiry.run(),
                self._closing.run(),
                self._engine.run(),
                self._remover.run(),
            )
        ]
        self._announce()
        await self._until_over(ending)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await self._remover.close()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*faces)
        if self._forks is not None:
            self._forks.close()
        if self._store.failure:
            raise Unavailable(self._store.failure)

    async def _work(self, work: Coroutine[Any, Any, None], *, ending: asyncio.Event) -> None:
        """Work until cancelled. Where the store keeps nothing any more, end as on a signal.

        So whoever asks or watches is still told why.
        """
        try:
            await work
        except Exception:
            if not self._store.failure:
                raise
            ending.set()

    def _forge(self) -> ASGIApp:
        return forge_app.build(
            directory=self._settings.state / "forge",
            operator_login=OPERATOR,
            operator_token=self._keys.operator_token,
            clock=self._clock,
            base_url=lambda: self._sockets.forge_url,
        )

    def _kube(self) -> ASGIApp:
        return server_app.build(
            objects=self._store,
            accounts=self._accounts,
            pod_logs=_PodLogs(previews=self._deployments, steps=self._steps),
            artifacts=self._artifacts,
            clock=self._clock,
        )

    def _announce(self) -> None:
        forge = self._settings.forge
        address = Address(
            pid=os.getpid(),
            kube_url=self._sockets.kube_url,
            forge_url=self._sockets.forge_url if forge is None else forge.server_url,
            operator_token=self._keys.operator_token,
            warning=self._sandbox.warning,
        )
        standing.write_address(self._settings.state, address)
        _LOG.info("server_ready kube=%s forge=%s", address.kube_url, address.forge_url)

    async def _until_over(self, ending: asyncio.Event) -> None:
        """Return on a signal, or when nothing has needed us for `idle_s`."""
        idle_since: float | None = None
        while not ending.is_set():
            now = self._clock.monotonic()
            if await self._is_needed():
                idle_since = None
            elif idle_since is None:
                idle_since = now
            limit = self._settings.idle_s
            if limit is not None and idle_since is not None and now - idle_since >= limit:
                _LOG.info("server_idle seconds=%d", int(now - idle_since))
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), timeout=1.0)

    async def _is_needed(self) -> bool:
        if await self._store.list("Namespace", labels="preview=true"):
            return True
        unfinished = "!workflows.argoproj.io/completed"
        return bool(await self._store.list("Workflow", labels=unfinished))


@dataclass(frozen=True)
class _Keys:
    """Secrets of the server itself, made once for each state folder."""

    server_key: str
    operator_token: str

    @classmethod
    def load(cls, state: Path) -> _Keys:
        path = state / "keys.json"
        if not path.exists():
            made = {name: secrets.token_hex(32) for name in ("server_key", "operator_token")}
            files.write_atomically(path, json.dumps(made).encode(), mode=0o600)
        return cls(**json.loads(path.read_text()))


class _Sockets:
    """Listening loopback ports that stay the same for a state folder: URLs are written down."""

    def __init__(self, state: Path, *, with_forge: bool) -> None:
        self._path = state / "ports.json"
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.kube = serving.listen(known.get("kube", 0))
        self.forge = serving.listen(known.get("forge", 0)) if with_forge else None

    @property
    def kube_url(self) -> str:
        return f"http://127.0.0.1:{self.kube.getsockname()[1]}"

    @property
    def forge_url(self) -> str:
        return "" if self.forge is None else f"http://127.0.0.1:{self.forge.getsockname()[1]}"

    async def __aenter__(self) -> _Sockets:
        ports = {"kube": self.kube.getsockname()[1]}
        if self.forge is not None:
            ports["forge"] = self.forge.getsockname()[1]
        files.write_atomically(self._path, json.dumps(ports).encode())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kube.close()
        if self.forge is not None:
            self.forge.close()


class _PodLogs:
    """Finds the logs of pods: of previews, and of steps, which have no Pod objects."""

    def __init__(self, *, previews: DeploymentController, steps: StepPods) -> None:
        self._previews = previews
        self._steps = steps

    def path(
        self, namespace: str, pod: str, container: str, *, is_previous: bool = False
    ) -> Path | None:
        """The log file, or None. Steps are never tried again in the same pod."""
        found = self._previews.log_path(namespace, pod, container, is_previous=is_previous)
        if is_previous:
            return found if found.exists() else None
        return found if found.exists() else self._steps.find_log(namespace, pod, container)

    def goes_on(self, namespace: str, pod: str) -> bool:
        """Whether it is the pod of a step that runs."""
        return self._steps.is_running(namespace, pod)


def _warm_up(sandbox: Sandbox, *, log: Path) -> ForkServer | None:
    """Let the stages be forked, where a sandbox is there to fork them into."""
    if not isinstance(sandbox, Bubblewrap):
        return None
    forks = ForkServer(
        (sys.executable, "-P", "-m", "pressplay.stages.forking"),
        prefix=("python3", "-m", "pressplay.stages"),
        images=frozenset({"runner", "agent"}),
        log=log,
    )
    sandbox.warm_up(forks)
    return forks
