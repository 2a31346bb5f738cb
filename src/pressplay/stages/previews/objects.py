"""The Kubernetes objects of one preview, as values: pure, the same for both runtimes.

The repository's code runs in there, so the pod has no token, no privilege and a quota, and the
network policies keep it away from everything private.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pressplay.api import names
from pressplay.api.names import PreviewNames
from pressplay.api.policy import ProcessPreview
from pressplay.stages.previews import archives

IMAGE = "pressplay/agent:0.1.0"
CSI_DRIVER = "artifacts.pressplay.dev"
PORT = 8080
"""Where the app listens, in its PORT variable; the embedded runtime puts another one there."""

NAME = "app.kubernetes.io/name"
PREVIEW = "preview"
PULL = "pr"
REPOSITORY = "pressplay.dev/repo"
WORKFLOW = "pressplay.dev/workflow"
SHA = "pressplay.dev/sha"
EXPIRES = "pressplay.dev/expires"
REPOSITORY_NAME = "pressplay.dev/repository"
"""Annotation with `owner/name`, which no label can hold: whose pull request a preview shows."""

UNPACK = "unpack"
"""The container that puts what was built in its place."""

_USER = 65532
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")


@dataclass(frozen=True)
class Preview:
    """What one preview is of and by whom; `source_key` is where its tree lies among artifacts: as
    it is, or as the archive of what was built of it.

    `expires` is RFC 3339; `visitors` are the namespaces that may reach it.
    """

    names: PreviewNames
    owner: str
    repo: str
    pr: str
    sha: str
    run: str
    expires: str
    source_key: str
    process: ProcessPreview
    visitors: tuple[str, ...]

    @property
    def repo_hash(self) -> str:
        """What tells this repository's previews from another's."""
        return names.repo_hash(self.owner, self.repo)


def lease(preview: Preview) -> dict[str, Any]:
    """The Namespace: written first, it owns all that is in it."""
    labels = {
        PREVIEW: "true",
        PULL: preview.pr,
        REPOSITORY: preview.repo_hash,
        WORKFLOW: names.cut(preview.run),
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": preview.names.namespace,
            "labels": labels,
            "annotations": {
                EXPIRES: preview.expires,
                SHA: preview.sha,
                REPOSITORY_NAME: f"{preview.owner}/{preview.repo}",
            },
        },
    }


def contents(preview: Preview) -> list[dict[str, Any]]:
    """All that is in the Namespace, limits before what they limit."""
    return [
        _quota(preview),
        _limits(preview),
        *_network_policies(preview),
        _service(preview),
        _ingress(preview),
        deployment(preview),
    ]


def deployment(preview: Preview) -> dict[str, Any]:
    """The app: one replica, replaced as a whole by the next head."""
    app = {NAME: preview.names.release}
    labels = app | {SHA: preview.sha, WORKFLOW: names.cut(preview.run)}
    return _object(
        preview,
        "apps/v1",
        "Deployment",
        name=preview.names.release,
        labels=labels,
        spec={
            "replicas": 1,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 270,
            # Never two heads at once: acceptance must not be answered by the older one.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": app},
            "template": {
                "metadata": {"labels": labels, "annotations": {SHA: preview.sha}},
                "spec": _pod(preview),
            },
        },
    )


def _pod(preview: Preview) -> dict[str, Any]:
    # The driver gives every pod a private, writable copy.
    volume_attributes = {"key": preview.source_key}
    source = {"csi": {"driver": CSI_DRIVER, "volumeAttributes": volume_attributes}}
    is_built = bool(preview.process.build)
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "app"} | ({"emptyDir": {}} if is_built else source),
            *([{"name": "built"} | source] if is_built else ()),
        ],
        "initContainers": [_unpack()] if is_built else [],
        "containers": [_app(preview)],
    }


def _unpack() -> dict[str, Any]:
    """What was built comes as an archive."""
    container = _container(UNPACK, ["python3", "-m", "pressplay.stages", "unpack"])
    built = {"name": "built", "mountPath": archives.BUILT, "readOnly": True}
    # In the app's folder, Python would look for our own modules first.
    return container | {
        "workingDir": archives.BUILT,
        "volumeMounts": [*container["volumeMounts"], built],
    }


def _app(preview: Preview) -> dict[str, Any]:
    return _container("app", list(preview.process.command)) | {
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": preview.process.ready, "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 2,
        },
    }


def _container(name: str, command: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "command": command,
        "workingDir": archives.FOLDER,
        "env": [
            {"name": "PORT", "value": str(PORT)},
            {"name": "PRESSPLAY_PREVIEW", "value": "1"},
            {"name": "HOME", "value": archives.FOLDER},
        ],
        "volumeMounts": [{"name": "app", "mountPath": archives.FOLDER}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "2", "memory": "2Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def pod_selector(preview: Preview) -> str:
    """Finds the pods of this deploy: not those of an older head, nor of an older run's try."""
    run = names.cut(preview.run)
    return f"{NAME}={preview.names.release},{SHA}={preview.sha},{WORKFLOW}={run}"


def _service(preview: Preview) -> dict[str, Any]:
    return _object(
        preview,
        "v1",
        "Service",
        name=preview.names.release,
        spec={
            "type": "NodePort",
            "selector": {NAME: preview.names.release},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    )


def _ingress(preview: Preview) -> dict[str, Any]:
    backend = {"service": {"name": preview.names.release, "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return _object(
        preview,
        "networking.k8s.io/v1",
        "Ingress",
        name=preview.names.release,
        spec={"rules": [{"host": preview.names.host, "http": {"paths": [path]}}]},
    )


def _quota(preview: Preview) -> dict[str, Any]:
    hard = {
        "pods": "4",
        "requests.cpu": "4",
        "requests.memory": "4Gi",
        "limits.cpu": "8",
        "limits.memory": "8Gi",
        "services": "4",
        "services.loadbalancers": "0",
        "persistentvolumeclaims": "0",
    }
    return _object(preview, "v1", "ResourceQuota", name="preview", spec={"hard": hard})


def _limits(preview: Preview) -> dict[str, Any]:
    limit = {
        "type": "Container",
        "default": {"cpu": "1", "memory": "1Gi"},
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
    }
    return _object(preview, "v1", "LimitRange", name="preview", spec={"limits": [limit]})


def _network_policies(preview: Preview) -> list[dict[str, Any]]:
    visitors = {
        "namespaceSelector": {
            "matchExpressions": [
                {
                    "key": "kubernetes.io/metadata.name",
                    "operator": "In",
                    "values": list(preview.visitors),
                }
            ]
        }
    }
    inside: dict[str, Any] = {"podSelector": {}}
    public = {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}}
    names_service = {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }
    return [
        _network_policy(preview, "default-deny", {}),
        _network_policy(preview, "visitors", {"ingress": [{"from": [visitors, inside]}]}),
        _network_policy(
            preview, "public-network", {"egress": [{"to": [inside, public]}, names_service]}
        ),
    ]


def _network_policy(preview: Preview, name: str, rules: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in ("Ingress", "Egress") if not rules or kind.lower() in rules]
    spec = {"podSelector": {}, "policyTypes": kinds, **rules}
    return _object(preview, "networking.k8s.io/v1", "NetworkPolicy", name=name, spec=spec)


def _object(
    preview: Preview,
    version: str,
    kind: str,
    *,
    name: str,
    spec: dict[str, Any],
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    own = {REPOSITORY: preview.repo_hash, PULL: preview.pr, WORKFLOW: names.cut(preview.run)}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": preview.names.namespace,
            "labels": own | (labels or {}),
        },
        "spec": spec,
    }
