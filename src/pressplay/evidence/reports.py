"""`acceptance/report.json`: a judgement as people and other programs read it.

A pure function of urls, policy, samples and two words about the moment, so that a verifier can
make it again and compare.
"""

from __future__ import annotations

import math
from typing import Any

from pressplay.evidence import statistics
from pressplay.evidence.judging import QUANTILE, Bounds, Judgement, Standing
from pressplay.evidence.targets import Urls


def report(judgement: Judgement, *, urls: Urls, timestamp: str) -> dict[str, Any]:
    """The report of one acceptance; `timestamp` is when it ended (RFC 3339)."""
    summary = _summary(judgement)
    return {
        "ns": urls.ns,
        "release": urls.release,
        "sha": urls.sha,
        "timestamp": timestamp,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "success_pct": summary["success_pct"],
        "p95_ms": summary["p95_ms"],
        "summary": summary,
        "thresholds": dict(vars(judgement.plan.acceptance.thresholds)),
        "bounds": dict(vars(_worst(judgement))),
        "load": _load(judgement),
        "endpoints": [_endpoint(standing) for standing in judgement.standings],
        "environment": {"namespace": urls.ns, "timestamp": timestamp},
    }


def _summary(judgement: Judgement) -> dict[str, Any]:
    """Counts over all requests; a failed one has the timeout as its latency."""
    samples, timeout_ms = judgement.samples, judgement.plan.timeout_ms
    latencies = sorted(each.latency_ms if each.ok else timeout_ms for each in samples)
    good = sum(each.ok for each in samples)
    p95 = statistics.nearest_rank(latencies, share=QUANTILE) if latencies else timeout_ms
    return {
        "total_requests": len(samples),
        "successful_requests": good,
        "failed_requests": len(samples) - good,
        "success_pct": round(good / len(samples), 6) if samples else 0,
        "p95_ms": math.ceil(p95),
    }


def _worst(judgement: Judgement) -> Bounds:
    """The worst endpoint's bounds, each taken for itself: the verdict can be read off them."""
    all_bounds = [standing.bounds for standing in judgement.standings]
    lows = [each.p95_low_ms for each in all_bounds if each.p95_low_ms is not None]
    highs = [each.p95_high_ms for each in all_bounds if each.p95_high_ms is not None]
    return Bounds(
        success_low=min(each.success_low for each in all_bounds),
        success_high=min(each.success_high for each in all_bounds),
        p95_low_ms=max(lows) if lows else None,
        p95_high_ms=max(highs) if len(highs) == len(all_bounds) else None,
    )


def _load(judgement: Judgement) -> dict[str, Any]:
    load = judgement.plan.acceptance.load
    ends = [each.started_ms + each.latency_ms for each in judgement.samples]
    return {
        "model": "open",
        "rate": load.rate,
        "duration_s": round(max(ends, default=0.0) / 1000, 3),
        "samples": load.samples,
        "timeout_s": load.timeout_s,
        "looks": list(judgement.plan.counts),
        "looks_taken": judgement.looks_taken,
    }


def _endpoint(standing: Standing) -> dict[str, Any]:
    endpoint = standing.target.endpoint
    return {
        "host": standing.target.address.host,
        "path": endpoint.path,
        "method": endpoint.method,
        "expected": list(endpoint.expect),
        "samples": standing.samples,
        "successes": standing.successes,
        "failures": standing.samples - standing.successes,
        "p95_ms": math.ceil(standing.p95_ms),
        "statuses": {str(status): count for status, count in standing.statuses.items()},
        "bounds": dict(vars(standing.bounds)),
        "verdict": standing.verdict.value,
    }
