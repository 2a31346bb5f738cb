"""Everything that a run needs on a live cluster: the shipped manifests, a forge, artifacts.

What is in the cluster's namespace `agents` and in previews is removed first: it is the tests' own.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from differential import repository
from differential.repository import Repository as Artifacts

from live import controllers, forge, images, previews
from live.forge import LiveForge
from live.kubectl import Kubectl
from live.places import REPOSITORY, Places
from pressplay.api import names
from pressplay.api.forge import Repository
from pressplay.app.installing import APPS
from pressplay.cluster import kubeconfig
from pressplay.cluster.kube import KubeClient
from pressplay.evidence import signing
from pressplay.manifests import loading

AGENTS = "agents"
MANIFESTS = REPOSITORY / "src" / "pressplay" / "manifests"
ADMISSION = MANIFESTS / "admission"

PATIENCE_S = 1800.0
"""For a whole run, beside others on two processors."""

_PAUSE_S = 1.0
_GONE_S = 180.0
_ARTIFACTS_PORT = 9000
"""Where the shipped ConfigMap `artifact-repositories` expects the server."""

Object = dict[str, Any]


@dataclass
class World:
    """One installation on one cluster."""

    kube: KubeClient
    kubectl: Kubectl
    forge: LiveForge
    artifacts: Artifacts
    doubles: previews.Doubles
    folder: Path
    numbers: Iterator[int]

    def new_repository(self, name: str, files: Mapping[str, str]) -> Repository:
        """A repository of the forge with one commit on its branch `trunk`."""
        folder = self.folder / name
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        forge.git(folder, "init", "--quiet", "--initial-branch=trunk")
        self.commit(folder, message="start")
        made = self.forge.operator.ensure_repository(name, default_branch="trunk")
        self.forge.push(made, folder, "trunk")
        return made

    def commit(self, folder: Path, *, message: str) -> str:
        """Commit all that changed; the new head."""
        forge.git(folder, "add", "--all")
        forge.git(folder, "commit", "--quiet", "--message", message)
        return forge.git(folder, "rev-parse", "HEAD")

    def play(
        self,
        found: Repository,
        *,
        agent: Mapping[str, str] | None = None,
        template: str = "implementation-dag",
        values: Mapping[str, str],
    ) -> str:
        """Start a run as the command line does; its name. `values` are its parameters."""
        name = f"live-{next(self.numbers)}-{found.name}"
        subject = names.subject_of(pr=values.get("pr", ""), issue=values.get("issue", ""))
        given = {"owner": found.owner, "repo": found.name, "subject": subject, **values}
        if agent is not None:
            given["agentKind"] = "command"
            self.kubectl.apply(_config_map(f"agent-{name}", agent), namespace=AGENTS)
        labels = {
            "pressplay.dev/repo": names.repo_hash(found.owner, found.name),
            "pressplay.dev/subject": subject,
        }
        self.kube.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "metadata": {"name": name, "namespace": AGENTS, "labels": labels},
                "spec": {
                    "workflowTemplateRef": {"name": template},
                    "arguments": {
                        "parameters": [{"name": n, "value": v} for n, v in given.items()]
                    },
                },
            }
        )
        return name

    def workflow(self, name: str) -> Object:
        """A Workflow as it is now, its nodes unpacked."""
        found = self.kube.get("Workflow", AGENTS, name)
        return found if found is not None else {}

    def until(
        self, name: str, seen: Callable[[Object], bool], *, patience_s: float = PATIENCE_S
    ) -> Object:
        """The Workflow once it is as wanted. Raises AssertionError with what it was at last."""
        deadline = time.monotonic() + patience_s
        while True:
            found = self.workflow(name)
            if found and seen(found):
                return found
            if is_over(found) or time.monotonic() > deadline:
                raise AssertionError(f"{name} did not come so far:\n{shown(found)}")
            time.sleep(_PAUSE_S)

    def until_over(self, name: str, *, patience_s: float = PATIENCE_S) -> Object:
        """The Workflow when it has ended, exit hook and all."""
        return self.until(name, is_over, patience_s=patience_s)

    def comes_true(self, look: Callable[[], bool], *, patience_s: float = _GONE_S) -> bool:
        """Whether it is so in the end."""
        deadline = time.monotonic() + patience_s
        while not look():
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def request(self, kind: str, name: str) -> Object:
        """A CodeRun or DocsRun, or nothing."""
        return self.kube.get(kind, AGENTS, name) or {}

    def until_request(
        self, kind: str, name: str, phases: tuple[str, ...], *, patience_s: float = PATIENCE_S
    ) -> Object:
        """The request once it is in one of these phases."""
        deadline = time.monotonic() + patience_s
        while (found := self.request(kind, name)).get("status", {}).get("phase") not in phases:
            if time.monotonic() > deadline:
                raise AssertionError(f"{kind} {name}: {found.get('status')}, not {phases}")
            time.sleep(_PAUSE_S)
        return found


def node(workflow: Object, name: str) -> Object:
    """The node by its name without the workflow's own, such as `.pipeline.implement`."""
    whole = workflow["metadata"]["name"] + name
    nodes = workflow.get("status", {}).get("nodes") or {}
    return next((each for each in nodes.values() if each["name"] == whole), {})


def phase(workflow: Object, name: str) -> str:
    """Of a node; empty where there is none (yet)."""
    return str(node(workflow, name).get("phase", ""))


def outputs(workflow: Object) -> dict[str, str]:
    """The workflow's own outputs."""
    found = (workflow.get("status", {}).get("outputs") or {}).get("parameters") or ()
    return {each["name"]: each.get("value", "") for each in found}


def is_over(workflow: Object) -> bool:
    """Whether it has ended, exit hook and all."""
    return bool((workflow.get("status") or {}).get("finishedAt"))


def shown(workflow: Object) -> str:
    """For people: the workflow and its nodes, a line each."""
    status = workflow.get("status") or {}
    lines = [f"{status.get('phase')}: {status.get('message', '')} {outputs(workflow)}"]
    for each in (status.get("nodes") or {}).values():
        code = (each.get("outputs") or {}).get("exitCode", "")
        lines.append(
            f"  {each['name']} [{each['type']}] {each['phase']} {code} {each.get('message', '')}"
        )
    return "\n".join(lines)


@contextmanager
def opened(places: Places, *, path: str, folder: Path) -> Iterator[World]:
    """An installation with nothing in it; `path` is where kubectl and argo are found."""
    access = kubeconfig.read([places.kubeconfig])
    kubectl = Kubectl(places.kubeconfig, path)
    with ExitStack() as open_ones:
        kube = open_ones.enter_context(
            KubeClient(url=access.url, token=access.current(), verify=access.verify)
        )
        clear(kube)
        images.ensure(places)
        artifacts = open_ones.enter_context(
            repository.start(cluster_tools=places.tools, cache=places.cache)
        )
        served = open_ones.enter_context(forge.serve(folder / "forge", cluster_tools=places.tools))
        doubles = previews.Doubles(kube, kubectl=kubectl, artifacts=artifacts.folder)
        world = World(kube, kubectl, served, artifacts, doubles, folder, count(1))
        install(world)
        open_ones.enter_context(
            controllers.running(
                kubectl,
                namespace=AGENTS,
                folder=folder,
                forge_api=f"{served.url}/api/v3",
                app_key=_written_key(world, folder / "app"),
            )
        )
        open_ones.enter_context(previews.played(doubles))
        yield world


def clear(kube: KubeClient) -> None:
    """Remove what an earlier run of the tests left."""
    deadline = time.monotonic() + _GONE_S
    while left := [*_ours(kube)]:
        if time.monotonic() > deadline:
            raise AssertionError(f"Namespaces that do not go: {', '.join(left)}")
        for name in left:
            kube.delete("Namespace", "", name)
        time.sleep(_PAUSE_S)


def _ours(kube: KubeClient) -> Iterator[str]:
    for namespace in kube.list("Namespace"):
        metadata = namespace["metadata"]
        if metadata["name"] == AGENTS or "preview" in (metadata.get("labels") or {}):
            yield metadata["name"]


def install(world: World) -> None:
    """The shipped manifests as they are, then what an operator must add to them."""
    kubectl = world.kubectl
    for name in loading.FOLDERS:
        kubectl("-n", AGENTS, "apply", "-f", MANIFESTS / name)
        if name == "crds":
            kubectl("wait", "--for=condition=Established", "-f", MANIFESTS / name)
    kubectl("apply", "-f", ADMISSION)
    for obj in (*_artifact_service(world), *_forge_objects(world)):
        kubectl.apply(obj, namespace=AGENTS)


def _artifact_service(world: World) -> Iterator[Object]:
    """The server at the very name that the shipped ConfigMap has."""
    (node_at,) = (
        each["address"]
        for each in json.loads(world.kubectl("get", "nodes", "-o", "json"))["items"][0]["status"][
            "addresses"
        ]
        if each["type"] == "InternalIP"
    )
    name = "artifacts"
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": _ARTIFACTS_PORT, "targetPort": world.artifacts.port}]},
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [node_at]}],
        "ports": [{"port": world.artifacts.port}],
    }
    yield world.artifacts.secret()


def _forge_objects(world: World) -> Iterator[Object]:
    served = world.forge
    shipped = world.kube.get("ConfigMap", AGENTS, "pressplay-settings") or {}
    yield _config_map(
        "pressplay-settings",
        {
            **shipped.get("data", {}),
            "GITHUB_API_URL": f"{served.outer_url}/api/v3",
            "GITHUB_SERVER_URL": served.outer_url,
            "PRESSPLAY_NAMING": "repo-pr",
        },
    )
    for name, permissions in APPS.items():
        app = served.operator.ensure_app(name, {**permissions, "metadata": "read"})
        yield _secret(f"github-app-{name}", {"app-id": str(app.id), "private-key": app.private_key})
    yield _secret("evidence-signing", {"key.pem": signing.generate_key().decode()})


def _written_key(world: World, folder: Path) -> Path:
    """The key of the App `rex`, in a folder as a pod has it mounted."""
    secret = world.kube.get("Secret", AGENTS, "github-app-rex") or {}
    folder.mkdir(mode=0o700)
    for name, value in secret["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))
    return folder


def _secret(name: str, values: Mapping[str, str]) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def _config_map(name: str, data: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": dict(data),
    }
