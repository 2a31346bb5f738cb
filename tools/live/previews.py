"""Two doubles: what a cluster must have for previews of the deployer `process`, and this one lacks.

A driver for the inline volume `artifacts.pressplay.dev`, and an ingress controller. Deployment,
Service, Ingress and all the rest are made by the stage itself; the doubles put the very tree that
the volume names into a ConfigMap in its place, and the Service's address into the Ingress' status.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from live.kubectl import Kubectl
from pressplay.base.errors import PressplayError
from pressplay.cluster.kube import KubeClient
from pressplay.stages.previews import objects

_PAUSE_S = 0.5
_TREE = "tree"


class Doubles:
    """Looks after the previews of a cluster; `artifacts` is the folder of the artifact server."""

    def __init__(self, kube: KubeClient, *, kubectl: Kubectl, artifacts: Path) -> None:
        self._kube = kube
        self._kubectl = kubectl
        self._artifacts = artifacts
        self.complaints: list[str] = []

    def look(self) -> None:
        """Once over all previews."""
        for namespace in self._kube.list("Namespace", labels=f"{objects.PREVIEW}=true"):
            name = namespace["metadata"]["name"]
            for deployment in self._kube.list("Deployment", name):
                self._drive(name, deployment)
            for ingress in self._kube.list("Ingress", name):
                self._lead(name, ingress)

    def _drive(self, namespace: str, deployment: dict[str, Any]) -> None:
        """In place of the volume's driver."""
        volumes = deployment["spec"]["template"]["spec"].get("volumes") or []
        for number, volume in enumerate(volumes):
            csi = volume.get("csi") or {}
            if csi.get("driver") != objects.CSI_DRIVER:
                continue
            key = csi["volumeAttributes"]["key"]
            self._kubectl.apply(self._tree(key), namespace=namespace)
            items = [{"key": each, "path": path} for each, path in self._files(key).items()]
            instead = {"name": volume["name"], "configMap": {"name": _TREE, "items": items}}
            patch = f'[{{"op":"replace","path":"/spec/template/spec/volumes/{number}","value":'
            self._kubectl(
                *("-n", namespace, "patch", "deployment", deployment["metadata"]["name"]),
                *("--type=json", "-p", f"{patch}{json.dumps(instead)}}}]"),
            )

    def _tree(self, key: str) -> dict[str, Any]:
        data = {
            each: (self._artifacts / key / path).read_text()
            for each, path in self._files(key).items()
        }
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _TREE}, "data": data}

    def _files(self, key: str) -> dict[str, str]:
        """Key of the ConfigMap to path in the tree."""
        folder = self._artifacts / key
        paths = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        return {path.replace("/", "__"): path for path in paths}

    def _lead(self, namespace: str, ingress: dict[str, Any]) -> None:
        """In place of an ingress controller."""
        name = ingress["metadata"]["name"]
        if ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
            return
        service = self._kube.get("Service", namespace, name)
        if service is None:
            return
        point = {"ip": service["spec"]["clusterIP"]}
        patch = {"status": {"loadBalancer": {"ingress": [point]}}}
        self._kube.patch("Ingress", namespace, name, patch, subresource="status")


@contextmanager
def played(doubles: Doubles) -> Iterator[None]:
    """The doubles at work, until the context ends."""
    ending = threading.Event()

    def work() -> None:
        while not ending.wait(_PAUSE_S):
            try:
                doubles.look()
            except (PressplayError, RuntimeError, OSError) as error:
                # A preview may go while it is looked at; whoever waits for one sees that it fails.
                doubles.complaints.append(str(error))

    thread = threading.Thread(target=work, name="previews")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
