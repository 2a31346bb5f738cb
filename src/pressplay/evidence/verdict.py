"""The verdict on a whole run, recomputed from its evidence and from nothing else.

The one function that approve, seal and the offline verifier share: whoever asks, the same files
give the same answer.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar, cast

from pressplay.api import policy
from pressplay.base import documents
from pressplay.base.errors import Refused
from pressplay.evidence import judging, reports, samples, shapes
from pressplay.evidence.judging import Judgement, Verdict
from pressplay.evidence.targets import Urls

T = TypeVar("T")

POLICY = "policy.json"
CLIPPY = "clippy/report.json"
QA = "qa/summary.json"
PROOF = "qa/proof/index.json"
URLS = "deploy/urls.json"
REPORT = "acceptance/report.json"
SAMPLES = "acceptance/samples.jsonl"

REQUIRED = (POLICY, CLIPPY, QA, PROOF, URLS, REPORT, SAMPLES)
"""The files without which no run passes."""


@dataclass(frozen=True)
class Reason:
    """Why a run does not pass, and which gate says so (`files` for the evidence itself)."""

    gate: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class RunVerdict:
    """The answer; `reasons` is empty for a pass, `judgement` None where acceptance left none."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    judgement: Judgement | None

    def gates(self) -> dict[str, Verdict]:
        """Each gate's own answer."""
        found = dict.fromkeys(("clippy", "qa", "acceptance", "files"), Verdict.PASS)
        for reason in self.reasons:
            found[reason.gate] = _worse(found[reason.gate], reason.verdict)
        return found


def run_verdict(
    tree: Mapping[str, bytes], *, head_sha: str, redacted: frozenset[str] = frozenset()
) -> RunVerdict:
    """The verdict on the evidence `tree` (path to content, as `bundles.read_tree` gives it).

    A pass needs every file of REQUIRED in its shape; formatting, lint and QA passed; the preview
    and the report about exactly `head_sha`; a pass recomputed from the raw samples; and a report
    and proof files that agree with them. What is missing is inconclusive, what says no or
    contradicts is a fail. The content of `redacted` files is not held against their digests.
    """
    evidence = _Evidence(tree, redacted)
    evidence.load()
    if not head_sha:
        evidence.hold_against("files", Verdict.INCONCLUSIVE, "the head commit is not known")
    evidence.check_clippy()
    evidence.check_qa()
    judgement = evidence.check_acceptance(head_sha)
    verdict = Verdict.PASS
    for reason in evidence.reasons:
        verdict = _worse(verdict, reason.verdict)
    return RunVerdict(verdict, tuple(evidence.reasons), judgement)


class _Evidence:
    """The files of one run as they are checked; collects what is held against it."""

    def __init__(self, tree: Mapping[str, bytes], redacted: frozenset[str]) -> None:
        self.reasons: list[Reason] = []
        self._tree = tree
        self._redacted = redacted
        self._documents: dict[str, dict[str, Any]] = {}

    def hold_against(self, gate: str, verdict: Verdict, text: str) -> None:
        """Note one reason."""
        self.reasons.append(Reason(gate, verdict, text))

    def load(self) -> None:
        """Read every file that has a shape."""
        for path in REQUIRED:
            if path not in self._tree:
                self.hold_against(_gate(path), Verdict.INCONCLUSIVE, f"{path} is missing")
        for path, shape in shapes.OF_FILE.items():
            if path in self._tree:
                self._attempt(path, functools.partial(self._read, path, shape))

    def check_clippy(self) -> None:
        """Formatting and lint passed."""
        report = self._documents.get(CLIPPY, {})
        for key, what in (("fmtStatus", "formatting"), ("lintStatus", "lint")):
            status = report.get(key, "pass")
            if status != "pass":
                verdict = Verdict.FAIL if status == "fail" else Verdict.INCONCLUSIVE
                self.hold_against("clippy", verdict, f"{what}: {status}")

    def check_qa(self) -> None:
        """QA passed, and each proof file is the one that the proof index lists."""
        summary = self._documents.get(QA)
        if summary is not None and not summary["qa"]["passed"]:
            self.hold_against("qa", Verdict.FAIL, "QA did not pass")
        folder = PurePosixPath(PROOF).parent
        for listed in self._documents.get(PROOF, {}).get("files", []):
            path = str(folder / listed["path"])
            content = self._tree.get(path)
            if content is None:
                self.hold_against("qa", Verdict.FAIL, f"{path} is listed as proof, but missing")
            elif path not in self._redacted and _sha256(content) != listed["sha256"]:
                self.hold_against("qa", Verdict.FAIL, f"{path} is not the proof that was listed")

    def check_acceptance(self, head_sha: str) -> Judgement | None:
        """The samples carry a pass, for this head, and the report says what they say."""
        for path in (URLS, REPORT):
            sha = self._documents.get(path, {}).get("sha", head_sha)
            if head_sha and sha != head_sha:
                text = f"{path} is about commit {sha[:10]}, the head is {head_sha[:10]}"
                self.hold_against("acceptance", Verdict.FAIL, text)
        if not {POLICY, URLS} <= set(self._documents) or SAMPLES not in self._tree:
            return None
        return self._attempt(SAMPLES, self._judge)

    def _judge(self) -> Judgement:
        record = policy.Record.from_json(self._documents[POLICY])
        urls = Urls.from_json(self._documents[URLS])
        judgement = judging.judge(
            samples.read(self._tree[SAMPLES]), acceptance=record.policy.acceptance, urls=urls
        )
        if judgement.verdict is not Verdict.PASS:
            self.hold_against("acceptance", judgement.verdict, judgement.reason)
        given = self._documents.get(REPORT)
        if given is not None:
            made = reports.report(judgement, urls=urls, timestamp=given["timestamp"])
            other = [key for key, value in made.items() if given.get(key) != value]
            if other:
                text = f"{REPORT} does not say what the samples say: {', '.join(other)}"
                self.hold_against("acceptance", Verdict.FAIL, text)
        return judgement

    def _read(self, path: str, shape: str) -> None:
        value = documents.read_json(self._tree[path], source=path)
        shapes.validate(shape, value)
        self._documents[path] = cast("dict[str, Any]", value)

    def _attempt(self, path: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except Refused as error:
            self.hold_against(_gate(path), Verdict.FAIL, f"{path}: {error}")
            return None


def _gate(path: str) -> str:
    gate = path.split("/", 1)[0]
    return {"clippy": "clippy", "qa": "qa", "acceptance": "acceptance", "deploy": "acceptance"}.get(
        gate, "files"
    )


def _worse(one: Verdict, other: Verdict) -> Verdict:
    order = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL)
    return max(one, other, key=order.index)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
