from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from pressplay.base.clocks import SystemClock
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Object
from pressplay.server import app
from pressplay.server.auth import Accounts

OPERATOR = "operator-token"


class Logs:
    """Logs below one folder: namespace/pod/container.log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(
        self, namespace: str, pod: str, container: str, *, is_previous: bool = False
    ) -> Path | None:
        name = f"{container}.previous.log" if is_previous else f"{container}.log"
        found = self.folder / namespace / pod / name
        return found if found.exists() else None

    def goes_on(self, namespace: str, pod: str) -> bool:
        """A step's pod runs as long as a file of its name lies there."""
        return (self.folder / namespace / f"{pod}.runs").exists()


class Files:
    """Artifacts below one folder, by key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path | None:
        found = self.folder / key
        return found if found.exists() else None


@dataclass
class Api:
    """A server over a store in memory, and a client that may be anybody."""

    store: MemoryObjects
    accounts: Accounts
    client: httpx2.AsyncClient
    logs: Path
    artifacts: Path

    async def ask(
        self,
        verb: str,
        path: str,
        *,
        body: Any = None,
        account: str = "",
        media: str = "application/json",
        **query: str,
    ) -> httpx2.Response:
        """One request; as the operator, or as a service account of the namespace `agents`."""
        token = self.accounts.token("agents", account) if account else OPERATOR
        headers = {"authorization": f"Bearer {token}", "content-type": media}
        if isinstance(body, bytes):
            return await self.client.request(
                verb, path, content=body, headers=headers, params=query or None
            )
        return await self.client.request(
            verb, path, json=body, headers=headers, params=query or None
        )

    async def patch(
        self, path: str, patch: Object, *, account: str = "", kind: str = "merge-patch+json"
    ) -> httpx2.Response:
        return await self.ask(
            "PATCH", path, body=patch, account=account, media=f"application/{kind}"
        )


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    store = MemoryObjects(clock=SystemClock())
    for obj in _shipped("rbac/rights.yaml"):
        await store.create(obj)
    accounts = Accounts(server_key="server-key", operator_token=OPERATOR)
    logs, artifacts = tmp_path / "logs", tmp_path / "artifacts"
    application = app.build(
        objects=store,
        accounts=accounts,
        pod_logs=Logs(logs),
        artifacts=Files(artifacts),
        clock=SystemClock(),
    )
    transport = httpx2.ASGITransport(application, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        yield Api(store, accounts, client, logs, artifacts)


@functools.cache
def _shipped(name: str) -> tuple[dict[str, Any], ...]:
    """The objects of one shipped manifest."""
    text = (resources.files("pressplay.manifests") / name).read_text()
    return tuple(each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each)
