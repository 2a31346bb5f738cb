"""A cluster with real Argo: the one that KUBECONFIG names, spoken to as its user does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from differential.cases import Action, Case
from differential.embedded import namespace_of
from pressplay.base import processes
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster import kubeconfig
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import Object
from pressplay.engine import nodes

_CONTROLLER = "argo"
"""The namespace and the service account of Argo's controller."""
_VERBS = ["get", "list", "watch", "create", "patch", "update", "delete"]
_RIGHTS = (
    {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["*"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": _VERBS},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": _VERBS},
)
_RIGHTS_FOR_CACHES = _RIGHTS[-1:]


class Cluster:
    """See `asking.Runtime`. `also` are objects that every namespace gets, such as where artifacts
    go.
    """

    pause_s = 0.5

    def __init__(self, client: KubeClient, *, also: Sequence[Mapping[str, Any]] = ()) -> None:
        self._client = client
        self._also = tuple(also)

    @classmethod
    @contextmanager
    def reached(cls, *, also: Sequence[Mapping[str, Any]] = ()) -> Iterator[Cluster]:
        """The cluster of KUBECONFIG. Raises Refused where that is not set."""
        path = os.environ.get("KUBECONFIG", "")  # noqa: TID251 - as kubectl reads it
        if not path:
            raise Refused('KUBECONFIG is not set; run eval "$(…/shared/cluster/up)" first')
        access = kubeconfig.read([Path(path)])
        with KubeClient(url=access.url, token=access.current(), verify=access.verify) as client:
            yield cls(client, also=also)

    def version(self) -> str:
        """The version of the controller, by its image."""
        said = _run(
            *("kubectl", "-n", _CONTROLLER, "get", "deployment", "workflow-controller"),
            *("-o", "jsonpath={.spec.template.spec.containers[0].image}"),
        )
        return said.rpartition(":")[2]

    @contextmanager
    def place(self, case: Case) -> Iterator[str]:
        namespace = namespace_of(case)
        _run("kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait")
        _run("kubectl", "create", "namespace", namespace)
        if "memoize" in case.rows:
            self._allow_cache(case)
        try:
            for obj in (*_rights("corpus", _RIGHTS, account="default"), *self._also):
                self.create(namespace, obj)
            yield namespace
        finally:
            _run("kubectl", "delete", "namespace", namespace, "--wait=false")

    def create(self, namespace: str, obj: Mapping[str, Any]) -> None:
        # The service account of a new namespace comes a moment later than the namespace.
        _run("kubectl", "-n", namespace, "apply", "-f", "-", stdin=json.dumps(obj))

    def _allow_cache(self, case: Case) -> None:
        """Argo keeps caches beside its controller, which upstream's roles do not let it make. Such
        a case calls its cache after itself, so that none is there from an earlier time.
        """
        for obj in _rights("corpus-caches", _RIGHTS_FOR_CACHES, account=_CONTROLLER):
            self.create(_CONTROLLER, obj)
        name = f"memo-{case.workflow}"
        _run("kubectl", "-n", _CONTROLLER, "delete", "configmap", name, "--ignore-not-found")

    def workflows(self, namespace: str) -> list[dict[str, Any]]:
        found = self._client.list("Workflow", namespace)
        return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    def act(self, namespace: str, workflow: Mapping[str, Any], action: Action) -> None:
        name = workflow["metadata"]["name"]
        if action.do == "patch":
            self._client.patch("Workflow", namespace, name, dict(action.arguments))
        elif action.do == "delete-pod":
            pod = _pod(workflow, action.node)
            _run("kubectl", "-n", namespace, "delete", "pod", pod, "--wait=false")
        else:
            _run("argo", "-n", namespace, action.do, name, *_flags(action, name))


def _flags(action: Action, workflow: str) -> Iterator[str]:
    if node := action.arguments.get("node"):
        yield f"--node-field-selector=name={str(node).replace('WF', workflow, 1)}"
    if message := action.arguments.get("message"):
        yield f"--message={message}"


def _pod(workflow: Mapping[str, Any], node: str) -> str:
    name = workflow["metadata"]["name"]
    wanted = node.replace("WF", name, 1)
    found = next(each for each in workflow["status"]["nodes"].values() if each["name"] == wanted)
    return nodes.pod_name(name, wanted, found["templateName"])


def _rights(name: str, rules: Sequence[Mapping[str, Any]], *, account: str) -> Iterator[Object]:
    """What a service account, of the namespace that this is made in, may do there."""
    group = "rbac.authorization.k8s.io"
    named = {"metadata": {"name": name}, "apiVersion": f"{group}/v1"}
    yield {**named, "kind": "Role", "rules": list(rules)}
    yield {
        **named,
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account}],
    }


def _run(*command: str, stdin: str = "") -> str:
    """What a program of the cluster's says. Raises Refused with its complaint."""
    environment = {name: os.environ.get(name, "") for name in ("PATH", "HOME", "KUBECONFIG")}  # noqa: TID251
    done = processes.run(list(command), env=environment, stdin=stdin.encode(), timeout_s=120)
    if done.timed_out:
        raise Unavailable(f"{command[0]} {command[1]} did not answer within two minutes")
    if not done.ok:
        raise Refused(f"{' '.join(command[:4])}: {done.complaint()}")
    return done.text()
