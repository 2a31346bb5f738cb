"""The controllers as a cluster runs them: a process of its own, with the shipped rights alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.cli import clusters
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Object
from pressplay.manifests import loading
from pressplay.server import app, serving
from pressplay.server.auth import Accounts


class _Nothing:
    """A server without logs and without artifacts."""

    def path(self, *_parts: str, is_previous: bool = False) -> Path | None:
        return None

    def goes_on(self, namespace: str, pod: str) -> bool:
        return False


@dataclass
class Cluster:
    """Our own API with everything that is shipped, in place of a cluster's."""

    store: MemoryObjects
    accounts: Accounts
    url: str
    folder: Path

    def kubeconfig(self, account: str) -> Path:
        """What leads there as a service account."""
        token = self.accounts.token("agents", account)
        path = self.folder / f"{account}.config"
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": {"token": token}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        return path

    @asynccontextmanager
    async def controllers(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`pressplay controllers`, ended at the latest when this ends."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pressplay.cli", "controllers", *options),
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def until(self, key: Key, *path: str, value: Any) -> Object:
        """The object, once the field has the value."""
        async with asyncio.timeout(20):
            while True:
                found = await self.store.get(key)
                obj: Any = found
                for name in path:
                    obj = (obj or {}).get(name)
                if found is not None and obj == value:
                    return found
                await asyncio.sleep(0.02)

    async def until_gone(self, key: Key) -> None:
        async with asyncio.timeout(20):
            while await self.store.get(key) is not None:
                await asyncio.sleep(0.02)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    store = MemoryObjects(clock=SystemClock())
    for obj in loading.shipped(namespace="agents"):
        await store.create(obj)
    accounts = Accounts(server_key="key", operator_token="token")
    server = serving.http(
        app.build(
            objects=store,
            accounts=accounts,
            pod_logs=_Nothing(),
            artifacts=_Nothing(),
            clock=SystemClock(),
        )
    )
    with serving.listen(0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            yield Cluster(store, accounts, url, tmp_path)
            server.should_exit = True


async def _read_until(process: asyncio.subprocess.Process, words: str) -> list[str]:
    """The lines of the log up to the one with these words."""
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(20):
        while not lines or words not in lines[-1]:
            line = await process.stderr.readline()
            assert line, lines
            lines.append(line.decode())
    return lines


def _run(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "taskmaster.io/v1",
        "kind": "CodeRun",
        "metadata": {"name": name, "namespace": "agents"},
        "spec": {"repo": "o/r", "github": {"appName": "qa"}, **spec},
    }


def _preview(name: str, expires: str) -> Object:
    annotations = {"pressplay.dev/expires": expires}
    labels = {"preview": "true"}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


async def test_runs_and_previews_are_looked_after_with_the_shipped_rights(
    cluster: Cluster,
) -> None:
    store = cluster.store
    await store.create(_run("early", run="parent"))
    await store.create(_preview("impl-pr-1", "2026-01-01T00:00:00Z"))
    await store.create(_preview("impl-pr-2", "2999-01-01T00:00:00Z"))
    # The label alone makes no preview: the server refuses, and everything goes on.
    await store.create(_preview("important", "2026-01-01T00:00:00Z"))
    config = cluster.kubeconfig("controllers")
    async with cluster.controllers("--kubeconfig", str(config)) as process:
        lines = await _read_until(process, "controllers_ready controllers=runs,expiry\n")
        assert "version=v" in lines[0]
        early = Key("Workflow", "agents", "early")
        await cluster.until(early, "spec", "workflowTemplateRef", value={"name": "coderun-run"})
        await cluster.until_gone(Key("Namespace", "", "impl-pr-1"))
        run = await store.create(_run("late"))
        await cluster.until(Key("Workflow", "agents", "late"), "kind", value="Workflow")
        late = Key("CodeRun", "agents", "late")
        await cluster.until(late, "status", "phase", value="Pending")
        await store.patch(Key("Workflow", "agents", "late"), {"status": {"phase": "Succeeded"}})
        ended = await cluster.until(late, "status", "phase", value="Succeeded")
        assert ended["metadata"]["generation"] == run["metadata"]["generation"]
        process.send_signal(signal.SIGTERM)
        said = "".join([*lines, *await _read_until(process, "controllers_ended")])
        assert await process.wait() == 0
    assert "preview_stays namespace=important" in said
    assert "Traceback" not in said
    left = {each["metadata"]["name"] for each in await store.list("Namespace")}
    assert left == {"agents", "impl-pr-2", "important"}


@pytest.mark.parametrize(
    ("account", "options", "message"),
    [
        ("sealer", (), 'namespaces "agents" is forbidden'),
        ("preview-janitor", (), "Workflow cannot be watched: workflows.argoproj.io is forbidden"),
        ("controllers", ("--namespace", "elsewhere"), "There is no namespace 'elsewhere'"),
    ],
)
async def test_what_no_waiting_helps_against_ends_it_with_a_sentence(
    cluster: Cluster, account: str, options: tuple[str, ...], message: str
) -> None:
    config = cluster.kubeconfig(account)
    async with cluster.controllers("--kubeconfig", str(config), *options) as process:
        async with asyncio.timeout(20):
            _, said = await process.communicate()
    assert process.returncode == 2
    assert message in said.decode()
    assert "Traceback" not in said.decode()


async def test_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with serving.listen(0) as listener:
        port = listener.getsockname()[1]
    nowhere = Cluster(
        MemoryObjects(clock=SystemClock()),
        Accounts(server_key="key", operator_token="token"),
        f"http://127.0.0.1:{port}",
        tmp_path,
    )
    async with nowhere.controllers("--kubeconfig", str(nowhere.kubeconfig("x"))) as process:
        await _read_until(process, "server_unavailable while=start")
        await _read_until(process, "server_unavailable while=start")
        process.terminate()
        assert await process.wait() == 0


def _config(path: Path, server: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://{server}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


def test_cluster_is_found_where_every_controller_looks_for_it(tmp_path: Path) -> None:
    named = _config(tmp_path / "named", "named")
    told = _config(tmp_path / "told", "told")
    _config(tmp_path / ".kube" / "config", "home")
    (tmp_path / "token").write_text("t")
    around = {
        "HOME": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "PRESSPLAY_KUBE_URL": "http://pod",
        "KUBECONFIG": f"{tmp_path}/none:{told}",
    }

    def find(given: str | None) -> str:
        found = clusters.find(given, context="", environment=around, service_account_dir=tmp_path)
        return found.url

    assert find(str(named)) == "http://named"
    with pytest.raises(Refused, match="--kubeconfig names the one to use"):
        find(str(tmp_path / "none"))
    for name, url in (
        ("KUBECONFIG", "http://told"),
        ("KUBERNETES_SERVICE_HOST", "http://pod"),
        ("HOME", "http://home"),
    ):
        assert find(None) == url
        del around[name]
