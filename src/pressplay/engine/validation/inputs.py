"""What a template is given by its caller, and the names under which it sees that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.resolving import Scope
from pressplay.engine.validation import fields, outputs, tags

Json = Mapping[str, Any]

_RETRY_NAMES = (
    "retries",
    *(f"lastRetry.{each}" for each in ("exitCode", "status", "duration", "message")),
)
_PODS = ("container", "containerSet", "script", "resource", "data")


def supplied(template: Json, arguments: Json | None) -> Json:
    """The inputs with what the caller gives; None stands for whatever is asked for."""
    given = {each["name"]: each for each in fields.entries(arguments, "parameters")}
    handed = {each["name"]: each for each in fields.entries(arguments, "artifacts")}
    inputs = template.get("inputs") or {}
    parameters, artifacts = [], []
    for declared in fields.entries(inputs, "parameters"):
        name = declared["name"]
        any_ = None if arguments is not None else {"value": tags.placeholder()}
        parameters.append(_parameter(declared, any_ or given.get(name)))
    for declared in fields.entries(inputs, "artifacts"):
        name = declared["name"]
        is_handed = arguments is None or name in handed
        if not is_handed and not declared.get("optional") and not fields.has_location(declared):
            raise Refused(f"inputs.artifacts.{name} was not supplied")
        own = {key: declared[key] for key in ("path", "mode", "recurseMode") if key in declared}
        artifacts.append({"name": name, **handed.get(name, {}), **own} if is_handed else declared)
    return {"parameters": parameters, "artifacts": artifacts}


def _parameter(declared: Json, given: Json | None) -> Json:
    value, source = declared.get("value"), declared.get("valueFrom")
    if value is None:
        value = declared.get("default")
    if given is not None:
        value = given.get("value")
        source = given.get("valueFrom") if value is None else None
    if value is None and not (source or {}).get("configMapKeyRef"):
        raise Refused(f"inputs.parameters.{declared['name']} was not supplied")
    return {**declared, "value": value, "valueFrom": source}


def scope(template: Json, inputs: Json, outer: Scope) -> Scope:
    names = {"inputs.parameters": tags.placeholder()}
    for each in inputs["parameters"]:
        text = tags.placeholder() if each["value"] is None else tags.text_of(each["value"])
        names[f"inputs.parameters.{each['name']}"] = tags.filled(text, outer)
    for each in inputs["artifacts"]:
        if each.get("path"):
            names[f"inputs.artifacts.{each['name']}.path"] = each["path"]
    for each in paths(template):
        names[each] = tags.placeholder()
    return outer.with_(names)


def local_names(template: Json) -> set[str]:
    names = {"pod.name"} if fields.kind_of(template) in _PODS else set()
    return names | set(_RETRY_NAMES) if template.get("retryStrategy") is not None else names


def paths(template: Json) -> set[str]:
    """The names of the places where a leaf is to put its outputs."""
    if not fields.is_leaf(template):
        return set()
    written = template.get("outputs")
    artifacts = [e for e in fields.entries(written, "artifacts") if e.get("path")]
    parameters = [
        e for e in fields.entries(written, "parameters") if (e.get("valueFrom") or {}).get("path")
    ]
    return {f"outputs.artifacts.{each.get('name')}.path" for each in artifacts} | {
        f"outputs.parameters.{each.get('name')}.path" for each in parameters
    }


def check_timeout(template: Json, scope: Scope) -> None:
    if not template.get("timeout"):
        return
    if not fields.is_leaf(template):
        raise Refused(f"{outputs.type_of(template)} template doesn't support timeout field.")
    if tags.filled(str(template["timeout"]), scope).lstrip("+-").isdecimal():
        raise Refused(f"{template.get('name', '')} has invalid duration format in timeout.")
