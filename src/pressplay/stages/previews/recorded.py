"""The policy that preflight recorded for this run, as the steps of a preview find it."""

from __future__ import annotations

from pathlib import Path

from pressplay.api import policy
from pressplay.api.policy import Policy
from pressplay.base import documents
from pressplay.base.errors import Refused

FILE = "policy.json"


def read_policy(file: Path) -> Policy:
    """The policy of this run. Raises Refused."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise Refused(f"No policy at {file}; preflight must have recorded it") from error
    return policy.Record.from_json(documents.read_json(text, source=file.name)).policy


def has_build(rules: Policy) -> bool:
    """Whether something is to be built before the app can start."""
    return rules.preview.deployer == "process" and bool(rules.preview.process.build)
