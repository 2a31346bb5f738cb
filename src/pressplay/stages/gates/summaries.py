"""QA's evidence: `summary.json`, the proof files, and the index of their digests."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pressplay.base import clocks
from pressplay.evidence import shapes
from pressplay.stages.gates.cases import Case
from pressplay.stages.toolchains.port import CaseStatus, TestCase, TestResult

LOG = "tests.txt"
CASES_LIMIT = 2000
"""Test cases that the summary names; the report in the proof has all."""


@dataclass(frozen=True)
class Criterion:
    """One thing that was demanded; `why` says why it is not so, empty where it is."""

    id: str
    text: str
    why: str


@dataclass(frozen=True)
class Summary:
    """What QA found."""

    started: str
    language: str
    suite: TestResult
    criteria: tuple[Criterion, ...]
    log: str


def write(case: Case, summary: Summary) -> None:
    """Write all of QA's files, each in its shape."""
    names = _write_proof(case, summary.log)
    document = _document(case, summary, names=names)
    shapes.validate("qa", document)
    case.env.write_artifact(f"{case.context.role}/summary.json", document)


def _write_proof(case: Case, log: str) -> list[str]:
    """Copy the runner's reports, then list what was written with its digest."""
    folder = f"{case.context.role}/proof"
    case.env.write_artifact(f"{folder}/{LOG}", log)
    names = [LOG]
    for report in sorted((case.scratch / "proof").glob("*.xml")):
        if report.is_symlink() or not report.is_file() or report.name == "mutant.xml":
            continue
        case.env.write_artifact(f"{folder}/{report.name}", report.read_text(errors="replace"))
        names.append(report.name)
    index = {"files": [_entry(case.env.artifacts / folder, name) for name in names]}
    shapes.validate("proof", index)
    case.env.write_artifact(f"{folder}/index.json", index)
    return ["index.json", *names]


def _entry(folder: Path, name: str) -> dict[str, Any]:
    """Digest of the file as it was kept, after redaction."""
    content = (folder / name).read_bytes()
    return {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _document(case: Case, summary: Summary, *, names: list[str]) -> dict[str, Any]:
    context = case.context
    return {
        "version": 1,
        "pr": {
            "owner": context.owner,
            "repo": context.repo,
            "number": context.pr,
            "headSha": case.tip,
        },
        "qa": {
            "passed": not any(criterion.why for criterion in summary.criteria),
            "startedAt": summary.started,
            "finishedAt": clocks.to_text(case.clock.now()),
        },
        "environment": {
            "language": summary.language,
            "python": platform.python_version(),
            "baseSha": context.base_sha,
        },
        "artifacts": [f"proof/{name}" for name in names],
        "evidence": {"k8s": [], "logs": [f"proof/{LOG}"], "httpChecks": []},
        "tests": {str(status): summary.suite.count(status) for status in CaseStatus},
        "testCases": [_case(each) for each in summary.suite.cases[:CASES_LIMIT]],
        "criteria": [
            {"id": each.id, "text": each.text, "passed": not each.why, "why": each.why}
            for each in summary.criteria
        ],
    }


def _case(case: TestCase) -> dict[str, Any]:
    return {"name": case.name, "file": case.file, "status": case.status, "message": case.message}
