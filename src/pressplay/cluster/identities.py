"""What an object must say of itself before any store takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.api import kinds
from pressplay.api.kinds import Kind
from pressplay.base.errors import Refused
from pressplay.cluster.port import Object


def check(obj: Object) -> tuple[Kind, Mapping[str, Any]]:
    """The kind and the metadata of a new object. Raises Refused."""
    kind = kinds.by_name(str(obj.get("kind", "")))
    if obj.get("apiVersion") != kind.api_version:
        raise Refused(
            f"apiVersion of a {kind.name} must be {kind.api_version}, not {obj.get('apiVersion')!r}"
        )
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise Refused(f"A {kind.name} needs metadata with a name")
    given = metadata.get("name") or metadata.get("generateName")
    if not isinstance(given, str) or not given:
        raise Refused(f"A {kind.name} needs metadata.name or metadata.generateName")
    namespace = str(metadata.get("namespace") or "")
    if kind.namespaced != bool(namespace):
        wants = "needs a" if kind.namespaced else "has no"
        raise Refused(f"A {kind.name} {wants} metadata.namespace; it is {namespace!r}")
    return kind, metadata
