"""The schemas of our own kinds, out of the shipped CRDs, closed.

A cluster silently drops what a schema does not know; here an unknown field is refused, with the
nearest known one, before somebody waits for what it never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml

from pressplay.base.schemas import Schema

FILES = ("coderuns.yaml", "docsruns.yaml")


def load() -> Mapping[str, Schema]:
    """The schemas by kind."""
    folder = resources.files("pressplay.manifests") / "crds"
    found = {}
    for name in FILES:
        crd = yaml.load((folder / name).read_text(), Loader=yaml.CSafeLoader)
        document = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        found[crd["spec"]["names"]["kind"]] = Schema(closed(document))
    return found


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema of a structural one: no unknown fields, no Kubernetes extensions."""
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name.startswith("x-kubernetes-"):
            continue
        if name == "properties":
            made[name] = {field: closed(inner) for field, inner in value.items()}
        elif name in ("items", "additionalProperties") and isinstance(value, dict):
            made[name] = closed(value)
        else:
            made[name] = value
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    return made
