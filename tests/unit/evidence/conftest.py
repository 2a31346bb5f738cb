"""Runs with a known truth: samples as an app with given manners would leave them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pressplay.api.policy import Acceptance, Endpoint, Load, Policy, Record, Thresholds
from pressplay.evidence import judging, reports, samples
from pressplay.evidence.judging import Judgement
from pressplay.evidence.samples import Sample
from pressplay.evidence.targets import Address, Target, Urls

HEAD = "a" * 40
NOW = "2026-01-02T03:04:05Z"

Manner = Callable[[Target, int], tuple[int, float]]
"""Target and number of a request to (status, latency in ms); a status of 0 is no answer."""


def good(_target: Target, _n: int) -> tuple[int, float]:
    """Answers everything, fast."""
    return 200, 20.0


@dataclass(frozen=True)
class Scene:
    """One preview and one policy."""

    acceptance: Acceptance = field(default_factory=Acceptance)
    urls: Urls = field(
        default_factory=lambda: Urls(
            hosts=("pr-7.preview.localhost",),
            ns="impl-pr-7",
            release="app-pr-7",
            endpoints=(
                Address(
                    "pr-7.preview.localhost",
                    path="/",
                    url="http://pr-7.preview.localhost/",
                    connect="127.0.0.1:4712",
                ),
            ),
            deployer="process",
            sha=HEAD,
        )
    )

    def with_policy(self, **changes: Any) -> Scene:
        """The same preview under a changed acceptance policy."""
        return dataclasses.replace(self, acceptance=dataclasses.replace(self.acceptance, **changes))

    def samples(self, manner: Manner = good) -> Iterator[Sample]:
        """All samples of the whole schedule, look by look."""
        plan = judging.plan(self.acceptance, self.urls)
        first = 1
        for look, count in enumerate(plan.counts, 1):
            for n in range(first, count + 1):
                for target in plan.targets:
                    yield self.sample(target, look=look, n=n, answer=manner(target, n))
            first = count + 1

    def sample(self, target: Target, *, look: int, n: int, answer: tuple[int, float]) -> Sample:
        status, latency_ms = answer
        ok = status in target.endpoint.expect
        return Sample(
            endpoint=target.endpoint.name,
            host=target.address.host,
            path=target.endpoint.path,
            method=target.endpoint.method,
            look=look,
            n=n,
            started_ms=50.0 * n,
            latency_ms=latency_ms,
            status=status,
            ok=ok,
            error="" if ok else "status",
        )

    def taken(self, manner: Manner = good) -> list[Sample]:
        """The samples up to the look that settles the verdict, as the stage would take them."""
        everything = list(self.samples(manner))
        for look in range(1, len(judging.plan(self.acceptance, self.urls).counts) + 1):
            so_far = [sample for sample in everything if sample.look <= look]
            if self.judge(so_far).settled:
                return so_far
        raise AssertionError("the last look settles")

    def judge(self, taken: Iterable[Sample]) -> Judgement:
        """The verdict on these samples."""
        return judging.judge(taken, acceptance=self.acceptance, urls=self.urls)

    def tree(self, manner: Manner = good) -> dict[str, bytes]:
        """The whole evidence of a run whose preview has these manners."""
        taken = self.taken(manner)
        report = reports.report(self.judge(taken), urls=self.urls, timestamp=NOW)
        proof = b"GET / 200\n"
        files: dict[str, object] = {
            "policy.json": Record(Policy(acceptance=self.acceptance), "b" * 40).to_json(),
            "rex/commit.txt": HEAD,
            "clippy/report.json": {
                "language": "rust",
                "tools": ["rustfmt", "clippy"],
                "fmtStatus": "pass",
                "lintStatus": "pass",
                "warningsCount": 0,
                "changedFiles": [],
                "timestamp": NOW,
            },
            "qa/summary.json": {
                "version": 1,
                "pr": {"owner": "octo", "repo": "app", "number": 7, "headSha": HEAD},
                "qa": {"passed": True, "startedAt": NOW, "finishedAt": NOW},
            },
            "qa/proof/index.json": {
                "files": [{"path": "http.txt", "sha256": hashlib.sha256(proof).hexdigest()}]
            },
            "qa/proof/http.txt": proof,
            "deploy/urls.json": self.urls.to_json(),
            "acceptance/report.json": report,
            "acceptance/samples.jsonl": samples.write(taken).encode(),
        }
        return {path: _bytes(content) for path, content in files.items()}


def _bytes(content: object) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content)).encode()


@pytest.fixture
def scene() -> Scene:
    """The documented defaults and one endpoint."""
    return Scene()


@pytest.fixture
def pair() -> Scene:
    """Two endpoints at one host."""
    return Scene(Acceptance(endpoints=(Endpoint("/"), Endpoint("/api", expect=(200, 204)))))


@pytest.fixture
def small() -> Scene:
    """A policy so mild that few samples make a small bundle."""
    return Scene(
        Acceptance(
            load=Load(samples=35),
            thresholds=Thresholds(min_success_pct=0.5, max_p95_ms=1200, confidence=0.8),
            looks=(1.0,),
        )
    )


@pytest.fixture
def write_tree(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Puts a tree into a fresh folder."""

    def write(files: dict[str, bytes]) -> Path:
        root = tmp_path / "evidence"
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return root

    return write
