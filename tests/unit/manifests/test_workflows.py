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
        *("coderun-run", "docsrun-run"),
    }


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


def test_the_agent_sits_beside_no_token_and_no_network() -> None:
    steps = dict(_steps())
    for name in ("coderun-run/agent", "coderun-run/verify", "docsrun-run/command"):
        template = steps[name]
        assert template["metadata"]["labels"]["pressplay.dev/network"] == "none"
        assert "github-app" not in json.dumps(template.get("volumes", []))
        assert "initContainers" not in template


def test_the_alias_declares_the_same_parameters() -> None:
    by_name = {obj["metadata"]["name"]: obj for obj in _templates()}
    alias, real = by_name["implementation"], by_name["implementation-dag"]
    assert alias["spec"]["arguments"] == real["spec"]["arguments"]
    assert alias["spec"]["activeDeadlineSeconds"] == real["spec"]["activeDeadlineSeconds"]


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
