from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pressplay.cluster.port import Key

if TYPE_CHECKING:
    from tests.unit.server.conftest import Api  # only a name here: pytest hands the object in

CODERUNS = "/apis/taskmaster.io/v1/namespaces/agents/coderuns"
CONFIGMAPS = "/api/v1/namespaces/agents/configmaps"
SECRETS = "/api/v1/namespaces/agents/secrets"
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/agents/workflows"
SERVICES = "/api/v1/namespaces/impl-pr-7/services"
NAMESPACES = "/api/v1/namespaces"


def _config(name: str = "one", **data: Any) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _namespace(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _code_run(name: str = "run", **spec: Any) -> dict[str, Any]:
    base = {"repo": "acme/shop", "github": {"appName": "rex"}}
    return {
        "apiVersion": "taskmaster.io/v1",
        "kind": "CodeRun",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def _workflow(name: str = "wf", **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main"},
    } | fields


async def test_object_lives_from_creation_to_deletion(api: Api) -> None:
    made = await api.ask("POST", CONFIGMAPS, body=_config(a="1"))
    assert made.status_code == 201
    assert made.json()["metadata"]["namespace"] == "agents"
    read = await api.ask("GET", f"{CONFIGMAPS}/one")
    assert read.json() == made.json()
    patched = await api.patch(f"{CONFIGMAPS}/one", {"data": {"b": "2"}})
    assert patched.json()["data"] == {"a": "1", "b": "2"}
    gone = await api.ask("DELETE", f"{CONFIGMAPS}/one", body={"propagationPolicy": "Foreground"})
    assert gone.json()["status"] == "Success"
    assert gone.json()["details"]["uid"] == made.json()["metadata"]["uid"]
    assert (await api.ask("GET", f"{CONFIGMAPS}/one")).status_code == 404


async def test_every_path_answers_with_and_without_a_trailing_slash(api: Api) -> None:
    for path in ("/version", "/api", "/apis", "/apis/apps/v1", CONFIGMAPS, "/healthz"):
        plain, slashed = await api.ask("GET", path), await api.ask("GET", f"{path}/")
        assert plain.status_code == slashed.status_code == 200
        assert plain.content == slashed.content


@pytest.mark.parametrize(
    ("verb", "path", "code", "reason", "message"),
    [
        ("GET", f"{CODERUNS}/x", 404, "NotFound", 'coderuns.taskmaster.io "x" not found'),
        ("GET", f"{CONFIGMAPS}/x", 404, "NotFound", 'configmaps "x" not found'),
        ("DELETE", f"{CONFIGMAPS}/x", 404, "NotFound", 'configmaps "x" not found'),
        ("GET", "/api/v1/toasters", 404, "NotFound", "could not find the requested resource"),
        ("GET", f"{CONFIGMAPS}/x/status", 404, "NotFound", "could not find"),
        ("DELETE", CONFIGMAPS, 405, "MethodNotAllowed", "does not allow this method"),
        ("POST", f"{CONFIGMAPS}/x", 405, "MethodNotAllowed", "does not allow this method"),
        ("DELETE", f"{CODERUNS}/x/status", 405, "MethodNotAllowed", "does not allow"),
        ("GET", f"{CONFIGMAPS}?labelSelector=%3D", 400, "BadRequest", "Label selector"),
        ("GET", f"{CONFIGMAPS}?fieldSelector=spec.x%3D1", 400, "BadRequest", "field label"),
        ("GET", f"{CONFIGMAPS}?watch=1&timeoutSeconds=x", 400, "BadRequest", "timeoutSeconds"),
    ],
)
async def test_failure_is_a_status_object(
    api: Api, verb: str, path: str, code: int, reason: str, message: str
) -> None:
    answer = await api.ask(verb, path)
    status = answer.json()
    assert answer.status_code == code
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
    assert status["reason"] == reason
    assert message in status["message"]


async def test_taken_name_is_already_exists(api: Api) -> None:
    await api.ask("POST", CODERUNS, body=_code_run())
    answer = await api.ask("POST", CODERUNS, body=_code_run())
    assert answer.status_code == 409
    assert answer.json()["reason"] == "AlreadyExists"
    assert answer.json()["message"] == 'coderuns.taskmaster.io "run" already exists'


async def test_missing_namespace_is_not_found(api: Api) -> None:
    answer = await api.ask("POST", "/api/v1/namespaces/nowhere/configmaps", body=_config())
    assert answer.status_code == 404
    assert 'namespaces "nowhere" not found' in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_config() | {"kind": "Secret"}, "the kind of the provided object"),
        (_config() | {"apiVersion": "v2"}, "the apiVersion of the provided object"),
        (_config() | {"metadata": {"name": "one", "namespace": "x"}}, "the metadata.namespace"),
        (_config() | {"metadata": None}, "has no metadata"),
        ([], "no object"),
        (b"{", "unrecognized"),
        (b'{"a": 1, "a": 2}', "given twice"),
        (b"\xff", "unrecognized"),
    ],
)
async def test_senseless_body_is_a_bad_request(api: Api, body: Any, message: str) -> None:
    answer = await api.ask("POST", CONFIGMAPS, body=body)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize("name", ["One", "a b", "-a", "a/b", "", "x" * 254, "../a"])
async def test_name_that_no_object_may_have_is_invalid(api: Api, name: str) -> None:
    answer = await api.ask("POST", CONFIGMAPS, body=_config(name))
    assert answer.status_code in (400, 422)
    assert [c["metadata"]["name"] for c in await api.store.list("ConfigMap")] == []


async def test_generated_name_is_checked_and_completed(api: Api) -> None:
    body = _code_run()
    body["metadata"] = {"generateName": "coderun-"}
    made = await api.ask("POST", CODERUNS, body=body)
    assert made.json()["metadata"]["name"].startswith("coderun-")
    body["metadata"] = {"generateName": "Code Run"}
    assert (await api.ask("POST", CODERUNS, body=body)).status_code == 422


async def test_large_body_is_refused(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, body=_config(a="x" * (3 * 1024 * 1024)))
    assert answer.status_code == 413
    assert answer.json()["reason"] == "RequestEntityTooLarge"


@pytest.mark.parametrize("media", ["application/vnd.kubernetes.protobuf", "text/plain"])
async def test_unknown_media_type_is_refused(api: Api, media: str) -> None:
    answer = await api.ask("POST", CONFIGMAPS, body=b"x", media=media)
    assert answer.status_code == 415


async def test_yaml_body_is_read(api: Api) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: 'no'}\n"
    answer = await api.ask("POST", CONFIGMAPS, body=text, media="application/yaml")
    assert answer.json()["data"] == {"a": "no"}


async def test_dry_run_writes_nothing(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, body=_config(), dryRun="All")
    assert answer.status_code == 400
    assert await api.store.list("ConfigMap") == []


async def test_list_is_a_list_object_and_follows_selectors(api: Api) -> None:
    version = ""
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"}), ("c", {})):
        body = _config(name)
        body["metadata"]["labels"] = labels
        made = await api.ask("POST", CONFIGMAPS, body=body)
        version = made.json()["metadata"]["resourceVersion"]

    async def names(**query: str) -> list[str]:
        answer = (await api.ask("GET", CONFIGMAPS, **query)).json()
        assert answer["kind"] == "ConfigMapList"
        return [item["metadata"]["name"] for item in answer["items"]]

    assert await names() == ["a", "b", "c"]
    assert await names(labelSelector="x") == ["a", "b"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    assert await names(fieldSelector="metadata.name!=b,metadata.namespace==agents") == ["a", "c"]
    listed = (await api.ask("GET", "/api/v1/configmaps")).json()
    assert listed["metadata"]["resourceVersion"] == version


async def test_replacing_removes_what_is_not_there_any_more(api: Api) -> None:
    made = (await api.ask("POST", CONFIGMAPS, body=_config(a="1", b="2"))).json()
    made["data"] = {"b": "3"}
    answer = await api.ask("PUT", f"{CONFIGMAPS}/one", body=made)
    assert answer.json()["data"] == {"b": "3"}
    assert answer.json()["metadata"]["uid"] == made["metadata"]["uid"]


@pytest.mark.parametrize("way", ["PUT", "PATCH"])
async def test_write_against_an_old_version_conflicts(api: Api, way: str) -> None:
    old = (await api.ask("POST", CONFIGMAPS, body=_config(a="1"))).json()
    await api.patch(f"{CONFIGMAPS}/one", {"data": {"a": "2"}})
    media = "application/merge-patch+json" if way == "PATCH" else "application/json"
    answer = await api.ask(way, f"{CONFIGMAPS}/one", body=old, media=media)
    assert answer.status_code == 409
    assert answer.json()["reason"] == "Conflict"
    assert "the object has been modified" in answer.json()["message"]


async def test_status_changes_only_through_its_own_path(api: Api) -> None:
    await api.ask("POST", CODERUNS, body=_code_run() | {"status": {"phase": "Succeeded"}})
    path = f"{CODERUNS}/run"
    assert "status" not in (await api.ask("GET", path)).json()
    both = {"spec": {"cancel": True}, "status": {"phase": "Failed"}}
    assert "status" not in (await api.patch(path, both)).json()
    reset = {"spec": {"cancel": None}, "status": {"phase": "Running"}}
    changed = (await api.patch(f"{path}/status", reset)).json()
    assert changed["status"] == {"phase": "Running"}
    assert changed["spec"]["cancel"] is True
    whole = (await api.ask("GET", path)).json() | {"status": {"phase": "Error"}}
    assert (await api.ask("PUT", path, body=whole)).json()["status"] == {"phase": "Running"}
    replaced = await api.ask("PUT", f"{path}/status", body=whole | {"metadata": {"name": "run"}})
    assert replaced.json()["status"] == {"phase": "Error"}
    assert (await api.ask("GET", f"{path}/status")).json() == replaced.json()


async def test_status_of_a_kind_without_that_path_is_patched_with_the_rest(api: Api) -> None:
    await api.ask("POST", WORKFLOWS, body=_workflow(status={"nodes": {"a": {"phase": "Running"}}}))
    patch = {"status": {"nodes": {"a": {"phase": "Failed"}, "b": {}}}, "spec": {"shutdown": "Stop"}}
    answer = await api.patch(f"{WORKFLOWS}/wf", patch)
    assert answer.json()["status"]["nodes"] == {"a": {"phase": "Failed"}, "b": {}}
    assert answer.json()["spec"]["shutdown"] == "Stop"


async def test_apply_creates_and_then_merges(api: Api) -> None:
    path = f"{CONFIGMAPS}/one"
    first = await api.patch(path, _config(a="1"), kind="apply-patch+yaml")
    second = await api.patch(path, _config(b="2"), kind="apply-patch+yaml")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["data"] == {"a": "1", "b": "2"}
    assert "managedFields" not in second.json()["metadata"]


async def test_apply_of_yaml_is_read(api: Api) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n"
    answer = await api.ask(
        "PATCH", f"{CONFIGMAPS}/one", body=text, media="application/apply-patch+yaml"
    )
    assert answer.status_code == 201


async def test_apply_wants_the_right_to_create(api: Api) -> None:
    answer = await api.patch(
        f"{WORKFLOWS}/wf", _workflow(), account="preflight", kind="apply-patch+yaml"
    )
    assert answer.status_code == 403
    assert 'cannot create resource "workflows"' in answer.json()["message"]


async def test_strategic_patch_merges_lists_by_name(api: Api) -> None:
    pods = "/api/v1/namespaces/agents/pods"
    containers = [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": containers},
    }
    await api.ask("POST", pods, body=pod)
    patch = {"spec": {"containers": [{"name": "b", "image": "2"}]}}
    answer = await api.patch(f"{pods}/p", patch, kind="strategic-merge-patch+json")
    assert [c["image"] for c in answer.json()["spec"]["containers"]] == ["1", "2"]


async def test_json_patch_is_refused_with_advice(api: Api) -> None:
    answer = await api.ask(
        "PATCH", f"{CONFIGMAPS}/one", body=[], media="application/json-patch+json"
    )
    assert answer.status_code == 415
    assert "use application/merge-patch+json" in answer.json()["message"]


@pytest.mark.parametrize(
    "patch", [{"metadata": {"name": "two"}}, {"kind": "Secret"}, {"metadata": None}]
)
async def test_patch_cannot_change_what_an_object_is(api: Api, patch: dict[str, Any]) -> None:
    for path, body in ((CONFIGMAPS, _config("run")), (CODERUNS, _code_run())):
        await api.ask("POST", path, body=body)
        before = (await api.ask("GET", f"{path}/run")).json()
        assert (await api.patch(f"{path}/run", patch)).status_code == 400
        assert (await api.ask("GET", f"{path}/run")).json() == before


async def test_delete_keeps_to_its_preconditions(api: Api) -> None:
    made = (await api.ask("POST", CONFIGMAPS, body=_config())).json()
    other = {"preconditions": {"uid": "other"}}
    assert (await api.ask("DELETE", f"{CONFIGMAPS}/one", body=other)).status_code == 409
    same = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert (await api.ask("DELETE", f"{CONFIGMAPS}/one", body=same)).status_code == 200


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"refs": "main"}, "unknown key 'refs'; did you mean 'ref'?"),
        ({"github": {"appName": "mallory"}}, "rex, clippy, qa, triage or security"),
        ({"pr": 7}, "spec.pr"),
        ({"ref": "{{workflow.name}}"}, "spec.ref"),
    ],
)
async def test_object_of_ours_that_breaks_its_rules_is_invalid(
    api: Api, spec: dict[str, Any], message: str
) -> None:
    answer = await api.ask("POST", CODERUNS, body=_code_run(**spec))
    assert answer.status_code == 422
    assert answer.json()["reason"] == "Invalid"
    assert message in answer.json()["message"]


async def test_patch_that_would_break_the_rules_is_invalid(api: Api) -> None:
    await api.ask("POST", CODERUNS, body=_code_run())
    answer = await api.patch(f"{CODERUNS}/run", {"spec": {"timeoutSeconds": 0}})
    assert answer.status_code == 422
    status = await api.patch(f"{CODERUNS}/run/status", {"status": {"phase": "Lost"}})
    assert status.status_code == 422


async def test_nobody_without_a_token_is_answered(api: Api) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}):
        answer = await api.client.get(CONFIGMAPS, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["reason"] == "Unauthorized"
        assert (await api.client.get("/version", headers=headers)).status_code == 200
        assert (await api.client.get("/healthz", headers=headers)).text == "ok"


async def test_token_dies_with_its_account(api: Api) -> None:
    assert (await api.ask("GET", WORKFLOWS, account="preflight")).status_code == 200
    await api.store.delete(Key("ServiceAccount", "agents", "preflight"))
    assert (await api.ask("GET", WORKFLOWS, account="preflight")).status_code == 401


async def test_account_without_the_right_is_told_so(api: Api) -> None:
    answer = await api.ask("DELETE", f"{WORKFLOWS}/wf", account="preflight")
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        'workflows.argoproj.io "wf" is forbidden: User "system:serviceaccount:agents:preflight" '
        'cannot delete resource "workflows" in API group "argoproj.io" in the namespace "agents"'
    )


async def test_secret_is_read_by_the_operator_only(api: Api) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key"},
        "stringData": {"a": "b"},
    }
    made = await api.ask("POST", SECRETS, body=secret)
    assert made.json()["data"] == {"a": "Yg=="}
    assert "stringData" not in made.json()
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}
    key = Key("Role", "agents", "preflight")
    await api.store.patch(key, {"rules": [rule]})
    for path, query in ((SECRETS, {}), (f"{SECRETS}/key", {}), (SECRETS, {"watch": "true"})):
        assert (await api.ask("GET", path, account="preflight", **query)).status_code == 403
    patched = await api.patch(f"{SECRETS}/key", {"data": {"c": "ZA=="}}, account="preflight")
    assert patched.status_code == 200
    assert "data" not in patched.json()
    assert (await api.ask("GET", f"{SECRETS}/key")).json()["data"] == {"a": "Yg==", "c": "ZA=="}


async def test_nobody_gives_away_rights_without_the_right_to(api: Api) -> None:
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create"]}]
    await api.store.patch(Key("Role", "agents", "preflight"), {"rules": rules})
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/agents"
    version = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    role = {**version, "kind": "Role", "metadata": {"name": "all"}, "rules": [everything]}
    answer = await api.ask("POST", f"{rbac}/roles", body=role, account="preflight")
    assert answer.status_code == 403
    binding = {
        **version,
        "kind": "RoleBinding",
        "metadata": {"name": "up"},
        "roleRef": {"kind": "ClusterRole", "name": "pressplay-preview-manager"},
        "subjects": [{"kind": "ServiceAccount", "name": "preflight"}],
    }
    answer = await api.ask("POST", f"{rbac}/rolebindings", body=binding, account="preflight")
    assert answer.status_code == 403
    assert 'cannot bind resource "clusterroles"' in answer.json()["message"]


async def test_node_ports_are_given_once_and_stay(api: Api) -> None:
    await api.ask("POST", NAMESPACES, body=_namespace("impl-pr-7", preview="true"))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"type": "NodePort", "ports": [{"name": "http", "port": 80}]},
    }
    made = (await api.ask("POST", SERVICES, body=service)).json()
    number = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= number <= 32767
    again = await api.patch(f"{SERVICES}/shop", service)
    assert again.json()["spec"] == made["spec"]
    other = service | {"metadata": {"name": "other"}}
    second = (await api.ask("POST", SERVICES, body=other)).json()
    assert second["spec"]["ports"][0]["nodePort"] != number
    wish = {"spec": {"ports": [{"name": "http", "port": 80, "nodePort": number}]}}
    answer = await api.patch(f"{SERVICES}/other", wish)
    assert answer.status_code == 422
    assert f"{number} is already allocated" in answer.json()["message"]


async def test_namespace_gets_the_label_by_which_policies_know_it(api: Api) -> None:
    made = await api.ask("POST", NAMESPACES, body=_namespace("impl-pr-7"))
    assert made.json()["metadata"]["labels"] == {"kubernetes.io/metadata.name": "impl-pr-7"}


async def test_broken_store_is_an_internal_error_without_its_details(api: Api) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("inner words")

    api.store.get = broken  # type: ignore[method-assign] # a bug, as a test sees it
    answer = await api.ask("GET", f"{CONFIGMAPS}/one")
    assert answer.status_code == 500
    assert answer.json()["kind"] == "Status"
    assert "inner words" not in answer.text
