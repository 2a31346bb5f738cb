"""A foreign PodSpec becomes frozen values here, once; past this door nothing checks a field again.

What would change the meaning of the pod and is not built is refused with its path. What only
tunes a cluster (placement, pulling, limits) is accepted and listed in `Pod.ignored`.
Source of all field names and defaults: Kubernetes' API reference, "Pod v1 core".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from pressplay.base.errors import Refused
from pressplay.pods import containers as container_values
from pressplay.pods import volumes as volume_values
from pressplay.pods.containers import LABEL_FIELD, Container, PodField
from pressplay.pods.fields import Fields, fields_of
from pressplay.pods.volumes import Volume

NETWORK_LABEL = "pressplay.dev/network"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")

_POD_KNOWN = (
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "initContainers",
    "containers",
    "volumes",
    "terminationGracePeriodSeconds",
)
# restartPolicy and activeDeadlineSeconds are the callers' business: a step is retried, and a
# preview restarted, by whoever asked for the pod.
_POD_IGNORED = (
    "activeDeadlineSeconds",
    "affinity",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostNetwork",
    "hostname",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "subdomain",
    "tolerations",
    "topologySpreadConstraints",
)


class Network(Enum):
    """What a pod can reach: the machine's own network, or nothing but its own loopback.

    With RELAY its main containers have the loopback, and those that prepare or accompany them the
    machine's network: what they offer is carried in over sockets in a shared folder.
    """

    HOST = "host"
    NONE = "none"
    RELAY = "relay"


@dataclass(frozen=True)
class Pod:
    """One pod to run. Deadlines and restarts are the caller's."""

    name: str
    namespace: str
    uid: str
    labels: Mapping[str, str]
    service_account: str
    automount_token: bool
    init_containers: tuple[Container, ...]
    containers: tuple[Container, ...]
    sidecars: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    network: Network
    grace_s: int
    ignored: tuple[str, ...] = ()
    """Paths of the fields that were set and have no meaning here."""

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """In the order of their start."""
        return (*self.init_containers, *self.sidecars, *self.containers)

    def network_of(self, container: Container) -> Network:
        """What one of its containers can reach: HOST or NONE."""
        if self.network is not Network.RELAY:
            return self.network
        return Network.NONE if container in self.containers else Network.HOST


def parse_pod(
    spec: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    uid: str,
    labels: Mapping[str, str],
) -> Pod:
    """The pod that `spec` describes. Raises Refused naming the path of the first bad field."""
    fields = fields_of(spec, path="spec")
    ignored = fields.only(_POD_KNOWN, ignored=_POD_IGNORED)
    init = [_init_container(each) for each in fields.each("initContainers")]
    containers = tuple(container_values.parse_container(each) for each in fields.each("containers"))
    pod = Pod(
        name=name,
        namespace=namespace,
        uid=uid,
        labels=dict(labels),
        service_account=fields.text("serviceAccountName") or fields.text("serviceAccount"),
        automount_token=fields.flag("automountServiceAccountToken", default=True),
        init_containers=tuple(each for each, is_sidecar in init if not is_sidecar),
        containers=containers,
        sidecars=tuple(each for each, is_sidecar in init if is_sidecar),
        volumes=tuple(volume_values.parse_volume(each) for each in fields.each("volumes")),
        network=_network(labels),
        grace_s=max(0, fields.number("terminationGracePeriodSeconds", 30)),
        ignored=ignored,
    )
    _check(pod, fields)
    return replace(pod, ignored=(*ignored, *(i for c in pod.all_containers for i in c.ignored)))


def _network(labels: Mapping[str, str]) -> Network:
    wanted = labels.get(NETWORK_LABEL, Network.HOST.value)
    try:
        return Network(wanted)
    except ValueError:
        raise Refused(f"Label {NETWORK_LABEL} is {wanted!r}; write host, none or relay") from None


def _check(pod: Pod, fields: Fields) -> None:
    if not pod.containers:
        raise fields.wrong("containers", "is empty; a pod needs at least one container")
    if not _UID.fullmatch(pod.uid):
        raise Refused(f"metadata.uid {pod.uid!r} cannot name a folder; use letters and digits")
    volumes = [each.name for each in pod.volumes]
    _check_names("container", [each.name for each in pod.all_containers], fields)
    _check_names("volume", volumes, fields)
    for container in pod.all_containers:
        missing = [mount.volume for mount in container.mounts if mount.volume not in volumes]
        if missing:
            raise fields.wrong(
                "volumes", f"has no {missing[0]!r}, which container {container.name} mounts"
            )


def _check_names(what: str, names: Sequence[str], fields: Fields) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise fields.wrong("", f"has a {what} {name!r}; use lower-case letters and hyphens")
        if names.count(name) > 1:
            raise fields.wrong("", f"has two {what}s called {name}; rename one")


def _init_container(fields: Fields) -> tuple[Container, bool]:
    """The container, and whether it is a sidecar."""
    policy = fields.text("restartPolicy")
    if policy not in ("", "Always"):
        raise fields.wrong("restartPolicy", f"is {policy!r}; only Always (a sidecar) is supported")
    container = container_values.parse_container(fields, also=("restartPolicy",))
    return container, policy == "Always"


def pod_field(pod: Pod, field: PodField) -> str:
    """The value of a field of the pod; an absent label is empty, as in Kubernetes."""
    label = LABEL_FIELD.fullmatch(field.path)
    if label:
        return pod.labels.get(label[1], "")
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.serviceAccountName": pod.service_account,
    }[field.path]
