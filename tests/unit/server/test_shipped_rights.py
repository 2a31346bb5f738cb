"""Each shipped account may do exactly this, on either runtime."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from pressplay.api import kinds
from pressplay.server.auth import Identity
from pressplay.server.rights import Action, Rights

if TYPE_CHECKING:
    from tests.unit.server.conftest import Api  # only a name here: pytest hands the object in

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "bind", "escalate")
EXECUTOR = {"create workflowtaskresults", "patch workflowtaskresults"}
WRITTEN = (
    "services",
    "resourcequotas",
    "limitranges",
    "deployments",
    "ingresses",
    "networkpolicies",
)

# In the namespace of the agents; with a star, in every one and at the cluster's scope.
ALLOWED = {
    "agent-run": set[str](),
    "workflow-agent": {
        f"{v} {r}" for v in ("get", "create", "patch") for r in ("coderuns", "docsruns")
    },
    "preflight": {"get workflows", "list workflows", "patch workflows"},
    "approver": {"get workflows"},
    "sealer": {"get workflows", "get workflowartifacts"},
    "orchestrator": {
        "get workflows",
        "list workflows",
        "patch workflows",
        "get workflowartifacts",
    },
    "preview-janitor": {
        *(f"{v} {r}" for v in ("get", "list", "patch") for r in ("coderuns", "docsruns")),
        *(f"*{v} namespaces" for v in ("get", "list", "delete")),
    },
    "controllers": {
        *(f"{v} {r}" for v in ("get", "list", "watch") for r in ("coderuns", "docsruns")),
        "patch coderuns/status",
        "patch docsruns/status",
        *(f"{v} workflows" for v in ("get", "list", "watch", "create", "patch")),
        *(f"*{v} namespaces" for v in ("get", "list", "delete")),
    },
    "preview-manager": {
        *(f"*{v} namespaces" for v in ("get", "create", "patch")),
        *(f"*{v} {r}" for v in ("get", "create", "patch") for r in WRITTEN),
        "*get pods",
        "*list pods",
        "*get pods/log",
    },
}


def _resources() -> list[tuple[str, str]]:
    found = [(kind.group, kind.plural) for kind in kinds.KINDS]
    found += [(kind.group, f"{kind.plural}/status") for kind in kinds.KINDS]
    found += [("", "pods/log"), ("", "pods/exec"), ("", "serviceaccounts/token")]
    return [*found, ("argoproj.io", "workflowtaskresults"), ("argoproj.io", "workflowartifacts")]


@pytest.mark.parametrize("account", ALLOWED)
async def test_account_may_do_this_and_nothing_else(api: Api, account: str) -> None:
    identity = Identity.service_account("agents", account)
    judge = Rights(objects=api.store)
    everywhere = {each[1:] for each in ALLOWED[account] if each.startswith("*")}
    # The controllers run beside Argo, not in a step of it.
    executor = set[str]() if account == "controllers" else EXECUTOR
    inside = {each.removeprefix("*") for each in ALLOWED[account]} | executor
    for namespace, expected in (("agents", inside), ("impl-pr-7", everywhere), ("", everywhere)):
        allowed = {
            f"{verb} {resource}"
            for verb, (group, resource) in product(VERBS, _resources())
            if await judge.allow(
                identity, Action(verb, group, resource, namespace=namespace, name="x")
            )
        }
        assert allowed == expected, namespace


async def test_default_account_may_do_nothing(api: Api) -> None:
    identity = Identity.service_account("agents", "default")
    judge = Rights(objects=api.store)
    for verb, (group, resource) in product(VERBS, _resources()):
        assert not await judge.allow(identity, Action(verb, group, resource, namespace="agents"))


async def test_every_account_is_shipped(api: Api) -> None:
    shipped = {each["metadata"]["name"] for each in await api.store.list("ServiceAccount")}
    assert shipped == set(ALLOWED)
