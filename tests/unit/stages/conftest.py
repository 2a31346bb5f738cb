"""What the tests of stages share: a stage's world, a forge and an API server, all of them real."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from pressplay.base.clocks import SystemClock
from pressplay.base.redaction import Secret
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.memory import MemoryObjects
from pressplay.forge import tokens
from pressplay.forge.client import Forge
from pressplay.forge.local import app as forge_app
from pressplay.forge.local.operator import Operator
from pressplay.forge.tokens import AppKey
from pressplay.manifests import loading
from pressplay.server import app as server_app
from pressplay.server.auth import Accounts
from pressplay.stages import scratch
from pressplay.stages.environment import StageEnvironment

MakeEnv = Callable[..., StageEnvironment]

GIT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@example.com" for who in ("AUTHOR", "COMMITTER")},
}
"""The whole environment of git in these tests."""

OPERATOR = "operator"
OPERATOR_TOKEN = "operator-token-of-these-tests"

APPS = {
    "rex": {"contents": "write", "pull_requests": "write", "issues": "write", "checks": "read"},
    "qa-approver": {"contents": "read", "pull_requests": "write", "checks": "write"},
}


@pytest.fixture(autouse=True)
def scratch_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those of a test end with it: what stands for a container here ends with pytest only."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(scratch, "folder", lambda: Path(tempfile.mkdtemp(dir=folder)))
        yield


@pytest.fixture
def make_env(tmp_path: Path) -> MakeEnv:
    """Makes a StageEnvironment: parameters by keyword without PRESSPLAY_, settings as a mapping."""

    def make(*argv: str, settings: dict[str, str] | None = None, **given: str) -> StageEnvironment:
        variables = {
            "PATH": os.environ["PATH"],
            "PRESSPLAY_OUT": str(tmp_path / "out"),
            "PRESSPLAY_ARTIFACTS": str(tmp_path / "artifacts"),
            "PRESSPLAY_IN": str(tmp_path / "in"),
            "PRESSPLAY_WORKSPACE": str(tmp_path / "work"),
            "PRESSPLAY_AGENTS_DIR": str(tmp_path / "agents"),
            "PRESSPLAY_TOKEN_FILE": str(tmp_path / "github" / "token"),
            "PRESSPLAY_APP_KEY_DIR": str(tmp_path / "app-key"),
            "PRESSPLAY_SIGNING_KEY_DIR": str(tmp_path / "signing-key"),
            **{f"PRESSPLAY_{name}": value for name, value in given.items()},
            **(settings or {}),
        }
        return StageEnvironment(variables=variables, argv=argv)

    return make


@contextmanager
def serving(application: ASGIApp) -> Iterator[tuple[str, asyncio.AbstractEventLoop]]:
    """The application on a free port of the loopback, in a thread; its address and its loop."""
    config = uvicorn.Config(application, port=0, log_level="critical", lifespan="auto")
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", loop
    finally:
        server.should_exit = True
        thread.join()
        loop.close()


@dataclass
class LocalForge:
    """A running local forge with its Apps."""

    url: str
    operator: Operator
    keys: dict[str, AppKey]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    minted: dict[tuple[str, ...], Secret] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/v3"

    @property
    def settings(self) -> dict[str, str]:
        return {"GITHUB_API_URL": self.api_url, "GITHUB_SERVER_URL": self.url}

    def token(self, app: str, repository: Repo, **permissions: str) -> Secret:
        """A token of an App for one repository; with all that the App may do by default.

        Kept: a test that makes many clients does not want to sign for each.
        """
        key = (app, repository.name, *sorted(permissions))
        if key in self.minted:
            return self.minted[key]
        minted = tokens.mint(
            api_url=self.api_url,
            app=self.keys[app],
            owner=repository.owner,
            repo=repository.name,
            permissions=permissions or APPS[app],
            clock=SystemClock(),
        )
        self.minted[key] = minted.value
        return minted.value


@dataclass
class Repo:
    """A repository on the forge with a clone to push from."""

    forge: LocalForge
    owner: str
    name: str
    clone: Path
    branches: set[str] = field(default_factory=lambda: {"main"})

    def git(self, *arguments: str) -> str:
        """Run git in the clone, as the operator."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.clone, env=GIT, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, branch: str, files: dict[str, str], *, push: bool = True) -> str:
        """Commit files on a branch, made from main if it is new, and push it; the commit."""
        known = branch in self.branches
        self.branches.add(branch)
        self.git("checkout", "-q", *([branch] if known else ["-b", branch, "main"]))
        for path, content in files.items():
            (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / path).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"Change {', '.join(files)}")
        if push:
            self.push(branch)
        return self.git("rev-parse", "HEAD")

    def push(self, *branches: str) -> None:
        """Push branches, all at once: each push costs a tenth of a second."""
        self.git("push", "-q", "--force", "origin", *branches)

    def client(self, app: str) -> Forge:
        """The forge as an App sees it."""
        return Forge(api_url=self.forge.api_url, token=self.forge.token(app, self))


@pytest.fixture(scope="session")
def local_forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalForge]:
    """One forge for all tests of a worker; every test makes its own repository."""
    address: list[str] = []
    application = forge_app.build(
        directory=tmp_path_factory.mktemp("forge"),
        operator_login=OPERATOR,
        operator_token=OPERATOR_TOKEN,
        clock=SystemClock(),
        base_url=lambda: address[0],
        search_path=os.environ["PATH"],
    )
    with serving(application) as (url, _loop):
        address.append(url)
        with Operator(url, OPERATOR_TOKEN) as operator:
            keys = {}
            for slug, permissions in APPS.items():
                made = operator.ensure_app(slug, permissions)
                keys[slug] = AppKey(app_id=str(made.id), private_key=Secret(made.private_key))
            yield LocalForge(url=url, operator=operator, keys=keys)


@pytest.fixture(scope="session")
def first_commit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with one commit on main, to be copied: that is quicker than to make it."""
    folder = tmp_path_factory.mktemp("first") / "clone"
    folder.mkdir()
    (folder / "README.md").write_text("A list of things to do.\n")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=folder, env=GIT, check=True, capture_output=True)
    return folder


@pytest.fixture
def repository(local_forge: LocalForge, first_commit: Path, tmp_path: Path) -> Repo:
    """A fresh repository with one commit on main, which is protected."""
    name = f"todo-{next(local_forge.numbers)}"
    made = local_forge.operator.ensure_repository(name)
    clone = shutil.copytree(first_commit, tmp_path / "clone")
    repo = Repo(local_forge, made.owner, made.name, clone)
    host = local_forge.url.removeprefix("http://")
    remote = f"http://{OPERATOR}:{OPERATOR_TOKEN}@{host}/{made.owner}/{made.name}.git"
    repo.git("remote", "add", "origin", remote)
    repo.git("push", "-q", "origin", "main")
    return repo


@dataclass
class Logs:
    """Logs of pods that no kubelet runs."""

    folder: Path

    def path(
        self, namespace: str, pod: str, container: str, *, is_previous: bool = False
    ) -> Path | None:
        name = f"{container}.previous" if is_previous else container
        file = self.folder / namespace / pod / name
        return file if file.is_file() else None

    def goes_on(self, namespace: str, pod: str) -> bool:
        """Whatever wrote a log here has ended."""
        return False

    def write(self, namespace: str, pod: str, container: str, text: str) -> None:
        file = self.folder / namespace / pod / container
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@dataclass
class Cluster:
    """A running API server with the shipped rights; `operator` may do everything."""

    url: str
    operator: KubeClient
    accounts: Accounts
    logs: Logs
    objects: MemoryObjects
    loop: asyncio.AbstractEventLoop

    def token(self, account: str) -> str:
        return self.accounts.token("agents", account)

    def client(self, account: str) -> KubeClient:
        """The client of a pod with this service account."""
        return KubeClient(url=self.url, token=Secret(self.token(account)))

    def root(self, folder: Path, account: str) -> dict[str, str]:
        """Settings that make a stage reach this server with the account's token."""
        mounted = folder / f"root-{account}/var/run/secrets/kubernetes.io/serviceaccount"
        mounted.mkdir(parents=True, exist_ok=True)
        (mounted / "token").write_text(self.token(account))
        root = str(folder / f"root-{account}")
        return {"PRESSPLAY_KUBE_URL": self.url, "PRESSPLAY_ROOT": root}


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One API server for all tests of a worker."""
    objects = MemoryObjects(clock=SystemClock())
    accounts = Accounts(server_key="key-of-these-tests", operator_token=OPERATOR_TOKEN)
    logs = Logs(tmp_path_factory.mktemp("logs"))
    application = server_app.build(
        objects=objects,
        accounts=accounts,
        pod_logs=logs,
        artifacts=_NoArtifacts(),
        clock=SystemClock(),
    )
    with (
        serving(application) as (url, loop),
        KubeClient(url=url, token=Secret(OPERATOR_TOKEN)) as operator,
    ):
        for obj in loading.documents(resources.files("pressplay.manifests") / "rbac/rights.yaml"):
            operator.apply(obj)
        yield Cluster(url, operator, accounts, logs, objects, loop)


@pytest.fixture
def cluster(api_server: Cluster) -> Iterator[Cluster]:
    """The API server, holding no run and no preview before and after."""
    yield api_server
    for kind in ("CodeRun", "DocsRun", "Workflow"):
        for obj in api_server.operator.list(kind, "agents"):
            api_server.operator.delete(kind, "agents", obj["metadata"]["name"])
    for obj in api_server.operator.list("Namespace"):
        if obj["metadata"]["name"] != "agents":
            api_server.operator.delete("Namespace", "", obj["metadata"]["name"])


class _NoArtifacts:
    def path(self, key: str) -> Path | None:
        return None
