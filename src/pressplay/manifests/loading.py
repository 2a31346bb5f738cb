"""The shipped manifests, as objects."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from pressplay.api import kinds

FOLDERS = ("crds", "rbac", "config", "workflows")
"""In the order in which they are to be applied."""


def shipped(*, namespace: str) -> Iterator[dict[str, Any]]:
    """Every object of the package's own manifests, in an order in which they can be applied.

    What a namespace holds and names none goes to `namespace`, as with `kubectl apply -n`.
    """
    root = resources.files("pressplay.manifests")
    for folder in FOLDERS:
        for entry in sorted((root / folder).iterdir(), key=lambda each: each.name):
            if entry.name.endswith(".yaml"):
                for document in documents(entry):
                    if kinds.by_name(document["kind"]).namespaced:
                        document["metadata"].setdefault("namespace", namespace)
                    yield document


def documents(source: Traversable) -> Iterator[dict[str, Any]]:
    """The objects in one YAML file."""
    for document in yaml.load_all(source.read_text(), Loader=yaml.CSafeLoader):
        if document:
            yield document
