"""Who may do what: Roles and bindings of the store, judged as Kubernetes' RBAC judges them.

Source: Kubernetes' page "Using RBAC Authorization", and the functions VerbMatches to
ResourceNameMatches in its pkg/apis/rbac/v1/evaluation_helpers.go. Rules only ever allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.cluster.port import Key, Object, Objects
from pressplay.server.auth import Identity

GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Action:
    """What is asked for; `resource` may be `pods/log`, an empty namespace means all of them."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


class Rights:
    """The rights that the store's objects give; read anew for every question."""

    def __init__(self, *, objects: Objects) -> None:
        self._objects = objects

    async def allow(self, identity: Identity, action: Action) -> bool:
        """Whether some rule lets this identity do it."""
        if identity.is_operator:
            return True
        for binding in await self._objects.list("ClusterRoleBinding"):
            if await self._binding_allows(binding, identity, action):
                return True
        if not action.namespace:
            return False
        for binding in await self._objects.list("RoleBinding", namespace=action.namespace):
            if await self._binding_allows(binding, identity, action):
                return True
        return False

    async def _binding_allows(self, binding: Object, identity: Identity, action: Action) -> bool:
        namespace = binding["metadata"].get("namespace", "")
        if not binds(binding, identity):
            return False
        reference = binding.get("roleRef") or {}
        if reference.get("kind") not in ("Role", "ClusterRole"):
            return False
        where = namespace if reference["kind"] == "Role" else ""
        role = await self._objects.get(Key(reference["kind"], where, str(reference.get("name"))))
        return role is not None and any(allows(rule, action) for rule in role.get("rules") or ())


def binds(binding: Mapping[str, Any], identity: Identity) -> bool:
    """Whether a binding is about this identity."""
    namespace = binding["metadata"].get("namespace", "")
    return any(
        _is_subject(subject, identity, namespace) for subject in binding.get("subjects") or ()
    )


def allows(rule: Mapping[str, Any], action: Action) -> bool:
    """Whether one PolicyRule covers an action."""
    names = rule.get("resourceNames") or ()
    return (
        _covers(rule.get("verbs"), action.verb)
        and _covers(rule.get("apiGroups"), action.group)
        and _covers_resource(rule.get("resources"), action.resource)
        and (not names or action.name in names)
    )


def denial(identity: Identity, action: Action) -> str:
    """Why an action was refused, in Kubernetes' words."""
    plural = action.resource.partition("/")[0]
    qualified = f"{plural}.{action.group}" if action.group else plural
    name = f' "{action.name}"' if action.name else ""
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    return (
        f'{qualified}{name} is forbidden: User "{identity.name}" cannot {action.verb} resource '
        f'"{action.resource}" in API group "{action.group}" {where}'
    )


def _is_subject(subject: Mapping[str, Any], identity: Identity, namespace: str) -> bool:
    match subject.get("kind"):
        case "ServiceAccount":
            wanted = (subject.get("namespace") or namespace, subject.get("name"))
            return identity.account == wanted
        case "User":
            return subject.get("name") == identity.name
        case "Group":
            return subject.get("name") in identity.groups
        case _:
            return False


def _covers(values: Iterable[str] | None, wanted: str) -> bool:
    given = tuple(values or ())
    return "*" in given or wanted in given


def _covers_resource(values: Iterable[str] | None, wanted: str) -> bool:
    """As `_covers`; `*/log` covers that part of every resource, `pods` only the whole pod."""
    given = tuple(values or ())
    _, slash, subresource = wanted.partition("/")
    return _covers(given, wanted) or bool(slash and f"*/{subresource}" in given)
