"""Templates that do work of their own: what Argo wants to know of each kind before it begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from pressplay.base.errors import Refused
from pressplay.engine.validation import fields, tags

Json = Mapping[str, Any]

_ACTIONS = ("get", "create", "apply", "delete", "replace", "patch")
_EXPRESSION = re.compile(r"\{\{\s*=.+?\}\}")


def check(template: Json, *, defaults: Json) -> None:
    """Refuse a template whose inputs are filled in; `defaults` are the templateDefaults."""
    where = f"templates.{template.get('name', '')}"
    if template.get("container") is not None:
        _check_mounts(template, where=where)
        _check_image(template, "container", defaults, where=where)
    if template.get("containerSet") is not None:
        _check_container_set(template, where=where)
    if template.get("resource") is not None:
        _check_resource(template, where=where)
    if template.get("script") is not None:
        _check_image(template, "script", defaults, where=where)
    _check_deadline(template.get("activeDeadlineSeconds"), where=where)
    if template.get("parallelism") is not None:
        raise Refused(f"{where}.parallelism is only valid for steps and dag templates")


def _check_image(template: Json, kind: str, defaults: Json, *, where: str) -> None:
    if not template[kind].get("image") and not (defaults.get(kind) or {}).get("image"):
        raise Refused(f"{where}.{kind}.image may not be empty")


def _check_mounts(template: Json, *, where: str) -> None:
    """Each path in a pod has one thing at it."""
    mounts = template["container"].get("volumeMounts") or ()
    at = [
        (f"container.volumeMounts[{number}].mountPath", each, "mountPath", "container.volumeMounts")
        for number, each in enumerate(mounts)
    ] + [
        (f"inputs.artifacts[{number}].path", each, "path", "inputs.artifacts")
        for number, each in enumerate(fields.entries(template.get("inputs"), "artifacts"))
    ]
    taken: dict[str, str] = {}
    for place, each, field, owner in at:
        path = each.get(field) or ""
        if path in taken:
            raise Refused(f"{where}.{place} '{path}' already mounted in {taken[path]}")
        taken[path] = f"{owner}.{each.get('name')}"


def _check_container_set(template: Json, *, where: str) -> None:
    containers = template["containerSet"].get("containers") or []
    if not containers:
        raise Refused(f"{where}.containerSet.containers must have at least one container")
    fields.check_names(containers, where=f"{where}.containerSet.containers")
    names = [each["name"] for each in containers]
    for each in containers:
        for needed in each.get("dependencies") or ():
            if needed not in names:
                raise Refused(
                    f"{where}.containerSet.containers.{each['name']} dependency '{needed}' "
                    "not defined"
                )
    exchanged = (
        *fields.entries(template.get("inputs"), "artifacts"),
        *fields.entries(template.get("outputs"), "parameters"),
        *fields.entries(template.get("outputs"), "artifacts"),
    )
    if exchanged and "main" not in names:
        raise Refused(
            f'{where}.containerSet.containers must have a container named "main" '
            "for input or output"
        )


def _check_resource(template: Json, *, where: str) -> None:
    resource = template["resource"]
    action = resource.get("action") or ""
    if action not in _ACTIONS and not tags.is_placeholder(action):
        raise Refused(f"{where}.resource.action must be one of: {', '.join(_ACTIONS)}")
    if action in ("get", "delete"):
        return
    manifest, source = resource.get("manifest") or "", resource.get("manifestFrom")
    if not manifest and source is None:
        raise Refused(
            f"either {where}.resource.manifest or {where}.resource.manifestFrom must be specified"
        )
    if manifest and source is not None:
        raise Refused(
            "shouldn't have both `manifest` and `manifestFrom` specified in `Manifest` "
            "for resource template"
        )
    artifact = ((source or {}).get("artifact") or {}).get("name")
    inputs = fields.entries(template.get("inputs"), "artifacts")
    if artifact is not None and artifact not in [each["name"] for each in inputs]:
        raise Refused(f"artifact {artifact} in `manifestFrom` refer to a non-exist artifact")
    _check_manifest(manifest, where=where)


def _check_manifest(manifest: str, *, where: str) -> None:
    if not manifest or tags.is_placeholder(manifest):
        return
    # An expression without quotes is no YAML, and becomes some before anybody reads it.
    end = manifest.rfind("}}") + 2
    text = _EXPRESSION.sub(lambda _: tags.placeholder(), manifest[:end]) + manifest[end:]
    try:
        yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise Refused(f"{where}.resource.manifest must be a valid yaml") from error


def _check_deadline(value: object, *, where: str) -> None:
    # Argo cannot even read a fraction; here it is a shorter deadline.
    if value is None or isinstance(value, float) or tags.is_placeholder(value):
        return
    text = str(value)
    is_late = text.startswith("{{") and text.endswith("}}")
    if not is_late and not re.fullmatch(r"\+?[0-9]+|-0+", text):
        raise Refused(
            f"{where}.activeDeadlineSeconds must be a positive integer > 0 or an argo variable"
        )
