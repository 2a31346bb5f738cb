"""A resource template: one object made or changed, then watched until a condition holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from pressplay.api import kinds
from pressplay.base.errors import Refused
from pressplay.cluster.port import AlreadyExists, Key, Object, Objects, key_of
from pressplay.engine import conditions
from pressplay.engine.nodes import Outcome, Outputs, Phase
from pressplay.engine.templates import Template

_EXIT_FAILED = "64"
"""With what Argo's executor ends a step of its own that failed."""

_FAILED = f"main: Error (exit code {_EXIT_FAILED}): "


async def run_resource(objects: Objects, template: Template, *, owner: Object) -> Outcome:
    """Carry out the template's action; with conditions, wait until one of them holds.

    Safe to repeat: `apply` with the same manifest changes nothing, `create` accepts an object of
    the same name that this run owns. Waits for ever without a deadline: the caller has one.
    """
    raw = template.raw["resource"]
    try:
        obj = await _act(objects, raw, owner=owner)
        success = conditions.Condition.parse(raw.get("successCondition", ""))
        failure = conditions.Condition.parse(raw.get("failureCondition", ""))
    except (Refused, yaml.YAMLError) as error:
        return Outcome(Phase.ERROR, f"{_FAILED}{error}")
    if raw.get("successCondition") or raw.get("failureCondition"):
        obj, complaint = await _wait(objects, key_of(obj), success=success, failure=failure)
        if complaint:
            told = replace(_outputs(template, obj)[0], exit_code=_EXIT_FAILED)
            return Outcome(Phase.FAILED, f"{_FAILED}{complaint}", told)
    outputs, complaint = _outputs(template, obj)
    if complaint:
        return Outcome(Phase.ERROR, f"{_FAILED}{complaint}", outputs)
    return Outcome(Phase.SUCCEEDED, "", replace(outputs, exit_code="0"))


async def _act(objects: Objects, raw: Mapping[str, Any], *, owner: Object) -> Object:
    obj = _read_manifest(raw, owner=owner)
    match raw["action"]:
        case "create":
            return await _create(objects, obj, owner=owner)
        case "apply":
            return await _apply(objects, obj)
        case "patch":
            return await objects.patch(key_of(obj), obj)
        case "get":
            return await _existing(objects, key_of(obj))
        case "delete":
            await objects.delete(key_of(obj))
            return dict(obj)
        case other:
            raise Refused(f"resource action {other!r} is not supported; use create, apply or get")


def _read_manifest(raw: Mapping[str, Any], *, owner: Object) -> Object:
    obj = yaml.load(raw.get("manifest", ""), Loader=yaml.CSafeLoader)
    if not isinstance(obj, dict) or "kind" not in obj:
        raise Refused("resource manifest must be a valid yaml object with a kind")
    kind = kinds.by_name(obj["kind"])
    metadata = obj.setdefault("metadata", {})
    if kind.namespaced:
        metadata.setdefault("namespace", owner["metadata"]["namespace"])
    if raw.get("setOwnerReference"):
        metadata["ownerReferences"] = [_reference(owner)]
    return obj


async def _apply(objects: Objects, obj: Object) -> Object:
    try:
        return await objects.create(obj)
    except AlreadyExists:
        return await objects.patch(key_of(obj), obj)


async def _create(objects: Objects, obj: Object, *, owner: Object) -> Object:
    try:
        return await objects.create(obj)
    except AlreadyExists:
        found = await _existing(objects, key_of(obj))
        owners = [each["uid"] for each in found["metadata"].get("ownerReferences", ())]
        if owner["metadata"]["uid"] in owners:
            return found
        raise


async def _existing(objects: Objects, key: Key) -> Object:
    found = await objects.get(key)
    if found is None:
        raise Refused(f'{key.kind} "{key.name}" not found')
    return found


def _reference(owner: Object) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "blockOwnerDeletion": True,
        "controller": True,
    }


async def _wait(
    objects: Objects,
    key: Key,
    *,
    success: conditions.Condition,
    failure: conditions.Condition,
) -> tuple[Object, str]:
    """The object once a condition holds, and the complaint if it is the failing one."""
    last: Object = {}
    changes = objects.watch(key.kind, namespace=key.namespace)
    try:
        async for change in changes:
            if key_of(change.object) != key:
                continue
            last = change.object
            if change.type == "DELETED":
                return last, f"{key.kind} {key.name} was deleted while it was waited for"
            if failure and failure.holds(last, any_of=True):
                return last, f"failure condition '{failure}' evaluated true{_because(last)}"
            if success and success.holds(last):
                return last, ""
    finally:
        close = getattr(changes, "aclose", None)
        if close is not None:
            await asyncio.shield(close())
    raise Refused(f"the watch of {key} ended")


def _because(obj: Object) -> str:
    """What the object says of itself, so that a failed wait explains more than that it failed."""
    message = obj.get("status", {}).get("message", "")
    return f": {message}" if message else ""


def _outputs(template: Template, obj: Object) -> tuple[Outputs, str]:
    values: dict[str, str] = {}
    for parameter in template.outputs.parameters:
        try:
            value = (
                conditions.json_path(obj, parameter.json_path)
                if parameter.json_path
                else parameter.value
            )
        except Refused as error:
            if parameter.default is None:
                return Outputs(values), str(error)
            value = parameter.default
        if value is not None:
            values[parameter.name] = value
    return Outputs(values), ""
