"""Clippy's gate: the commits are what the tools make of the head, to the last byte, and then the
tools are content.

The tools run again, on a clean copy, so that nothing but a tool's change can pass as mechanical.
"""

from __future__ import annotations

from pressplay.base import clocks
from pressplay.evidence import shapes
from pressplay.stages import git
from pressplay.stages.gates.cases import Case
from pressplay.stages.toolchains import replaying
from pressplay.stages.toolchains.port import Findings
from pressplay.stages.toolchains.replaying import Mended
from pressplay.stages.transcripts import Transcript


def judge(case: Case) -> tuple[str, ...]:
    """Why the commits are not mechanical, or what the tools still find; writes `report.json`."""
    context = case.context
    mended = replaying.mend(
        case.directory,
        context.head_sha,
        base=context.base_sha,
        preparer=case.preparer(Transcript(redact=case.env.redact, write=case.write)),
    )
    replayed = mended.tree == git.tree_of(case.directory, case.tip)
    _write_report(case, mended)
    for line in mended.findings.lines:
        case.env.log("finding", text=line)
    reasons = list(_complaints(mended.findings))
    commits = git.line(case.directory, start=context.head_sha, tip=case.tip)
    if commits is None or len(commits) > 1:
        reasons.insert(0, "the tools make one commit, and there are more")
    if not replayed:
        reasons.insert(0, "the commits are not what the tools themselves make of the head")
    return tuple(reasons)


def _complaints(findings: Findings) -> tuple[str, ...]:
    said = f": {findings.lines[0]}" if findings.lines else ""
    reasons = []
    if not findings.fmt_clean:
        reasons.append(f"the formatter still finds something to change{said}")
    if not findings.lint_clean:
        reasons.append(f"the linter has {findings.warnings} findings that it cannot fix{said}")
    return tuple(reasons)


def _write_report(case: Case, mended: Mended) -> None:
    findings = mended.findings
    changed = git.changes(case.directory, case.context.head_sha, case.tip)
    report = {
        "language": mended.toolchain.name,
        "tools": list(findings.tools),
        "fmtStatus": "pass" if findings.fmt_clean else "fail",
        "lintStatus": "pass" if findings.lint_clean else "fail",
        "warningsCount": findings.warnings,
        "changedFiles": [change.path for change in changed],
        "timestamp": clocks.to_text(case.clock.now()),
        "findings": list(findings.lines),
    }
    shapes.validate("clippy", report)
    case.env.write_artifact(f"{case.context.role}/report.json", report)
