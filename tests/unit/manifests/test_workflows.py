"""The shipped workflows against Argo's own schemas, and the rules that the schemas cannot say."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest

from pressplay.manifests import loading

_ROOT = resources.files("pressplay.manifests")
_VERSIONS = ("3.7.14", "4.1.2")


def _templates() -> list[dict[str, Any]]:
    return [obj for obj in loading.shipped(namespace="agents") if obj["kind"] == "WorkflowTemplate"]


def _schema(version: str) -> jsonschema_rs.Validator:
    text = (_ROOT / "schemas" / f"argo-workflows-{version}.json").read_text()
    return jsonschema_rs.validator_for(json.loads(text))


def _steps() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{obj['metadata']['name']}/{template['name']}", template)
        for obj in _templates()
        for template in obj["spec"]["templates"]
    ]


@pytest.mark.parametrize("version", _VERSIONS)
def test_argo_accepts_every_shipped_workflow(version: str) -> None:
    schema = _schema(version)
    found = {
        obj["metadata"]["name"]: [error.message for error in schema.iter_errors(obj)]
        for obj in _templates()
    }
    assert {name: said for name, said in found.items() if said} == {}
    assert set(found) >= {
        *("implementation-dag", "implementation", "coderun-template", "docsrun-template"),
        *("coderun-run", "docsrun-run", "pr-validation"),
    }


def test_every_step_hands_out_why_it_failed() -> None:
    silent = {"coderun-run/warm"}  # whose failing costs nothing but time
    steps = {name: step for name, step in _steps() if "container" in step}
    telling = {
        name
        for name, step in steps.items()
        for each in step.get("outputs", {}).get("parameters", ())
        if each["name"] == "reason" and each["valueFrom"] == {"path": "/out/reason", "default": ""}
    }
    assert set(steps) - telling == silent
    inits = [each for step in steps.values() for each in step.get("initContainers", ())]
    assert {each["terminationMessagePolicy"] for each in inits} == {"FallbackToLogsOnError"}


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize(
    ("path", "value"),
    [(("spec", "dependancies"), []), (("spec", "synchronization"), {"semaphore": {}})],
)
def test_the_schemas_are_closed_against_unknown_fields(
    version: str, path: tuple[str, str], value: object
) -> None:
    if version == "3.7.14" and path[1] == "synchronization":
        pytest.skip("3.7 still has the singular semaphore")
    obj = json.loads(json.dumps(_templates()[0]))
    obj[path[0]][path[1]] = value
    assert not _schema(version).is_valid(obj)


def test_no_script_holds_a_tag_and_no_step_is_a_shell() -> None:
    for name, template in _steps():
        assert "script" not in template, name
        for container in [template.get("container"), *template.get("initContainers", [])]:
            if container is not None:
                assert container["command"][:3] == ["python3", "-m", "pressplay.stages"], name
                assert "{{" not in json.dumps(container["command"] + container.get("args", []))


def test_every_leaf_has_a_deadline() -> None:
    for name, template in _steps():
        if "container" in template or "resource" in template:
            assert int(template["activeDeadlineSeconds"]) > 0, name


def test_every_resource_waits_for_success_and_for_failure() -> None:
    for name, template in _steps():
        if "resource" in template:
            resource = template["resource"]
            assert resource["successCondition"] == "status.phase in (Succeeded)", name
            assert resource["failureCondition"] == "status.phase in (Failed, Error, Cancelled)", (
                name
            )
            assert resource["action"] == "apply", name


def test_values_enter_a_manifest_only_as_json() -> None:
    for name, template in _steps():
        manifest = template.get("resource", {}).get("manifest", "")
        for line in manifest.splitlines():
            if "{{" in line:
                assert "{{=toJson(" in line, f"{name}: {line}"


def test_what_runs_foreign_code_sits_beside_no_token() -> None:
    steps = dict(_steps())
    networks = {"coderun-run/agent": "relay", "coderun-run/verify": "relay"}
    networks |= {"docsrun-run/command": "none", "docsrun-run/build": "relay"}
    for name, network in networks.items():
        template = steps[name]
        assert template["metadata"]["labels"]["pressplay.dev/network"] == network
        assert "github-app" not in json.dumps(template.get("volumes", []))
        assert "initContainers" not in template


def test_only_the_agents_sidecar_sees_the_models_key() -> None:
    for name, template in _steps():
        sidecars = template.get("sidecars", [])
        others = [template.get("container", {}), *template.get("initContainers", [])]
        seeing = [
            each["name"]
            for each in sidecars
            for mount in each.get("volumeMounts", [])
            if mount["name"] == "model-key"
        ]
        assert "model-key" not in json.dumps([each.get("volumeMounts") for each in others]), name
        assert seeing == (["relay"] if name == "coderun-run/agent" else []), name


def test_a_step_with_a_relay_may_only_read_what_its_sidecar_shares() -> None:
    for name, template in _steps():
        if template.get("metadata", {}).get("labels", {}).get("pressplay.dev/network") != "relay":
            assert "sidecars" not in template, name
            continue
        (sidecar,) = template["sidecars"]
        assert sidecar["command"] == ["python3", "-m", "pressplay.stages", "relay"]
        mounts = {each["name"]: each for each in template["container"]["volumeMounts"]}
        assert mounts["relay"] == {"name": "relay", "mountPath": "/run/relay", "readOnly": True}
        assert {"name": "relay", "mountPath": "/run/relay"} in sidecar["volumeMounts"]


def test_the_alias_declares_the_same_parameters() -> None:
    by_name = {obj["metadata"]["name"]: obj for obj in _templates()}
    alias, real = by_name["implementation"], by_name["implementation-dag"]
    assert alias["spec"]["arguments"] == real["spec"]["arguments"]
    assert alias["spec"]["activeDeadlineSeconds"] == real["spec"]["activeDeadlineSeconds"]


def test_a_validation_is_asked_like_an_implementation_and_ends_like_one() -> None:
    by_name = {obj["metadata"]["name"]: obj for obj in _templates()}
    made, real = (by_name[name]["spec"] for name in ("pr-validation", "implementation-dag"))
    assert made["arguments"] == real["arguments"]
    assert made["activeDeadlineSeconds"] == real["activeDeadlineSeconds"]
    assert made["hooks"]["exit"]["templateRef"]["template"] == real["hooks"]["exit"]["template"]


def test_a_validations_tasks_are_those_of_an_implementation() -> None:
    by_name = {obj["metadata"]["name"]: obj for obj in _templates()}
    made, real = (
        {
            task["name"]: task
            for template in by_name[name]["spec"]["templates"]
            if template["name"] == "pipeline"
            for task in template["dag"]["tasks"]
        }
        for name in ("pr-validation", "implementation-dag")
    )
    assert set(made) == set(real) - {"implement"}
    assert made["clippy-format"]["depends"] == "set-params.Succeeded"
    for name in set(made) - {"clippy-format"}:
        assert made[name].get("depends") == real[name].get("depends"), name
        reference = made[name]["templateRef"]
        assert reference["template"] == real[name].get("template", "coderun-main"), name


def test_every_limit_that_a_step_stands_in_line_for_is_shipped() -> None:
    (limits,) = [
        obj["data"]
        for obj in loading.shipped(namespace="agents")
        if obj["metadata"]["name"] == "pressplay-limits"
    ]
    asked = {}
    for name, template in _steps():
        for each in template.get("synchronization", {}).get("semaphores", []):
            assert each["configMapKeyRef"]["name"] == "pressplay-limits", name
            asked[name] = each["configMapKeyRef"]["key"]
    assert asked == {
        "coderun-template/create-coderun": "agents",
        "implementation-dag/deploy": "previews",
        "implementation-dag/acceptance": "loads",
    }
    assert set(asked.values()) == set(limits)
    assert all(int(value) > 0 for value in limits.values())


def test_nothing_that_holds_a_limit_waits_for_another_lock() -> None:
    steps = dict(_steps())
    for name, template in steps.items():
        locks = template.get("synchronization", {})
        if locks.get("semaphores"):
            assert "mutexes" not in locks, name
            assert "steps" not in template, name
            assert "dag" not in template, name
    for name in ("finish", "seal", "cleanup"):
        assert "synchronization" not in steps[f"implementation-dag/{name}"]


def test_every_parameter_of_a_run_defaults_to_something() -> None:
    for obj in _templates():
        for parameter in obj["spec"]["arguments"]["parameters"]:
            assert "value" in parameter, (obj["metadata"]["name"], parameter["name"])


def test_yaml_words_that_old_readers_take_for_booleans_are_quoted() -> None:
    def keys(value: object) -> list[object]:
        if isinstance(value, dict):
            return [*value, *(key for each in value.values() for key in keys(each))]
        return [key for each in value for key in keys(each)] if isinstance(value, list) else []

    for obj in loading.shipped(namespace="agents"):
        assert all(isinstance(key, str) for key in keys(obj)), obj["metadata"]["name"]
