"""The wiring: settings in, running tasks out. The only module that chooses implementations.

One process serves one state folder: the store and its API, the engine, the controllers, and the
local forge on a port of its own. Killed at any point, it goes on where its records end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.types import ASGIApp

from pressplay.base import clocks, files
from pressplay.cluster import sqlite
from pressplay.cluster.port import AlreadyExists, Key, Object, Objects, key_of
from pressplay.cluster.sqlite import SqliteObjects
from pressplay.controllers.deployments import DeploymentController
from pressplay.controllers.expiry import ExpiryController
from pressplay.controllers.runs import RunController
from pressplay.engine.artifacts import ArtifactRepository
from pressplay.engine.steppods import StepPods
from pressplay.engine.watching import Engine
from pressplay.evidence import signing
from pressplay.forge.local import app as forge_app
from pressplay.forge.local.operator import Operator
from pressplay.manifests import loading
from pressplay.pods import images, sandboxing
from pressplay.pods.images import Bind, Image, Images
from pressplay.pods.running import PodRunner
from pressplay.pods.sandboxing import Bubblewrap, Sandbox
from pressplay.pods.warm import ForkServer
from pressplay.server import app as server_app
from pressplay.server import serving
from pressplay.server.auth import Accounts

_LOG = logging.getLogger(__name__)

NAMESPACE = "agents"
OPERATOR = "operator"
WITHOUT_TOKEN = frozenset({"agent-run"})
"""Accounts whose only right is that of Argo's executor, which does not exist here."""

APPS: Mapping[str, Mapping[str, str]] = {
    **{
        name: {"contents": "write", "pull_requests": "write", "issues": "write", "checks": "read"}
        for name in ("rex", "clippy", "qa", "triage", "security")
    },
    "qa-approver": {"contents": "read", "pull_requests": "write", "checks": "write"},
}


@dataclass(frozen=True)
class Settings:
    """What one server is told.

    `state` holds everything that it knows. With `idle_s`, it ends by itself once there has been
    no unfinished run and no preview for so many seconds.
    """

    state: Path
    idle_s: float | None = None


@dataclass(frozen=True)
class Address:
    """Where a server of this machine is, as its state folder says."""

    pid: int
    kube_url: str
    forge_url: str
    operator_token: str
    warning: str = ""
    """What the server cannot do on this machine, for every command to say."""

    def to_json(self) -> str:
        """The content of `server.json`."""
        return json.dumps(self.__dict__)


def default_state(environment: Mapping[str, str]) -> Path:
    """$PRESSPLAY_STATE, else the place that the XDG base directory specification names."""
    if environment.get("PRESSPLAY_STATE"):
        return Path(environment["PRESSPLAY_STATE"]).absolute()
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "pressplay"


def read_address(state: Path) -> Address | None:
    """The server that lives on this state folder; None if none does."""
    try:
        address = Address(**json.loads((state / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    # The lock and not the number decides: a number is soon somebody else's.
    return address if sqlite.owner(state / "store") == address.pid else None


async def serve(settings: Settings) -> None:
    """Serve one state folder until SIGTERM, SIGINT, or until it has been idle for long enough."""
    state = settings.state
    for folder in ("artifacts", "logs", "pods", "forge", "claims"):
        (state / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await SqliteObjects.open(state / "store", clock=clocks.SystemClock())
    try:
        async with _Sockets(state) as sockets, asyncio.TaskGroup() as group:
            server = _Server(settings=settings, store=store, sockets=sockets)
            await server.run(group)
    finally:
        await store.aclose()
        (state / "server.json").unlink(missing_ok=True)


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
        sources = _Sources(
            store=store,
            accounts=self._accounts,
            artifacts=self._artifacts,
            claims=state / "claims",
            environment={"PRESSPLAY_KUBE_URL": sockets.kube_url},
        )
        self._sandbox = sandboxing.detect()
        self._forks = _warm_up(self._sandbox, log=state / "forking.log")
        runner = PodRunner(
            directory=state / "pods",
            images=_images(store, etc_folder=state / "etc"),
            sources=sources,
            sandbox=self._sandbox,
            clock=clock,
        )
        runner.sweep()
        steps = StepPods(runner=runner, artifacts=self._artifacts, logs=state / "logs")
        self._engine = Engine(objects=store, pods=steps, clock=clock)
        self._runs = RunController(objects=store, clock=clock)
        self._deployments = DeploymentController(
            objects=store, runner=runner, logs=state / "logs" / "previews", clock=clock
        )
        self._expiry = ExpiryController(objects=store, clock=clock)
        self._clock = clock

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Start everything in an order in which nobody meets a closed door; end on a signal."""
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        if self._sandbox.warning:
            _LOG.warning("%s", self._sandbox.warning)
        forge = serving.http(self._forge())
        kube = serving.http(self._kube())
        faces = [
            group.create_task(forge.serve(sockets=[self._sockets.forge])),
            group.create_task(kube.serve(sockets=[self._sockets.kube])),
        ]
        await serving.until_started(forge, kube)
        await self._install()
        working = [
            group.create_task(self._runs.run()),
            group.create_task(self._deployments.run()),
            group.create_task(self._expiry.run()),
            group.create_task(self._engine.run()),
        ]
        self._announce()
        await self._until_over(ending)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        forge.should_exit = kube.should_exit = True
        await asyncio.gather(*faces)
        if self._forks is not None:
            self._forks.close()

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
            pod_logs=_PodLogs(self._deployments),
            artifacts=self._artifacts,
            clock=self._clock,
        )

    async def _install(self) -> None:
        """Put the shipped manifests, the settings and the keys into the store."""
        for obj in loading.shipped(namespace=NAMESPACE):
            await _apply(self._store, obj)
        await _apply(self._store, _settings_for(self._sockets.forge_url))
        await self._install_apps()
        await _keep_secret(
            self._store, "evidence-signing", {"key.pem": signing.generate_key().decode()}
        )

    async def _install_apps(self) -> None:
        for name, permissions in APPS.items():
            key = Key("Secret", NAMESPACE, f"github-app-{name}")
            if await self._store.get(key) is not None:
                continue
            app = await asyncio.to_thread(self._make_app, name, permissions)
            await _keep_secret(self._store, key.name, app)

    def _make_app(self, name: str, permissions: Mapping[str, str]) -> Mapping[str, str]:
        with Operator(self._sockets.forge_url, self._keys.operator_token) as operator:
            app = operator.ensure_app(name, {**permissions, "metadata": "read"})
        return {"app-id": str(app.id), "private-key": app.private_key}

    def _announce(self) -> None:
        address = Address(
            pid=os.getpid(),
            kube_url=self._sockets.kube_url,
            forge_url=self._sockets.forge_url,
            operator_token=self._keys.operator_token,
            warning=self._sandbox.warning,
        )
        path = self._settings.state / "server.json"
        files.write_atomically(path, address.to_json().encode(), mode=0o600)
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
    """Two listening loopback ports that stay the same for a state folder: URLs are written down."""

    def __init__(self, state: Path) -> None:
        self._path = state / "ports.json"
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.kube = serving.listen(known.get("kube", 0))
        self.forge = serving.listen(known.get("forge", 0))

    @property
    def kube_url(self) -> str:
        return f"http://127.0.0.1:{self.kube.getsockname()[1]}"

    @property
    def forge_url(self) -> str:
        return f"http://127.0.0.1:{self.forge.getsockname()[1]}"

    async def __aenter__(self) -> _Sockets:
        ports = {"kube": self.kube.getsockname()[1], "forge": self.forge.getsockname()[1]}
        files.write_atomically(self._path, json.dumps(ports).encode())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kube.close()
        self.forge.close()


class _Sources:
    """What pods take from the store: see `pods.sources.Sources`."""

    def __init__(
        self,
        *,
        store: SqliteObjects,
        accounts: Accounts,
        artifacts: ArtifactRepository,
        claims: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._artifacts = artifacts
        self._claims = claims
        self._environment = environment

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        found = self._store.peek(Key("ConfigMap", namespace, name))
        return None if found is None else dict(found.get("data", {}))

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        found = self._store.peek(Key("Secret", namespace, name))
        if found is None:
            return None
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}

    def account_token(self, namespace: str, account: str) -> str:
        if not account or account in WITHOUT_TOKEN:
            return ""
        return self._accounts.token(namespace, account)

    def artifact(self, key: str) -> Path | None:
        return self._artifacts.path(key)

    def claim(self, namespace: str, name: str) -> Path:
        path = files.beneath(self._claims, f"{namespace}/{name}")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def pod_environment(self) -> Mapping[str, str]:
        return self._environment


class _PodLogs:
    """Finds the log of a preview's pod; steps have no Pod objects to ask for."""

    def __init__(self, deployments: DeploymentController) -> None:
        self._deployments = deployments

    def path(self, namespace: str, pod: str, container: str) -> Path | None:
        """The log file, or None."""
        found = self._deployments.log_path(namespace, pod, container)
        return found if found.exists() else None


class _NamedImages(Mapping[str, Image]):
    """Our images; in the agent's also the programs that users named on the command line."""

    def __init__(self, store: SqliteObjects, *, runner: Image) -> None:
        self._store = store
        self._runner = runner
        # A repository's own programs expect to find its modules in their working directory.
        plain = {name: value for name, value in runner.env.items() if name != "PYTHONSAFEPATH"}
        self._plain = replace(runner, name="agent", env=plain)
        self._agents: dict[tuple[str, ...], Image] = {}

    def __getitem__(self, name: str) -> Image:
        match name:
            case "pressplay/runner":
                return self._runner
            case "pressplay/agent":
                return self._agent()
            case _:
                raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("pressplay/runner", "pressplay/agent"))

    def __len__(self) -> int:
        return 2

    def _agent(self) -> Image:
        listed = self._store.peek(Key("ConfigMap", NAMESPACE, "agent-programs")) or {}
        programs = tuple(sorted(listed.get("data", {}).values()))
        if programs not in self._agents:
            binds = [Bind(Path(each), each) for each in programs if Path(each).is_file()]
            self._agents[programs] = self._plain.with_binds(*binds)
        return self._agents[programs]


def _images(store: SqliteObjects, *, etc_folder: Path) -> Images:
    host = images.host_image(etc_folder=etc_folder)
    return Images(host, _NamedImages(store, runner=images.runner_image(host)))


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


async def _apply(objects: Objects, obj: Object) -> None:
    try:
        await objects.create(obj)
    except AlreadyExists:
        await objects.patch(key_of(obj), obj)


async def _keep_secret(objects: Objects, name: str, values: Mapping[str, str]) -> None:
    """Store a Secret unless there is one: a key that was handed out is never replaced."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    with contextlib.suppress(AlreadyExists):
        await objects.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "data": data,
            }
        )


def _settings_for(forge_url: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "pressplay-settings", "namespace": NAMESPACE},
        "data": {
            "GITHUB_API_URL": f"{forge_url}/api/v3",
            "GITHUB_SERVER_URL": forge_url,
            # Previews of several repositories share this machine.
            "PRESSPLAY_NAMING": "repo-pr",
        },
    }
