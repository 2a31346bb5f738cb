"""A container of a pod, as frozen values, and its way there from a foreign document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from pressplay.pods.fields import Fields

VARIABLE_NAME = re.compile(r"[ -<>-~]+")
"""Kubernetes' rule for environment variables: printable ASCII without `=`."""

LABEL_FIELD = re.compile(r"metadata\.labels\['([^']+)'\]")
POD_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.serviceAccountName")

_CONTAINER_KNOWN = (
    "name",
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "workingDir",
    "volumeMounts",
    "ports",
    "readinessProbe",
    "terminationMessagePolicy",
)
_CONTAINER_IGNORED = (
    "imagePullPolicy",
    "livenessProbe",
    "resizePolicy",
    "resources",
    "securityContext",
    "startupProbe",
    "terminationMessagePath",
)


@dataclass(frozen=True)
class KeyRef:
    """One key of a ConfigMap or a Secret."""

    name: str
    key: str
    optional: bool


@dataclass(frozen=True)
class ConfigMapKey(KeyRef):
    """A value from a ConfigMap."""


@dataclass(frozen=True)
class SecretKey(KeyRef):
    """A value from a Secret."""


@dataclass(frozen=True)
class PodField:
    """A value from the pod itself: `metadata.name`, or `metadata.labels['x']`."""

    path: str


@dataclass(frozen=True)
class EnvVar:
    """One variable; a plain string is a value in which `$(OTHER)` is expanded."""

    name: str
    value: str | ConfigMapKey | SecretKey | PodField


@dataclass(frozen=True)
class EnvSource:
    """All keys of a ConfigMap (or Secret) as variables, each behind `prefix`."""

    name: str
    is_secret: bool
    prefix: str
    optional: bool


@dataclass(frozen=True)
class Mount:
    """Where a container sees a volume, or the part of it at `sub_path`."""

    volume: str
    path: str
    sub_path: str
    read_only: bool


@dataclass(frozen=True)
class Port:
    """A port that a container says it listens on."""

    name: str
    number: int


@dataclass(frozen=True)
class Readiness:
    """When a container is ready: an HTTP answer below 400, or, with no `path`, an open port."""

    path: str
    port: str | int
    headers: tuple[tuple[str, str], ...]
    initial_delay_s: int
    period_s: int
    timeout_s: int
    success_threshold: int
    failure_threshold: int


@dataclass(frozen=True)
class Container:
    """One program of a pod."""

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[EnvVar, ...]
    env_from: tuple[EnvSource, ...]
    working_dir: str
    mounts: tuple[Mount, ...]
    ports: tuple[Port, ...]
    readiness: Readiness | None
    explained_by_log: bool
    """Whether the end of its log says why it failed: `FallbackToLogsOnError`."""
    ignored: tuple[str, ...]
    """Paths of the fields that were set and have no meaning here."""


def parse_container(fields: Fields, *, also: tuple[str, ...] = ()) -> Container:
    """One container; `also` are keys that the caller reads. Raises Refused."""
    ignored = fields.only((*_CONTAINER_KNOWN, *also), ignored=_CONTAINER_IGNORED)
    mounts = tuple(_mount(each) for each in fields.each("volumeMounts"))
    paths = [PurePosixPath(mount.path) for mount in mounts]
    if len(set(paths)) < len(paths):
        raise fields.wrong("volumeMounts", "mounts two volumes at one path; move one")
    return Container(
        name=fields.required("name"),
        image=fields.text("image"),
        command=fields.texts("command"),
        args=fields.texts("args"),
        env=tuple(_env_var(each) for each in fields.each("env")),
        env_from=tuple(_env_source(each) for each in fields.each("envFrom")),
        working_dir=fields.absolute("workingDir", default="/"),
        mounts=mounts,
        ports=tuple(_port(each) for each in fields.each("ports")),
        readiness=_readiness(fields),
        explained_by_log=_is_explained_by_log(fields),
        ignored=ignored,
    )


def _is_explained_by_log(fields: Fields) -> bool:
    policy = fields.text("terminationMessagePolicy", "File")
    if policy not in ("File", "FallbackToLogsOnError"):
        raise fields.wrong("terminationMessagePolicy", "must be File or FallbackToLogsOnError")
    return policy == "FallbackToLogsOnError"


def _mount(fields: Fields) -> Mount:
    fields.only(
        ("name", "mountPath", "subPath", "readOnly"),
        ignored=("mountPropagation", "recursiveReadOnly"),
    )
    path = fields.absolute("mountPath")
    if path in ("/", "/dev") or PurePosixPath("/proc") in (
        PurePosixPath(path),
        *PurePosixPath(path).parents,
    ):
        raise fields.wrong(
            "mountPath", f"is {path}, which the runtime itself fills; choose another"
        )
    return Mount(
        volume=fields.required("name"),
        path=path,
        sub_path=fields.relative("subPath"),
        read_only=fields.flag("readOnly"),
    )


def _env_var(fields: Fields) -> EnvVar:
    fields.only(("name", "value", "valueFrom"))
    name = fields.required("name")
    if not VARIABLE_NAME.fullmatch(name):
        raise fields.wrong("name", f"is {name!r}; use printable ASCII without '='")
    if not fields.has("valueFrom"):
        return EnvVar(name, fields.text("value"))
    source = fields.inside("valueFrom")
    source.only(("configMapKeyRef", "secretKeyRef", "fieldRef"))
    if source.has("configMapKeyRef"):
        ref = source.inside("configMapKeyRef")
        return EnvVar(name, ConfigMapKey(*_key_ref(ref)))
    if source.has("secretKeyRef"):
        ref = source.inside("secretKeyRef")
        return EnvVar(name, SecretKey(*_key_ref(ref)))
    return EnvVar(name, _pod_field(source.inside("fieldRef")))


def _key_ref(fields: Fields) -> tuple[str, str, bool]:
    fields.only(("name", "key", "optional"))
    return fields.required("name"), fields.required("key"), fields.flag("optional")


def _pod_field(fields: Fields) -> PodField:
    fields.only(("fieldPath",), ignored=("apiVersion",))
    path = fields.required("fieldPath")
    if path not in POD_FIELDS and not LABEL_FIELD.fullmatch(path):
        raise fields.wrong(
            "fieldPath", f"is {path!r}; known: {', '.join(POD_FIELDS)}, metadata.labels['KEY']"
        )
    return PodField(path)


def _env_source(fields: Fields) -> EnvSource:
    fields.only(("configMapRef", "secretRef", "prefix"))
    is_secret = fields.has("secretRef")
    if is_secret == fields.has("configMapRef"):
        raise fields.wrong("", "must hold exactly one of configMapRef and secretRef")
    ref = fields.inside("secretRef" if is_secret else "configMapRef")
    ref.only(("name", "optional"))
    return EnvSource(
        name=ref.required("name"),
        is_secret=is_secret,
        prefix=fields.text("prefix"),
        optional=ref.flag("optional"),
    )


def _port(fields: Fields) -> Port:
    fields.only(("name", "containerPort", "protocol"), ignored=("hostPort", "hostIP"))
    if fields.text("protocol", "TCP") != "TCP":
        raise fields.wrong("protocol", "must be TCP")
    number = fields.number("containerPort")
    if not 0 < number < 65536:
        raise fields.wrong("containerPort", "must be from 1 to 65535")
    return Port(fields.text("name"), number)


def _readiness(container: Fields) -> Readiness | None:
    if not container.has("readinessProbe"):
        return None
    fields = container.inside("readinessProbe")
    times = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds")
    thresholds = ("successThreshold", "failureThreshold")
    fields.only(
        ("httpGet", "tcpSocket", *times, *thresholds), ignored=("terminationGracePeriodSeconds",)
    )
    is_http = fields.has("httpGet")
    if is_http == fields.has("tcpSocket"):
        raise fields.wrong("", "must hold exactly one of httpGet and tcpSocket")
    probe = fields.inside("httpGet" if is_http else "tcpSocket")
    probe.only(("path", "port", "scheme", "httpHeaders") if is_http else ("port",))
    if probe.text("scheme", "HTTP") != "HTTP":
        raise probe.wrong("scheme", "must be HTTP")
    return Readiness(
        path=(probe.text("path") or "/") if is_http else "",
        port=probe.text("port") if isinstance(probe.value("port"), str) else probe.number("port"),
        headers=tuple((h.required("name"), h.text("value")) for h in probe.each("httpHeaders")),
        initial_delay_s=fields.number("initialDelaySeconds", 0),
        period_s=fields.number("periodSeconds", 10),
        timeout_s=fields.number("timeoutSeconds", 1),
        success_threshold=fields.number("successThreshold", 1),
        failure_threshold=fields.number("failureThreshold", 3),
    )
