from __future__ import annotations

from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.cluster.memory import MemoryObjects
from pressplay.server import rights
from pressplay.server.auth import Identity
from pressplay.server.rights import Action, Rights

SEALER = Identity.service_account("agents", "sealer")


def _rule(**fields: Any) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]} | fields


@pytest.mark.parametrize(
    ("rule", "action", "allowed"),
    [
        (_rule(), Action("get", "", "pods"), True),
        (_rule(), Action("list", "", "pods"), False),
        (_rule(), Action("get", "apps", "pods"), False),
        (_rule(), Action("get", "", "pods/log"), False),
        (_rule(resources=["pods/log"]), Action("get", "", "pods/log"), True),
        (_rule(resources=["pods/log"]), Action("get", "", "pods"), False),
        (_rule(resources=["*/log"]), Action("get", "", "pods/log"), True),
        (_rule(resources=["*/log"]), Action("get", "", "pods"), False),
        (_rule(resources=["*"]), Action("get", "", "pods/log"), True),
        (_rule(verbs=["*"]), Action("delete", "", "pods"), True),
        (_rule(apiGroups=["*"]), Action("get", "apps", "pods"), True),
        (_rule(resourceNames=["a"]), Action("get", "", "pods", name="a"), True),
        (_rule(resourceNames=["a"]), Action("get", "", "pods", name="b"), False),
        (_rule(resourceNames=["a"]), Action("get", "", "pods"), False),
        (_rule(resourceNames=[]), Action("get", "", "pods", name="b"), True),
        (_rule(verbs=None), Action("get", "", "pods"), False),
        ({"nonResourceURLs": ["*"], "verbs": ["*"]}, Action("get", "", "pods"), False),
    ],
)
def test_rule_covers_what_kubernetes_says(
    rule: dict[str, Any], action: Action, *, allowed: bool
) -> None:
    assert rights.allows(rule, action) is allowed


@pytest.mark.parametrize(
    ("subject", "bound"),
    [
        ({"kind": "ServiceAccount", "name": "sealer", "namespace": "agents"}, True),
        ({"kind": "ServiceAccount", "name": "sealer"}, True),
        ({"kind": "ServiceAccount", "name": "sealer", "namespace": "other"}, False),
        ({"kind": "ServiceAccount", "name": "approver", "namespace": "agents"}, False),
        ({"kind": "User", "name": "system:serviceaccount:agents:sealer"}, True),
        ({"kind": "User", "name": "sealer"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts:agents"}, True),
        ({"kind": "Group", "name": "system:masters"}, False),
        ({"kind": "Robot", "name": "sealer"}, False),
    ],
)
def test_binding_is_about_its_subjects(subject: dict[str, Any], *, bound: bool) -> None:
    binding = {"metadata": {"name": "b", "namespace": "agents"}, "subjects": [subject]}
    assert rights.binds(binding, SEALER) is bound


async def _store(*bindings: tuple[str, str, str]) -> MemoryObjects:
    """A store with a Role and a ClusterRole that let pods be read, and bindings to them."""
    store = MemoryObjects(clock=SystemClock())
    for name in ("agents", "other"):
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    version = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    inside = {"name": "reader", "namespace": "agents"}
    await store.create({**version, "kind": "Role", "metadata": inside, "rules": [_rule()]})
    await store.create(
        {**version, "kind": "ClusterRole", "metadata": {"name": "reader"}, "rules": [_rule()]}
    )
    for kind, namespace, role in bindings:
        metadata = {"name": "b", "namespace": namespace} if namespace else {"name": "b"}
        subject = {"kind": "ServiceAccount", "name": "sealer", "namespace": "agents"}
        reference = {"kind": role, "name": "reader"}
        await store.create(
            {**version, "kind": kind, "metadata": metadata}
            | {"subjects": [subject], "roleRef": reference}
        )
    return store


@pytest.mark.parametrize(
    ("binding", "where"),
    [
        (("RoleBinding", "agents", "Role"), {"agents"}),
        (("RoleBinding", "other", "Role"), set[str]()),
        (("RoleBinding", "other", "ClusterRole"), {"other"}),
        (("ClusterRoleBinding", "", "ClusterRole"), {"agents", "other", ""}),
    ],
)
async def test_binding_gives_rights_where_it_stands(
    binding: tuple[str, str, str], where: set[str]
) -> None:
    judge = Rights(objects=await _store(binding))
    allowed = {
        namespace
        for namespace in ("agents", "other", "")
        if await judge.allow(SEALER, Action("get", "", "pods", namespace=namespace))
    }
    assert allowed == where


async def test_operator_may_do_anything_and_nobody_else_anything_by_default() -> None:
    judge = Rights(objects=await _store())
    action = Action("delete", "", "namespaces", name="agents")
    assert await judge.allow(Identity.operator(), action)
    assert not await judge.allow(SEALER, action)


def test_denial_speaks_as_kubernetes_does() -> None:
    inside = Action("get", "", "pods/log", namespace="agents", name="p")
    assert rights.denial(SEALER, inside) == (
        'pods "p" is forbidden: User "system:serviceaccount:agents:sealer" cannot get resource '
        '"pods/log" in API group "" in the namespace "agents"'
    )
    outside = Action("list", "taskmaster.io", "coderuns")
    assert rights.denial(SEALER, outside) == (
        'coderuns.taskmaster.io is forbidden: User "system:serviceaccount:agents:sealer" cannot '
        'list resource "coderuns" in API group "taskmaster.io" at the cluster scope'
    )
