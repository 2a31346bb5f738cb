"""What an object must be before it is stored, beyond anybody's right to store it. Pure.

On a cluster the CRDs, the API server's defaults and the policy in `manifests/admission` do the
same.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pressplay.api import agent_runs
from pressplay.api.kinds import Kind
from pressplay.base.errors import Refused
from pressplay.base.schemas import Schema
from pressplay.cluster.port import Key, Object
from pressplay.server.auth import Identity
from pressplay.server.failures import Forbidden, Invalid

PREVIEW_PREFIX = "impl-pr-"
PREVIEW_LABEL = "preview"
CONFINED = ("preview-manager", "preview-janitor", "controllers")
"""Accounts whose rights are wide because previews are made on the way; this narrows them."""

# Source: Kubernetes' page "Object Names and IDs"; RBAC's names are path segments.
_SUBDOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[^/%\s]{1,253}")
_LABEL_KINDS = ("Namespace", "Service")
_SEGMENT_GROUP = "rbac.authorization.k8s.io"

_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "CodeRun": agent_runs.parse_code_run,
    "DocsRun": agent_runs.parse_docs_run,
}


def check_name(kind: Kind, name: str, *, generate: bool = False) -> None:
    """Raises Invalid for what cannot be an object's name, or the beginning of a generated one."""
    text = f"{name}x" if generate else name
    rule, wanted = _SUBDOMAIN, "a lowercase RFC 1123 subdomain"
    if kind.group == _SEGMENT_GROUP:
        rule, wanted = _SEGMENT, "a path segment"
    elif kind.name in _LABEL_KINDS:
        rule, wanted = _LABEL, "a lowercase RFC 1123 label"
    if not rule.fullmatch(text):
        raise Invalid(f"{kind.name} {name[:80]!r} is invalid: metadata.name: must be {wanted}")


def check_namespace_name(name: str) -> None:
    """Raises Invalid for what cannot be a namespace's name."""
    if name and not _LABEL.fullmatch(name):
        raise Invalid(f"namespace {name[:80]!r} is invalid: must be a lowercase RFC 1123 label")


def check_object(obj: Object, *, schemas: Mapping[str, Schema]) -> None:
    """Raises Invalid for an object of ours that breaks its kind's rules."""
    kind = obj["kind"]
    if kind not in schemas:
        return
    metadata = obj.get("metadata", {})
    name = metadata.get("name") or metadata.get("generateName", "")
    problems = schemas[kind].problems(obj)
    if problems:
        raise Invalid(f'{kind} "{name}" is invalid: {"; ".join(map(str, problems[:5]))}')
    try:
        _PARSERS[kind](obj)
    except Refused as error:
        raise Invalid(f'{kind} "{name}" is invalid: {error}') from error


def confine(
    identity: Identity, key: Key, *, states: Collection[Object], namespace: Object | None
) -> None:
    """Keep the previews' accounts to previews. Raises Forbidden.

    `states` are the object before and after, as far as there is one; `namespace` is the one that
    holds it.
    """
    account = identity.account[1] if identity.account else ""
    if account not in CONFINED:
        return
    if key.kind == "Namespace":
        allowed = all(is_preview(state) for state in states)
    else:
        # The others' rights beside this lie in the agents' namespace and are narrow by themselves.
        allowed = account != "preview-manager" or (namespace is not None and is_preview(namespace))
    if not allowed:
        raise Forbidden(
            f"{key} is forbidden: {account} may only write previews, that is Namespaces called "
            f"{PREVIEW_PREFIX}… with the label {PREVIEW_LABEL}=true, and what is in them"
        )


def is_preview(namespace: Object) -> bool:
    """Whether a Namespace shows by name and label that it is a preview."""
    metadata = namespace["metadata"]
    labels = metadata.get("labels") or {}
    return metadata["name"].startswith(PREVIEW_PREFIX) and labels.get(PREVIEW_LABEL) == "true"


def with_namespace_label(obj: Object) -> Object:
    """A Namespace with the label by which network policies know it, as every cluster gives it."""
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {**obj, "metadata": {**metadata, "labels": labels}}


def with_encoded_data(obj: Object) -> Object:
    """A Secret whose stringData went into data, as the API server does it."""
    if not obj.get("stringData"):
        return obj
    data = dict(obj.get("data") or {})
    for name, value in obj["stringData"].items():
        data[name] = base64.b64encode(str(value).encode()).decode()
    return {name: value for name, value in obj.items() if name != "stringData"} | {"data": data}


def with_node_ports(
    service: Object,
    *,
    before: Object | None,
    taken: Collection[int],
    free_port: Callable[[Collection[int]], int],
) -> Object:
    """A Service of type NodePort with a port of this machine for each of its ports.

    A port that it had stays; `taken` are those of other Services. Raises Invalid where one was
    asked for that is taken.
    """
    spec = service.get("spec") or {}
    if spec.get("type") != "NodePort":
        return service
    known = {} if before is None else _node_ports(before)
    used = set(taken)
    ports = []
    for port in spec.get("ports") or ():
        number = port.get("nodePort") or known.get(_port_name(port))
        if number in used:
            name = service["metadata"].get("name", "")
            raise Invalid(f'Service "{name}" is invalid: spec.ports: {number} is already allocated')
        number = number or free_port(used)
        used.add(number)
        ports.append({**port, "nodePort": number})
    return {**service, "spec": {**spec, "ports": ports}}


def taken_ports(services: Collection[Object], *, but: Key) -> set[int]:
    """The node ports of all Services but one."""
    return {
        number
        for service in services
        if (service["metadata"].get("namespace"), service["metadata"]["name"])
        != (but.namespace, but.name)
        for number in _node_ports(service).values()
    }


def _node_ports(service: Object) -> dict[str, int]:
    ports = (service.get("spec") or {}).get("ports") or ()
    return {_port_name(port): port["nodePort"] for port in ports if port.get("nodePort")}


def _port_name(port: Mapping[str, Any]) -> str:
    """What tells one port of a Service from another."""
    return f"{port.get('protocol') or 'TCP'}/{port.get('name') or port.get('port')}"
