from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pressplay.api import kinds
from pressplay.cluster.port import Key
from pressplay.server import admission
from pressplay.server.auth import Identity
from pressplay.server.failures import Forbidden, Invalid

if TYPE_CHECKING:
    from tests.unit.server.conftest import Api  # only a name here: pytest hands the object in

MANAGER = Identity.service_account("agents", "preview-manager")
JANITOR = Identity.service_account("agents", "preview-janitor")


def _namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


PREVIEW = _namespace("impl-pr-7", preview="true")


@pytest.mark.parametrize(
    ("kind", "name", "fits"),
    [
        ("ConfigMap", "a.b-c", True),
        ("ConfigMap", "a" * 253, True),
        ("ConfigMap", "a" * 254, False),
        ("ConfigMap", "a..b", False),
        ("ConfigMap", "a\n", False),
        ("Namespace", "a.b", False),
        ("Namespace", "a" * 63, True),
        ("Namespace", "a" * 64, False),
        ("Service", "a.b", False),
        ("ClusterRole", "system:node", True),
        ("ClusterRole", "..", False),
        ("ClusterRole", "a/b", False),
    ],
)
def test_names_follow_the_rule_of_their_kind(kind: str, name: str, *, fits: bool) -> None:
    try:
        admission.check_name(kinds.by_name(kind), name)
    except Invalid:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize(
    ("states", "allowed"),
    [
        ([PREVIEW], True),
        ([PREVIEW, _namespace("impl-pr-7", preview="true", pr="7")], True),
        ([_namespace("impl-pr-7")], False),
        ([_namespace("impl-pr-7", preview="false")], False),
        ([_namespace("agents", preview="true")], False),
        # Neither may a foreign namespace become a preview, nor a preview something else.
        ([_namespace("impl-pr-7"), PREVIEW], False),
        ([PREVIEW, _namespace("impl-pr-7")], False),
    ],
)
@pytest.mark.parametrize("identity", [MANAGER, JANITOR])
def test_previews_accounts_touch_no_other_namespace(
    identity: Identity, states: list[dict[str, Any]], *, allowed: bool
) -> None:
    key = Key("Namespace", "", states[0]["metadata"]["name"])
    if allowed:
        admission.confine(identity, key, states=states, namespace=None)
    else:
        with pytest.raises(Forbidden, match="may only write previews"):
            admission.confine(identity, key, states=states, namespace=None)


@pytest.mark.parametrize(
    "namespace", [None, _namespace("agents"), _namespace("agents", preview="true")]
)
def test_preview_manager_writes_only_into_previews(namespace: dict[str, Any] | None) -> None:
    key = Key("Deployment", "agents", "x")
    with pytest.raises(Forbidden):
        admission.confine(MANAGER, key, states=[], namespace=namespace)
    admission.confine(MANAGER, Key("Deployment", "impl-pr-7", "x"), states=[], namespace=PREVIEW)


def test_others_are_not_confined() -> None:
    for identity in (Identity.operator(), Identity.service_account("agents", "preflight")):
        states = [_namespace("agents")]
        admission.confine(identity, Key("Namespace", "", "agents"), states=states, namespace=None)


def test_janitor_may_cancel_runs_outside_of_previews() -> None:
    key = Key("CodeRun", "agents", "x")
    admission.confine(JANITOR, key, states=[], namespace=_namespace("agents"))


async def test_confinement_holds_over_http(api: Api) -> None:
    path = "/api/v1/namespaces"

    async def create(name: str, **labels: str) -> int:
        body = {"apiVersion": "v1", "kind": "Namespace"} | _namespace(name, **labels)
        answer = await api.ask("POST", path, body=body, account="preview-manager")
        return answer.status_code

    assert await create("impl-pr-7", preview="true") == 201
    assert await create("impl-pr-8") == 403
    assert await create("other", preview="true") == 403
    config = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}
    for holder, code in (("impl-pr-7", 201), ("agents", 403)):
        answer = await api.ask(
            "POST", f"{path}/{holder}/services", body=config, account="preview-manager"
        )
        assert answer.status_code == code
    steal = {"metadata": {"labels": {"preview": None}}}
    answer = await api.patch(f"{path}/impl-pr-7", steal, account="preview-manager")
    assert answer.status_code == 403
    assert (await api.ask("DELETE", f"{path}/agents", account="preview-janitor")).status_code == 403
    gone = await api.ask("DELETE", f"{path}/impl-pr-7", account="preview-janitor")
    assert gone.status_code == 200


def _service(*ports: dict[str, Any], kind: str = "NodePort") -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": {"type": kind, "ports": list(ports)}}


def _given(service: dict[str, Any], **options: Any) -> list[int | None]:
    counter = iter(range(31000, 32000))
    made = admission.with_node_ports(
        service,
        before=options.get("before"),
        taken=options.get("taken", ()),
        free_port=lambda taken: next(port for port in counter if port not in taken),
    )
    return [port.get("nodePort") for port in made["spec"]["ports"]]


def test_node_ports_are_for_node_port_services_only() -> None:
    assert _given(_service({"port": 80}, kind="ClusterIP")) == [None]
    assert _given(_service({"port": 80}, {"port": 81})) == [31000, 31001]


def test_node_port_stays_with_its_port() -> None:
    before = _service({"name": "a", "port": 80, "nodePort": 30001}, {"port": 81, "nodePort": 30002})
    after = _service({"port": 81}, {"name": "a", "port": 8080}, {"name": "b", "port": 82})
    assert _given(after, before=before) == [30002, 30001, 31000]


def test_node_port_that_is_asked_for_is_given_once() -> None:
    assert _given(_service({"port": 80, "nodePort": 30005})) == [30005]
    with pytest.raises(Invalid, match="30005 is already allocated"):
        _given(_service({"port": 80, "nodePort": 30005}), taken=[30005])
    with pytest.raises(Invalid, match="already allocated"):
        _given(_service({"port": 80, "nodePort": 30005}, {"port": 81, "nodePort": 30005}))


def test_policy_for_clusters_is_about_the_same_accounts_and_previews() -> None:
    folder = resources.files("pressplay.manifests") / "admission"
    policy, binding = yaml.safe_load_all((folder / "confinement.yaml").read_text())
    text = str(policy["spec"])
    for account in admission.CONFINED:
        assert f"'system:serviceaccount:agents:{account}'" in text
    assert f"startsWith('{admission.PREVIEW_PREFIX}')" in text
    assert f"labels['{admission.PREVIEW_LABEL}'] == 'true'" in text
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]
