from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pressplay.base.clocks import SystemClock
from pressplay.base.redaction import Secret
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.memory import MemoryObjects
from pressplay.server import app
from pressplay.server.auth import Accounts

OPERATOR = "operator-token"


class Files:
    """Logs and artifacts below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, *parts: str, is_previous: bool = False) -> Path | None:
        found = self.folder.joinpath(*parts[:-1], parts[-1] + is_previous * ".previous")
        return found if found.exists() else None

    def goes_on(self, namespace: str, pod: str) -> bool:
        return (self.folder / namespace / pod / "runs").exists()


@dataclass
class Served:
    """A real server on loopback, in a thread of its own."""

    url: str
    accounts: Accounts
    folder: Path

    def client(self, account: str = "") -> KubeClient:
        """A client of the operator, or of an account in `agents`."""
        token = self.accounts.token("agents", account) if account else OPERATOR
        return KubeClient(url=self.url, token=Secret(token))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    accounts = Accounts(server_key="key", operator_token=OPERATOR)
    listener = socket.create_server(("127.0.0.1", 0))
    files = Files(folder)
    application = app.build(
        objects=MemoryObjects(clock=SystemClock()),
        accounts=accounts,
        pod_logs=files,
        artifacts=files,
        clock=SystemClock(),
    )
    config: dict[str, Any] = {"lifespan": "off", "log_config": None, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(application, **config))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", accounts, folder)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
