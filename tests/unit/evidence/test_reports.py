"""The report says what the samples say."""

from __future__ import annotations

from typing import Any

import pytest

from pressplay.evidence import reports, shapes

NOW = "2026-01-02T03:04:05Z"


def made(scene: Any, *manner: Any) -> dict[str, Any]:
    report = reports.report(scene.judge(scene.taken(*manner)), urls=scene.urls, timestamp=NOW)
    shapes.validate("report", report)
    return report


def test_a_green_report_has_both_shapes_of_its_numbers(pair: Any) -> None:
    report = made(pair)
    assert report["verdict"] == "pass"
    assert report["summary"] == {
        "total_requests": 200,
        "successful_requests": 200,
        "failed_requests": 0,
        "success_pct": 1.0,
        "p95_ms": 20,
    }
    assert (report["success_pct"], report["p95_ms"]) == (1.0, 20)
    assert (report["ns"], report["release"], report["sha"]) == ("impl-pr-7", "app-pr-7", "a" * 40)
    assert report["environment"] == {"namespace": "impl-pr-7", "timestamp": NOW}
    assert report["load"]["looks"] == [50, 100, 200]
    assert report["load"]["looks_taken"] == 2
    assert [each["path"] for each in report["endpoints"]] == ["/", "/api"]
    assert report["endpoints"][1]["expected"] == [200, 204]
    assert report["endpoints"][1]["statuses"] == {"200": 100}


def test_the_bounds_of_the_whole_are_those_of_the_worst_endpoint(pair: Any) -> None:
    def manner(target: Any, n: int) -> tuple[int, float]:
        bad = target.endpoint.path == "/api" and n % 20 == 0
        return (500 if bad else 200), (900.0 if target.endpoint.path == "/" else 20.0)

    report = made(pair, manner)
    one, two = (each["bounds"] for each in report["endpoints"])
    assert report["bounds"]["success_low"] == two["success_low"] < one["success_low"]
    assert report["bounds"]["p95_high_ms"] == two["p95_high_ms"] == 5000
    assert report["bounds"]["p95_low_ms"] == one["p95_low_ms"] == 900
    assert report["verdict"] == "inconclusive"


def test_percentiles_are_nearest_rank_over_all_requests_with_failures_as_timeouts(
    scene: Any,
) -> None:
    def manner(_target: Any, n: int) -> tuple[int, float]:
        return (500, 1.0) if n % 16 == 0 else (200, float(n))

    report = made(scene, manner)
    total, failed = report["summary"]["total_requests"], report["summary"]["failed_requests"]
    assert (total, failed) == (200, 12)
    assert report["p95_ms"] == 5000  # rank 190 of 200: 188 good ones lie below the timeouts
    assert report["endpoints"][0]["statuses"] == {"200": 188, "500": 12}


@pytest.mark.parametrize("count", [0, 10])
def test_a_report_about_too_few_samples_still_has_its_shape(scene: Any, count: int) -> None:
    judgement = scene.judge(scene.taken()[:count])
    report = reports.report(judgement, urls=scene.urls, timestamp=NOW)
    shapes.validate("report", report)
    assert report["verdict"] == "inconclusive"
    assert report["bounds"]["p95_high_ms"] is None
