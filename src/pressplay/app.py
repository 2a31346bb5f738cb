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
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from pressplay.base import clocks, files, rust_programs
from pressplay.base.errors import Unavailable
from pressplay.cluster.port import AlreadyExists, Key, Object, Objects, key_of
from pressplay.cluster.sqlite import SqliteObjects
from pressplay.controllers.closing import ClosingController, ForgePulls
from pressplay.controllers.deployments import DeploymentController
from pressplay.controllers.expiry import ExpiryController
from pressplay.controllers.runs import RunController
from pressplay.engine.artifacts import ArtifactRepository
from pressplay.engine.steppods import StepPods
from pressplay.engine.watching import Engine
from pressplay.evidence import signing
from pressplay.forge import app_keys
from pressplay.forge.local import app as forge_app
from pressplay.forge.local.operator import Operator
from pressplay.forge.tokens import AppKey
from pressplay.manifests import loading
from pressplay.pods import images, registries, sandboxing
from pressplay.pods.images import Bind, Image, Images
from pressplay.pods.running import PodRunner
from pressplay.pods.sandboxing import Bubblewrap, Sandbox
from pressplay.pods.warm import ForkServer
from pressplay.server import app as server_app
from pressplay.server import serving, standing
from pressplay.server.auth import Accounts
from pressplay.server.standing import NAMESPACE, Address, ForgeSettings

_LOG = logging.getLogger(__name__)

read_address = standing.read_address
default_state = standing.default_state

OPERATOR = "operator"
KEPT = "pressplay.dev/keep"
"""Annotation of a shipped ConfigMap whose values are the operator's."""

_OWN_FORGE_PAUSE_S, _FORGE_PAUSE_S = 5.0, 60.0
"""How often the forge is asked for closed pull requests: our own, and one with a rate limit."""

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
        standing.remove_address(state)


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
        self._steps = StepPods(runner=runner, artifacts=self._artifacts, logs=state / "logs")
        self._engine = Engine(objects=store, pods=self._steps, clock=clock)
        self._runs = RunController(objects=store, clock=clock)
        self._deployments = DeploymentController(
            objects=store, runner=runner, logs=state / "logs" / "previews", clock=clock
        )
        self._expiry = ExpiryController(objects=store, clock=clock)
        self._closing = ClosingController(
            objects=store,
            pulls=ForgePulls(objects=store, namespace=NAMESPACE, clock=clock),
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
        await self._install()
        working = [
            group.create_task(self._work(work, ending=ending))
            for work in (
                self._runs.run(),
                self._deployments.run(),
                self._expiry.run(),
                self._closing.run(),
                self._engine.run(),
            )
        ]
        self._announce()
        await self._until_over(ending)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
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

    async def _install(self) -> None:
        """Put the shipped manifests, the settings and the keys into the store."""
        for obj in loading.shipped(namespace=NAMESPACE):
            theirs = KEPT in obj["metadata"].get("annotations", {})
            await (_complete if theirs else _apply)(self._store, obj)
        forge = self._settings.forge
        if forge is None:
            await _apply(self._store, _settings_for(_local_forge(self._sockets.forge_url)))
            await self._make_apps()
        else:
            await _apply(self._store, _settings_for(forge))
            await self._take_apps(Path(forge.apps))
        await self._take_registries()
        await _keep_secret(
            self._store, "evidence-signing", {"key.pem": signing.generate_key().decode()}
        )

    async def _take_registries(self) -> None:
        """Let steps get packages from where this machine's user gets them, too."""
        environment = dict(os.environ)  # noqa: TID251 - package clients are set up by it as well
        found = await asyncio.to_thread(registries.of_user, Path.home(), environment)
        for each in found.left_out:
            _LOG.warning("registry_settings_left_out %s", each)
        await _apply(self._store, _config_map("registry-config", found.files))
        shipped = self._store.peek(Key("ConfigMap", NAMESPACE, "pressplay-settings")) or {}
        hosts = [shipped.get("data", {}).get("PRESSPLAY_REGISTRIES", ""), *found.hosts]
        listed = {"PRESSPLAY_REGISTRIES": ",".join(each for each in hosts if each)}
        await _apply(self._store, _config_map("pressplay-settings", listed))

    async def _take_apps(self, folder: Path) -> None:
        """The user's own Apps. Keys that were taken before serve on where the folder is gone."""
        key = Key("Secret", NAMESPACE, f"github-app-{app_keys.APPROVER}")
        known = await self._store.get(key) is not None
        for name, each in (await asyncio.to_thread(self._read_apps, folder, known=known)).items():
            values = {"app-id": each.app_id, "private-key": each.private_key.reveal()}
            await _apply(self._store, _secret(f"github-app-{name}", values))

    def _read_apps(self, folder: Path, *, known: bool) -> Mapping[str, AppKey]:
        if known and not folder.is_dir():
            _LOG.warning("apps_folder_gone folder=%s using=known_keys", folder)
            return {}
        return app_keys.read_folders(folder, clock=self._clock)

    async def _make_apps(self) -> None:
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


class _NamedImages(Mapping[str, Image]):
    """Our images; in the agent's also the programs that users named on the command line."""

    def __init__(self, store: SqliteObjects, *, runner: Image) -> None:
        self._store = store
        self._runner = runner
        # A repository's own programs expect to find its modules in their working directory.
        plain = {name: value for name, value in runner.env.items() if name != "PYTHONSAFEPATH"}
        self._bare = replace(runner, name="agent", env=plain)
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
            binds = [Bind(Path(each), each) for each in programs if Path(each).exists()]
            self._agents[programs] = self._plain.with_binds(*binds)
        return self._agents[programs]

    @cached_property
    def _plain(self) -> Image:
        """With the languages that this machine knows; asked for once, when an agent first needs it:
        a server that starts has no time to look.
        """
        environment = dict(os.environ)  # noqa: TID251 - rustup finds its settings by it
        rust = rust_programs.find(path=environment.get("PATH", ""), variables=environment)
        if rust is None:
            return self._bare
        return self._bare.with_toolchain(rust.root, programs=rust.programs)


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


async def _complete(objects: Objects, obj: Object) -> None:
    """Add the entries of a ConfigMap that are not there yet; those that are there are theirs."""
    try:
        await objects.create(obj)
    except AlreadyExists:
        found = await objects.get(key_of(obj)) or {}
        await objects.patch(key_of(obj), {"data": {**obj["data"], **(found.get("data") or {})}})


async def _keep_secret(objects: Objects, name: str, values: Mapping[str, str]) -> None:
    """Store a Secret unless there is one: a key that was handed out is never replaced."""
    with contextlib.suppress(AlreadyExists):
        await objects.create(_secret(name, values))


def _secret(name: str, values: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _local_forge(url: str) -> ForgeSettings:
    """The forge that this package carries, at its address."""
    return ForgeSettings(server_url=url, api_url=f"{url}/api/v3", apps="")


def _settings_for(forge: ForgeSettings) -> Object:
    return _config_map(
        "pressplay-settings",
        {
            "GITHUB_API_URL": forge.api_url,
            "GITHUB_SERVER_URL": forge.server_url,
            "PRESSPLAY_APPROVER_APP": forge.approver,
            # Previews of several repositories share this machine.
            "PRESSPLAY_NAMING": "repo-pr",
        },
    )


def _config_map(name: str, data: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": dict(data),
    }
