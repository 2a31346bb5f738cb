"""The embedded engine: a server of our own on a state folder that is thrown away."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from differential.cases import Action, Case
from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.cli import local_server
from pressplay.cluster.kube import KubeClient

_SHUTDOWNS = {"stop": "Stop", "terminate": "Terminate"}


class Embedded:
    """See `asking.Runtime`."""

    pause_s = 0.05

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Embedded]:
        """A server for as long as this lasts."""
        with tempfile.TemporaryDirectory(prefix="pressplay-corpus-") as folder:
            state = Path(folder) / "state"
            address = local_server.ensure(state)
            try:
                token = Secret(address.operator_token)
                with KubeClient(url=address.kube_url, token=token) as client:
                    yield cls(client)
            finally:
                _end(state)

    @contextmanager
    def place(self, case: Case) -> Iterator[str]:
        namespace = namespace_of(case)
        self._client.delete("Namespace", "", namespace)
        metadata = {"name": namespace}
        self._client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        try:
            yield namespace
        finally:
            self._client.delete("Namespace", "", namespace)

    def create(self, namespace: str, obj: Mapping[str, Any]) -> None:
        self._client.create({**obj, "metadata": {**obj["metadata"], "namespace": namespace}})

    def workflows(self, namespace: str) -> list[dict[str, Any]]:
        return self._client.list("Workflow", namespace)

    def act(self, namespace: str, workflow: Mapping[str, Any], action: Action) -> None:
        name = workflow["metadata"]["name"]
        if action.do == "patch":
            self._client.patch("Workflow", namespace, name, dict(action.arguments))
        elif action.do in _SHUTDOWNS and not action.arguments:
            change = {"spec": {"shutdown": _SHUTDOWNS[action.do]}}
            self._client.patch("Workflow", namespace, name, change)
        else:
            raise Refused(f"The embedded engine has nothing yet to {action.do} with")


def namespace_of(case: Case) -> str:
    """The namespace in which a case is asked."""
    return re.sub(r"[^a-z0-9-]+", "-", f"corpus-{case.name}".lower())[:63].rstrip("-")


def _end(state: Path) -> None:
    command = [sys.executable, "-m", "pressplay.cli", "--state", str(state), "down"]
    processes.run(command, env={"HOME": str(state)}, timeout_s=60)
