"""Sandboxes for pods; a local forge on an ephemeral loopback port, and real git against it.

At the end of every test that uses it the alarm must be silent, unless the test said beforehand
that it would ring it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from pressplay.base import processes
from pressplay.base.clocks import SystemClock
from pressplay.base.processes import Finished
from pressplay.base.redaction import Secret
from pressplay.forge import git_auth, session, tokens
from pressplay.forge.client import Forge
from pressplay.forge.local.app import build
from pressplay.forge.local.operator import Operator
from pressplay.forge.tokens import AppKey
from pressplay.pods import images, sandboxing
from pressplay.pods.images import Image
from pressplay.pods.sandboxing import Bubblewrap, Plain, Sandbox

SANDBOX = sandboxing.detect()
OPERATOR = "captain"
OPERATOR_TOKEN = Secret("operator-token-for-these-tests-only")
EVERYTHING = {
    "contents": "write",
    "pull_requests": "write",
    "issues": "write",
    "checks": "write",
}


@pytest.fixture(params=["bubblewrap", "plain"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Every sandbox that there is, one after another."""
    if request.param == "plain":
        return Plain()
    if not isinstance(SANDBOX, Bubblewrap):
        pytest.skip(SANDBOX.warning)
    return SANDBOX


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """This machine's own root folder as an image."""
    return images.host_image(etc_folder=tmp_path_factory.mktemp("image") / "etc")


class MovableClock(SystemClock):
    """The machine's clock, moved on by as much as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class ServedForge:
    """A running local forge as tests see it."""

    url: str
    clock: MovableClock
    operator: Operator
    http: httpx2.Client
    keys: dict[str, AppKey] = field(default_factory=dict)
    may_ring: bool = False

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/v3"

    def app(self, slug: str, permissions: Mapping[str, str] = EVERYTHING) -> AppKey:
        """An App's key; the App is made when it is first asked for."""
        if slug not in self.keys:
            made = self.operator.ensure_app(slug, permissions)
            self.keys[slug] = AppKey(app_id=str(made.id), private_key=Secret(made.private_key))
        return self.keys[slug]

    def token(self, repo: str, *, slug: str = "rex", **wanted: str) -> Secret:
        """A token of an App that is granted EVERYTHING, with `wanted` (default: all of it)."""
        minted = tokens.mint(
            api_url=self.api_url,
            app=self.app(slug),
            owner=OPERATOR,
            repo=repo,
            permissions=wanted or EVERYTHING,
            clock=self.clock,
        )
        return minted.value

    def client(self, repo: str, *, slug: str = "rex", **wanted: str) -> Forge:
        """The forge as a stage with such a token sees it."""
        return Forge(api_url=self.api_url, token=self.token(repo, slug=slug, **wanted))


ServeForge = Callable[[Path], AbstractContextManager[ServedForge]]


@contextmanager
def _serve(directory: Path) -> Iterator[ServedForge]:
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this only on sockets that name their protocol; without it each answer that is
    # written in two pieces waits 40 ms for the other side's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = MovableClock()
    application = build(
        directory=directory,
        operator_login=OPERATOR,
        operator_token=OPERATOR_TOKEN.reveal(),
        clock=clock,
        base_url=lambda: url,
        search_path=os.environ["PATH"],
    )
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with (
            Operator(url, OPERATOR_TOKEN.reveal()) as operator,
            httpx2.Client(base_url=url, transport=session.direct(url)) as http,
        ):
            yield ServedForge(url=url, clock=clock, operator=operator, http=http)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serve_forge() -> ServeForge:
    """Starts a forge on a directory, for a test that wants one of its own."""
    return _serve


@pytest.fixture(scope="session")
def _shared_forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedForge]:
    with _serve(tmp_path_factory.mktemp("forge")) as served:
        yield served


@pytest.fixture
def forge(_shared_forge: ServedForge) -> Iterator[ServedForge]:
    """The forge that all tests of a process share; each makes its own repository."""
    before = len(_shared_forge.operator.alarms())
    _shared_forge.may_ring = False
    yield _shared_forge
    _shared_forge.clock.ahead = timedelta()
    rung = _shared_forge.operator.alarms()[before:]
    assert _shared_forge.may_ring or not rung, f"the alarm rang: {rung}"


_numbers = count(1)


@pytest.fixture
def repo(forge: ServedForge) -> str:
    """The name of an empty repository of this test's own, owned by the operator."""
    return forge.operator.ensure_repository(f"app-{next(_numbers)}").name


@dataclass(frozen=True)
class Checkout:
    """A working copy, used with real git and one token."""

    folder: Path
    server_url: str
    token: Secret

    def git(self, *arguments: str) -> Finished:
        """Run git here; the token is in the environment only."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
            **git_auth.environment(self.server_url, self.token),
        }  # fmt: skip
        return processes.run(["git", *arguments], env=env, cwd=self.folder)

    def commit(self, files: dict[str, str], *, message: str = "change") -> str:
        """Write files, commit them, return the commit's sha."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        assert self.git("add", "--all").ok
        done = self.git("commit", "--quiet", "--allow-empty", "--message", message)
        assert done.ok, done.complaint()
        return self.git("rev-parse", "HEAD").text().strip()

    def push(self, refspec: str, *options: str) -> Finished:
        return self.git("push", *options, "origin", refspec)


CloneRepo = Callable[..., Checkout]


@pytest.fixture
def clone(forge: ServedForge, tmp_path: Path) -> CloneRepo:
    """Makes checkouts: `clone(repo, token=…)`, by default with the operator's token."""
    made = count(1)

    def clone(repo: str, *, token: Secret = OPERATOR_TOKEN, url: str = "") -> Checkout:
        server = url or forge.url
        folder = tmp_path / f"checkout-{next(made)}"
        folder.mkdir()
        checkout = Checkout(folder=folder, server_url=server, token=token)
        done = checkout.git("clone", "--quiet", f"{server}/{OPERATOR}/{repo}.git", ".")
        assert done.ok, done.complaint()
        return checkout

    return clone


@pytest.fixture
def filled_repo(repo: str, clone: CloneRepo) -> str:
    """A repository with one commit on main."""
    seed = clone(repo)
    seed.commit({"README.md": "hello\n", "src/app.py": "print('hi')\n"})
    done = seed.push("HEAD:refs/heads/main")
    assert done.ok, done.complaint()
    return repo


@dataclass(frozen=True)
class Received:
    """One POST as a webhook's receiver got it."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> str:
        return self.headers["X-GitHub-Event"]

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def label(self) -> str:
        """Event and action, as GitHub's description names them."""
        return "/".join(filter(None, (self.event, self.document.get("action", ""))))


class Receiver(ThreadingHTTPServer):
    """A webhook's other end: keeps what comes and answers `status` when `gate` is open."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiving)
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.got: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def wait_for(self, count: int, *, label: str = "") -> list[Received]:
        """What has come, once it is as much as `count`, of one label if one is named."""
        for _ in range(500):
            if sum(label in ("", it.label) for it in self.got) >= count:
                return list(self.got)
            time.sleep(0.02)
        raise AssertionError(f"only {[it.label for it in self.got]} came, not {count}")


class _Receiving(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append(Received(headers=dict(self.headers), body=body))
        server.gate.wait(30)
        with contextlib.suppress(OSError):  # the sender may have gone by now
            self.send_response(server.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who listens to webhooks."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()
