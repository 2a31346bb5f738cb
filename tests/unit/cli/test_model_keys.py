"""The user's key in the server's store: there for the run, gone after it."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pressplay.base.clocks import SystemClock
from pressplay.base.redaction import Secret
from pressplay.cli import model_keys
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.memory import MemoryObjects
from pressplay.server import app
from pressplay.server.auth import Accounts

KEY = {"api-key": Secret("the-key"), "base-url": Secret("")}
RUN: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "run-1", "namespace": "agents"},
    "spec": {
        "entrypoint": "main",
        "templates": [{"name": "main", "container": {"image": "x", "command": ["true"]}}],
    },
}


class _Nothing:
    def path(self, *_: str, is_previous: bool = False) -> Path | None:
        return None

    def goes_on(self, *_: str) -> bool:
        return False


@pytest.fixture
def kube() -> Iterator[KubeClient]:
    """A client of a real API server with an empty store."""
    application = app.build(
        objects=MemoryObjects(clock=SystemClock()),
        accounts=Accounts(server_key="key-of-these-tests", operator_token="operator-token"),
        pod_logs=_Nothing(),
        artifacts=_Nothing(),
        clock=SystemClock(),
    )
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    with KubeClient(url=f"http://127.0.0.1:{port}", token=Secret("operator-token")) as client:
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}})
        yield client
    server.should_exit = True
    thread.join()


def _stored(kube: KubeClient) -> dict[str, str]:
    found = kube.get("Secret", "agents", model_keys.NAME)
    data = {} if found is None else found["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def test_a_new_key_takes_the_place_of_the_old_one_with_its_endpoint(kube: KubeClient) -> None:
    model_keys.put(kube, {**KEY, "base-url": Secret("https://old.example")})
    model_keys.put(kube, {**KEY, "api-key": Secret("another")})
    assert _stored(kube) == {"api-key": "another", "base-url": ""}


def test_the_key_goes_when_no_run_goes_on(kube: KubeClient) -> None:
    model_keys.put(kube, KEY)
    kube.create(RUN)
    model_keys.forget(kube)
    assert _stored(kube)["api-key"] == "the-key"
    labels = {"workflows.argoproj.io/completed": "true"}
    kube.patch("Workflow", "agents", "run-1", {"metadata": {"labels": labels}})
    model_keys.forget(kube)
    assert _stored(kube) == {}
    model_keys.forget(kube)


def test_an_operators_own_key_is_left_alone(kube: KubeClient) -> None:
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": model_keys.NAME, "namespace": "agents"},
            "data": {"api-key": base64.b64encode(b"theirs").decode()},
        }
    )
    model_keys.forget(kube)
    assert _stored(kube) == {"api-key": "theirs"}
