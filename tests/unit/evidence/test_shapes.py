"""Every evidence file has one shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.evidence import shapes


def test_every_name_has_a_schema_that_compiles_and_every_schema_a_name() -> None:
    assert {path.stem for path in shapes.FOLDER.glob("*.json")} == set(shapes.NAMES)
    for name in shapes.NAMES:
        with pytest.raises(Refused, match=f"^{name}: "):
            shapes.validate(name, [])


def test_the_evidence_of_a_green_run_fits(scene: Any) -> None:
    tree = scene.tree()
    known = [path for path in tree if path in shapes.OF_FILE]
    assert len(known) == len(shapes.OF_FILE) - 1  # no approval yet
    for path in known:
        shapes.validate(shapes.OF_FILE[path], json.loads(tree[path]))


@pytest.mark.parametrize(
    ("path", "keys", "value", "complaint"),
    [
        ("clippy/report.json", ["fmtStatus"], "ok", "fmtStatus: .* pass, fail or skipped"),
        ("clippy/report.json", ["warningsCount"], -1, "warningsCount"),
        ("qa/summary.json", ["qa", "passed"], "yes", "qa.passed: .* true or false"),
        ("qa/proof/index.json", ["files", 0, "path"], "../x", r"files\[0\].path"),
        ("qa/proof/index.json", ["files", 0, "path"], "a//b", r"files\[0\].path"),
        ("qa/proof/index.json", ["files", 0, "path"], "/x", r"files\[0\].path"),
        ("deploy/urls.json", ["sha"], "abc", "sha: .* full commit id"),
        ("acceptance/report.json", ["success_pct"], 1.2, "success_pct"),
        ("acceptance/report.json", ["timestamp"], "today", "timestamp"),
        ("acceptance/report.json", ["more"], 1, "unknown key 'more'"),
        ("policy.json", ["policy", "version"], 2, "version: 2 does not fit"),
    ],
)
def test_what_does_not_fit_is_named(
    *, scene: Any, path: str, keys: list[Any], value: object, complaint: str
) -> None:
    document = json.loads(scene.tree()[path])
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(Refused, match=complaint):
        shapes.validate(shapes.OF_FILE[path], document)


def test_an_approval_names_its_head_and_its_verdict() -> None:
    approval = {
        "run": "implement-r1-i7",
        "headSha": "a" * 40,
        "verdict": "pass",
        "approved": True,
        "timestamp": "2026-01-02T03:04:05Z",
        "reviewId": 12,
    }
    shapes.validate("approval", approval)
    for key in ("run", "headSha", "verdict", "approved", "timestamp"):
        with pytest.raises(Refused, match=f"the key '{key}' is missing"):
            shapes.validate("approval", {k: v for k, v in approval.items() if k != key})
