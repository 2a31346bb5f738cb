"""The shape of every evidence file: one JSON Schema each, in the folder `schemas`.

A file that does not fit fails the stage that wrote it, and can never make a run pass.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from pressplay.api import policy
from pressplay.base import schemas

FOLDER = Path(__file__).with_name("schemas")

OF_FILE = {
    "policy.json": "policy",
    "clippy/report.json": "clippy",
    "qa/summary.json": "qa",
    "qa/proof/index.json": "proof",
    "deploy/urls.json": "urls",
    "acceptance/report.json": "report",
    "approval/approval.json": "approval",
}
"""The shape of each JSON file in an evidence tree. Samples have their own reader."""

NAMES = (*OF_FILE.values(), "sample", "index")


def validate(name: str, value: object) -> None:
    """Raise Refused, naming the place, unless the JSON `value` has the shape `name` (see NAMES)."""
    schema(name).check(value, source=name)
    if name == "policy":
        # The policy itself has its schema, and rules that no schema can say, where it is read.
        policy.Record.from_json(value)


@functools.cache
def schema(name: str) -> schemas.Schema:
    """The compiled schema of a file of the bundle (see NAMES)."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return schemas.Schema(document)
