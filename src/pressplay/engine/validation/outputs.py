"""Outputs of a template: what they are made of, and the names that others know them by."""

from __future__ import annotations

from collections.abc import Container, Mapping, MutableMapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.validation import fields, tags

Json = Mapping[str, Any]

_SOURCES = ("path", "jqFilter", "jsonPath", "parameter", "expression")
_WITH_RESULT = ("container", "script", "data", "http", "plugin")
_TYPES = {"container": "Container", "containerSet": "ContainerSet", "script": "Script"}
_TYPES |= {"dag": "DAG", "steps": "Steps", "resource": "Resource", "suspend": "Suspend"}


def type_of(template: Json) -> str:
    """A template's type as messages name it."""
    return _TYPES.get(fields.kind_of(template), "")


def names_of(template: Json | None, prefix: str, *, aggregate: bool = False) -> set[str]:
    """The names below `steps.X` or `tasks.X` for a call of this template, None if not known.

    `aggregate`: it is called once for each of several items.
    """
    names = {f"{prefix}.{each}" for each in ("id", "startedAt", "finishedAt", "hostNodeName")}
    if template is None:
        return names
    if template.get("daemon"):
        names.add(f"{prefix}.ip")
    if _has_result(template) or (aggregate and fields.kind_of(template) == "containerSet"):
        names |= {f"{prefix}.outputs.result", f"{prefix}.exitCode"}
    if aggregate:
        names.add(f"{prefix}.outputs.parameters")
    return names | _declared(template, prefix)


def _declared(template: Json, prefix: str) -> set[str]:
    names: set[str] = set()
    for part in ("parameters", "artifacts"):
        for each in fields.entries(template.get("outputs"), part):
            names.add(f"{prefix}.outputs.{part}.{each.get('name')}")
            if tags.has_tag(each.get("globalName") or ""):
                names.add(f"workflow.outputs.{part}.*")
    return names


def publish(template: Json | None, *, known: MutableMapping[str, str]) -> None:
    """Add the global names of a template's outputs, as far as they are known."""
    for part in ("parameters", "artifacts"):
        for each in fields.entries((template or {}).get("outputs"), part):
            name = each.get("globalName") or ""
            if name and not tags.has_tag(name):
                known[f"workflow.outputs.{part}.{name}"] = tags.placeholder()


def has_late_artifacts(templates: list[Json]) -> bool:
    """Whether some artifact has a global name that only the run can know."""
    return any(
        tags.has_tag(artifact.get("globalName") or "")
        for template in templates
        for artifact in fields.entries(template.get("outputs"), "artifacts")
    )


def _has_result(template: Json) -> bool:
    containers = (template.get("containerSet") or {}).get("containers") or ()
    return fields.kind_of(template) in _WITH_RESULT or any(
        each.get("name") == "main" for each in containers
    )


def check(template: Json, *, known: Container[str]) -> None:
    """Refuse outputs that cannot be had."""
    where = f"templates.{template.get('name', '')}"
    outputs = template.get("outputs") or {}
    for part in ("parameters", "artifacts"):
        fields.check_value_names(fields.entries(outputs, part), where=f"{where}.outputs.{part} ")
    try:
        tags.check(outputs, known=known)
    except Refused as error:
        raise Refused(f"{where}.outputs {error}") from error
    for artifact in fields.entries(outputs, "artifacts"):
        _check_artifact(artifact, template, where=f"{where}.outputs.artifacts.{artifact['name']}")
    for parameter in fields.entries(outputs, "parameters"):
        at = f"{where}.outputs.parameters.{parameter['name']}"
        _check_parameter(parameter, template, where=at)
        _check_global_name(parameter, where=at)


def _check_artifact(artifact: Json, template: Json, *, where: str) -> None:
    if fields.is_leaf(template):
        fields.check_path(artifact, where=where)
    elif artifact.get("path"):
        raise Refused(f"{where}.path only valid in container/script templates")
    _check_global_name(artifact, where=where)


def _check_global_name(value: Json, *, where: str) -> None:
    name = value.get("globalName") or ""
    if name and not tags.has_tag(name):
        problem = fields.value_name_problem(name)
        if problem:
            raise Refused(f"{where}.globalName: {problem}")


def _check_parameter(parameter: Json, template: Json, *, where: str) -> None:
    source = parameter.get("valueFrom")
    if parameter.get("value") is not None:
        if source is not None:
            raise Refused(f"{where} has both valueFrom and value specified. Choose one.")
        return
    if source is None:
        raise Refused(f"{where} does not have valueFrom or value specified")
    count = sum(bool(source.get(each)) for each in _SOURCES) + (source.get("supplied") is not None)
    choices = "choose one of: path, jqFilter, jsonPath, parameter, raw"
    if count == 0:
        raise Refused(f"valueFrom type unspecified. {choices}, expression")
    if count > 1:
        raise Refused(f"multiple valueFrom types specified. {choices}")
    _check_source(source, template, where=where)


def _check_source(source: Json, template: Json, *, where: str) -> None:
    kind = fields.kind_of(template)
    needed = {
        "resource": (("jqFilter", "jsonPath"), " .jqFilter or jsonPath"),
        "dag": (("parameter", "expression"), ".parameter or expression"),
        "steps": (("parameter", "expression"), ".parameter or expression"),
        "container": (("path",), ".path"),
        "containerSet": (("path",), ".path"),
        "script": (("path",), ".path"),
    }
    choices, words = needed.get(kind, ((), ""))
    if choices and not any(source.get(each) for each in choices):
        raise Refused(f"{where}{words} must be specified for {type_of(template)} templates")
