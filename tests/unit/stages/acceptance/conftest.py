"""Apps with known manners, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pressplay.api.policy import Acceptance, Policy, Record
from pressplay.stages.environment import StageEnvironment

HEAD = "a" * 40

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class App:
    """An app that is listening; `asked` lists the requests it saw."""

    port: int
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def connect(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def listening(handler: Handler) -> Iterator[App]:
    """The app in a thread of its own, as a preview is a process of its own."""
    app = App(0)
    started = threading.Event()
    stop: Callable[[], object] = started.clear

    async def recorded(request: web.BaseRequest) -> web.StreamResponse:
        app.asked.append((request.method, str(request.rel_url), request.headers["Host"]))
        return await handler(request)

    async def serve() -> None:
        nonlocal stop
        ended = asyncio.Event()
        stop = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
        runner = web.ServerRunner(web.Server(recorded), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        app.port = runner.addresses[0][1]
        started.set()
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait(10)
    try:
        yield app
    finally:
        stop()
        thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], App]]:
    """Starts an app that lives as long as the test."""
    with contextlib.ExitStack() as stack:
        yield lambda handler: stack.enter_context(listening(handler))


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., StageEnvironment]:
    """The world of one acceptance stage."""

    def make(connect: str, acceptance: Acceptance, **variables: str) -> StageEnvironment:
        inputs = tmp_path / "in"
        inputs.mkdir(exist_ok=True)
        record = Record(Policy(acceptance=acceptance), "b" * 40)
        (inputs / "policy.json").write_text(json.dumps(record.to_json()))
        return StageEnvironment(
            variables={
                "PRESSPLAY_IN": str(inputs),
                "PRESSPLAY_OUT": str(tmp_path / "out"),
                "PRESSPLAY_ARTIFACTS": str(tmp_path / "artifacts"),
                "PRESSPLAY_SHA": HEAD,
                "PRESSPLAY_URLS": json.dumps(urls(connect)),
            }
            | variables
        )

    return make


def urls(connect: str) -> dict[str, Any]:
    return {
        "hosts": ["pr-7.preview.localhost"],
        "ns": "impl-pr-7",
        "release": "app-pr-7",
        "endpoints": [
            {
                "host": "pr-7.preview.localhost",
                "path": "/",
                "url": "http://pr-7.preview.localhost:4712/",
                "connect": connect,
            }
        ],
        "deployer": "process",
        "sha": HEAD,
    }
