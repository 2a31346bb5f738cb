"""What this server serves, as clients ask it before anything else. Pure.

Shapes: Kubernetes' API reference (APIVersions, APIGroupList, APIResourceList). The OpenAPI
documents say only what kubectl looks for before it writes: that a kind takes `fieldValidation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pressplay.api.kinds import KINDS, Kind

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+pressplay",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def documents() -> dict[str, dict[str, Any]]:
    """Every discovery document by its path, without a trailing slash."""
    found: dict[str, dict[str, Any]] = {
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    }
    groups = []
    index = {}
    for group, version in dict.fromkeys((kind.group, kind.version) for kind in KINDS):
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        kinds = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
        found[path] = _resources(kinds)
        found[f"/openapi/v3{path}"] = _openapi(kinds)
        url = f"/openapi/v3{path}?hash={VERSION['gitVersion']}"
        index[path.removeprefix("/")] = {"serverRelativeURL": url}
        if group:
            groups.append(_group(group, version))
            found[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **groups[-1]}
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    found["/openapi/v3"] = {"paths": index}
    return found


def _group(group: str, version: str) -> dict[str, Any]:
    known = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [known], "preferredVersion": known}


def _resources(kinds: Sequence[Kind]) -> dict[str, Any]:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": [entry for kind in kinds for entry in _entries(kind)],
    }


def _entries(kind: Kind) -> list[dict[str, Any]]:
    """A kind as resources: itself and its parts."""
    common = {"singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name}
    entries: list[dict[str, Any]] = [
        {**common, "name": kind.plural, "verbs": _VERBS, "shortNames": list(kind.short_names)}
    ]
    parts = {"status": ["get", "patch", "update"]} if kind.has_status else {}
    if kind.name == "Pod":
        parts["log"] = ["get"]
    for part, verbs in parts.items():
        entries.append(
            {**common, "singularName": "", "name": f"{kind.plural}/{part}", "verbs": verbs}
        )
    return entries


def _openapi(kinds: Sequence[Kind]) -> dict[str, Any]:
    return {
        "openapi": "3.0.0",
        "info": {"title": "pressplay", "version": VERSION["gitVersion"]},
        "paths": {kind.path("{namespace}", "{name}"): _openapi_path(kind) for kind in kinds},
        "components": {"schemas": {}},
    }


def _openapi_path(kind: Kind) -> dict[str, Any]:
    field_validation = {
        "name": "fieldValidation",
        "in": "query",
        "schema": {"type": "string", "uniqueItems": True},
    }
    operation = {
        "parameters": [field_validation],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "kind": kind.name,
            "version": kind.version,
        },
    }
    return {
        "patch": {**operation, "x-kubernetes-action": "patch"},
        "put": {**operation, "x-kubernetes-action": "put"},
    }
