"""The package's local forge for a cluster: on loopback here, `host.cluster.local` for its pods.

It can be told to say "not now" for a while, because a forge that is down for everybody would be
down for every run of the tests at once.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from differential import repository
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pressplay.api.forge import Repository
from pressplay.base.clocks import SystemClock
from pressplay.base.redaction import Secret
from pressplay.forge import git_auth
from pressplay.forge.client import Forge
from pressplay.forge.local import app as forge_app
from pressplay.forge.local.operator import Operator
from pressplay.server import serving

OPERATOR = "operator"


@dataclass
class Outage:
    """Calls that the forge answers with 503, as many of them as `left` says."""

    pattern: re.Pattern[str]
    left: int


@dataclass
class LiveForge:
    """A running forge: `url` is for this process, `outer_url` for the cluster."""

    url: str
    outer_url: str
    token: str
    operator: Operator
    outages: list[Outage] = field(default_factory=list)

    def client(self) -> Forge:
        """The forge as the operator reads it."""
        return Forge(api_url=f"{self.url}/api/v3", token=Secret(self.token))

    def fail(self, pattern: str, *, times: int) -> None:
        """Answer "not now" to the next calls whose `VERB PATH` matches."""
        self.outages.append(Outage(re.compile(pattern), times))

    def push(self, repository: Repository, folder: Path, refspec: str) -> None:
        """Push from a working copy, as the operator."""
        url = f"{self.url}/{repository.owner}/{repository.name}.git"
        pair = git_auth.environment(self.url, Secret(self.token))
        git(folder, "push", "--quiet", url, refspec, more=pair)


@contextmanager
def serve(directory: Path, *, cluster_tools: Path) -> Iterator[LiveForge]:
    """A forge on a folder, which the pods of the running cluster reach."""
    listener = serving.listen(0)
    port = listener.getsockname()[1]
    url, outer_url = f"http://127.0.0.1:{port}", f"http://{repository.HOST}:{port}"
    token = secrets.token_hex(20)
    outages: list[Outage] = []
    application = forge_app.build(
        directory=directory,
        operator_login=OPERATOR,
        operator_token=token,
        clock=SystemClock(),
        base_url=lambda: outer_url,
    )
    config = uvicorn.Config(
        _Faulty(application, outages), log_config=None, ws="none", lifespan="on", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="forge")
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        repository.expose(cluster_tools, port)
        with Operator(url, token) as operator:
            yield LiveForge(url, outer_url, token, operator, outages)
    finally:
        server.should_exit = True
        thread.join()


def git(folder: Path, *arguments: str, more: Mapping[str, str] | None = None) -> str:
    """Run git in a working copy, unconfigured."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@localhost"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    plain = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607 - whichever comes first on that PATH
        cwd=folder,
        env={**plain, **who, "GIT_CONFIG_NOSYSTEM": "1", **(more or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr}")
    return done.stdout.strip()


class _Faulty:
    """The forge, with its outages before it."""

    def __init__(self, app: ASGIApp, outages: list[Outage]) -> None:
        self._app = app
        self._outages = outages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_out(f"{scope['method']} {scope['path']}"):
            await JSONResponse({"message": "not now"}, status_code=503)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_out(self, call: str) -> bool:
        for outage in self._outages:
            if outage.left and outage.pattern.fullmatch(call):
                outage.left -= 1
                return True
        return False
