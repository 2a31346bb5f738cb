"""The objects of a preview."""

from dataclasses import replace
from typing import Any

import pytest

from pressplay.api import kinds, names
from pressplay.api.policy import ProcessPreview
from pressplay.pods import spec as podspec
from pressplay.stages.previews import objects
from pressplay.stages.previews.objects import Preview

PREVIEW = Preview(
    names=names.preview(owner="acme", repo="todo", pr="7", domain="preview.localhost"),
    owner="acme",
    repo="todo",
    pr="7",
    sha="a" * 40,
    run="implement-r1-i3",
    expires="2026-01-03T03:04:05Z",
    source_key="implement-r1-i3/built/deploy",
    process=ProcessPreview(
        build=("cargo", "build", "--release"), command=("target/release/app",), ready="/healthz"
    ),
    visitors=("agents", "ingress-nginx"),
)


def pod_spec(preview: Preview = PREVIEW) -> dict[str, Any]:
    spec: dict[str, Any] = objects.deployment(preview)["spec"]["template"]["spec"]
    return spec


def test_the_lease_says_whose_it_is_and_until_when() -> None:
    metadata = objects.lease(PREVIEW)["metadata"]
    assert metadata["name"] == "impl-pr-7"
    assert metadata["labels"] | {"pod-security.kubernetes.io/enforce": "restricted"} == {
        "preview": "true",
        "pr": "7",
        "pressplay.dev/repo": names.repo_hash("acme", "todo"),
        "pressplay.dev/workflow": "implement-r1-i3",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    assert metadata["annotations"] == {
        "pressplay.dev/expires": "2026-01-03T03:04:05Z",
        "pressplay.dev/sha": "a" * 40,
        "pressplay.dev/repository": "acme/todo",
    }


def test_every_object_is_of_a_kind_that_both_runtimes_serve() -> None:
    for obj in (objects.lease(PREVIEW), *objects.contents(PREVIEW)):
        assert kinds.by_name(obj["kind"]).api_version == obj["apiVersion"]


def test_all_that_is_in_the_namespace_says_which_run_put_it_there() -> None:
    for obj in objects.contents(PREVIEW):
        assert obj["metadata"]["namespace"] == "impl-pr-7"
        assert obj["metadata"]["labels"]["pressplay.dev/workflow"] == "implement-r1-i3"


def test_limits_come_before_what_they_limit() -> None:
    written = [obj["kind"] for obj in objects.contents(PREVIEW)]
    assert written[:2] == ["ResourceQuota", "LimitRange"]
    assert written[-1] == "Deployment"


def test_what_was_built_is_unpacked_into_a_folder_of_the_apps_own() -> None:
    spec = pod_spec()
    volumes = {each.pop("name"): each for each in spec["volumes"]}
    assert volumes == {
        "app": {"emptyDir": {}},
        "built": {
            "csi": {
                "driver": "artifacts.pressplay.dev",
                "volumeAttributes": {"key": "implement-r1-i3/built/deploy"},
            }
        },
    }
    (unpack,), (app,) = spec["initContainers"], spec["containers"]
    assert unpack["command"] == ["python3", "-m", "pressplay.stages", "unpack"]
    assert {each["name"]: each["mountPath"] for each in unpack["volumeMounts"]} == {
        "app": "/app",
        "built": "/built",
    }
    assert app["command"] == ["target/release/app"]
    assert app["volumeMounts"] == [{"name": "app", "mountPath": "/app"}]
    assert app["workingDir"] == "/app"


def test_without_a_build_there_is_no_init_container() -> None:
    preview = replace(PREVIEW, process=replace(PREVIEW.process, build=()))
    spec = pod_spec(preview)
    assert spec["initContainers"] == []
    (volume,) = spec["volumes"]
    assert volume["csi"]["volumeAttributes"] == {"key": "implement-r1-i3/built/deploy"}


def test_the_app_is_asked_for_readiness_where_the_policy_says() -> None:
    app = pod_spec()["containers"][0]
    assert app["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert {"name": "PORT", "value": "8080"} in app["env"]


def test_the_pod_has_neither_token_nor_privilege() -> None:
    spec = pod_spec()
    assert spec["automountServiceAccountToken"] is False
    assert "hostNetwork" not in spec
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_a_new_head_changes_the_template_and_never_the_selector() -> None:
    before, after = objects.deployment(PREVIEW), objects.deployment(replace(PREVIEW, sha="b" * 40))
    assert before["spec"]["template"] != after["spec"]["template"]
    assert before["spec"]["selector"] == after["spec"]["selector"]
    assert before["spec"]["strategy"] == {"type": "Recreate"}


def test_the_services_selector_finds_the_pod() -> None:
    service = next(obj for obj in objects.contents(PREVIEW) if obj["kind"] == "Service")
    labels = objects.deployment(PREVIEW)["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["ports"][0]["targetPort"] == "http"


def test_nobody_reaches_a_preview_who_is_not_let_in() -> None:
    policies = {
        obj["metadata"]["name"]: obj["spec"]
        for obj in objects.contents(PREVIEW)
        if obj["kind"] == "NetworkPolicy"
    }
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    allowed = policies["visitors"]["ingress"][0]["from"][0]["namespaceSelector"]
    assert allowed["matchExpressions"][0]["values"] == ["agents", "ingress-nginx"]


@pytest.mark.parametrize("value", ["x" * 70, "a-very-long-run-name-" * 5])
def test_every_label_value_fits(value: str) -> None:
    preview = replace(PREVIEW, run=value)

    for obj in (objects.lease(preview), *objects.contents(preview)):
        for label in obj["metadata"]["labels"].values():
            assert len(label) <= 63


def test_the_embedded_runtime_takes_the_pod_as_it_is() -> None:
    template = objects.deployment(PREVIEW)["spec"]["template"]
    pod = podspec.parse_pod(
        template["spec"],
        name="todo-pr-7",
        namespace="impl-pr-7",
        uid="u",
        labels=template["metadata"]["labels"],
    )
    assert [each.name for each in pod.all_containers] == ["unpack", "app"]
    assert not pod.automount_token
