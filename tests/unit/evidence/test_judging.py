"""The verdict is the rule's, holds its promise of error, and believes no impossible samples."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api.policy import Acceptance, Endpoint, Load, Thresholds
from pressplay.base.errors import Refused
from pressplay.evidence import judging
from pressplay.evidence.judging import Bounds, Verdict


def every(status: int, latency_ms: float = 20.0) -> Callable[[Any, int], tuple[int, float]]:
    return lambda _target, _n: (status, latency_ms)


def test_a_flawless_app_passes_at_the_second_look_of_the_default_policy(scene: Any) -> None:
    taken = scene.taken()
    judgement = scene.judge(taken)
    assert judgement.verdict is Verdict.PASS
    assert judgement.looks_taken == 2
    assert len(taken) == 100
    assert judgement.reason == "1 endpoint passed, 100 samples each"


@pytest.mark.parametrize(
    ("status", "latency_ms"), [(500, 1.0), (404, 1.0), (0, 5000.0), (200, 2000.0), (302, 1.0)]
)
def test_an_app_that_never_answers_well_fails_at_the_first_look(
    scene: Any, status: int, latency_ms: float
) -> None:
    judgement = scene.judge(scene.taken(every(status, latency_ms)))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.looks_taken == 1
    assert "GET / at pr-7.preview.localhost" in judgement.reason


def test_a_fast_error_does_not_make_an_app_fast(scene: Any) -> None:
    def manner(_target: Any, n: int) -> tuple[int, float]:
        return (500, 0.1) if n % 10 == 0 else (200, 100.0)

    judgement = scene.judge(scene.taken(manner))
    assert judgement.standings[0].p95_ms == 5000
    assert judgement.verdict is not Verdict.PASS


def test_an_app_at_the_threshold_is_inconclusive_after_the_last_look(scene: Any) -> None:
    judgement = scene.judge(scene.taken(lambda _t, n: (500 if n % 20 == 0 else 200, 20.0)))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.looks_taken == 3
    assert judgement.settled
    assert "190 of 200 requests succeeded" in judgement.reason


def test_every_endpoint_must_pass_with_its_own_samples(pair: Any) -> None:
    assert pair.judge(pair.taken()).verdict is Verdict.PASS

    def one_bad(target: Any, _n: int) -> tuple[int, float]:
        return (500 if target.endpoint.path == "/api" else 200), 20.0

    judgement = pair.judge(pair.taken(one_bad))
    assert judgement.verdict is Verdict.FAIL
    assert [each.verdict for each in judgement.standings] == [Verdict.INCONCLUSIVE, Verdict.FAIL]

    def one_doubtful(target: Any, n: int) -> tuple[int, float]:
        return (500 if target.endpoint.path == "/api" and n % 20 == 0 else 200), 20.0

    judgement = pair.judge(pair.taken(one_doubtful))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert [each.verdict for each in judgement.standings] == [Verdict.PASS, Verdict.INCONCLUSIVE]


def test_a_slow_tail_fails_though_most_answers_are_fast(scene: Any) -> None:
    judgement = scene.judge(scene.taken(lambda _t, n: (200, 3000.0 if n % 3 == 0 else 5.0)))
    assert judgement.verdict is Verdict.FAIL
    assert "p95 is at least 3000.0 ms; allowed 1200" in judgement.reason


def test_samples_that_end_before_the_schedule_are_inconclusive(scene: Any) -> None:
    everything = list(scene.samples(every(500)))
    for count in (0, 1, 49):
        judgement = scene.judge(everything[:count])
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert not judgement.settled
        assert judgement.looks_taken == 0
        assert all(each.verdict is Verdict.INCONCLUSIVE for each in judgement.standings)
        assert "stopped early" in judgement.reason


def test_the_order_of_the_samples_does_not_matter(pair: Any) -> None:
    taken = pair.taken()
    shuffled = random.Random(3).sample(taken, len(taken))  # noqa: S311 - no secret
    assert pair.judge(shuffled) == pair.judge(taken)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"endpoint": "GET /other"}, "which is not gated"),
        ({"host": "elsewhere.example"}, "which is not gated"),
        ({"n": 2}, "without gap"),
        ({"n": 201}, "without gap"),
        ({"look": 2}, "belongs to look 1"),
        ({"path": "/x"}, "says GET /x"),
        ({"method": "PUT"}, "says PUT /"),
        ({"status": 500}, "says ok"),
        ({"error": "timeout"}, "says ok"),
        ({"latency_ms": 5000.1}, "says ok"),
    ],
)
def test_samples_that_cannot_come_from_the_schedule_are_refused(
    scene: Any, change: dict[str, Any], complaint: str
) -> None:
    taken = scene.taken()
    taken[0] = dataclasses.replace(taken[0], **change)
    with pytest.raises(Refused, match=complaint):
        scene.judge(taken)


def test_going_on_after_a_fail_until_it_passes_is_refused(scene: Any) -> None:
    def late_bloomer(_target: Any, n: int) -> tuple[int, float]:
        return (500 if n <= 50 else 200), 20.0

    everything = list(scene.samples(late_bloomer))
    with pytest.raises(Refused, match="after look 1, which had settled the verdict"):
        scene.judge(everything)


def test_looks_that_fall_together_are_one(scene: Any) -> None:
    def counts(samples: int, *looks: float) -> tuple[int, ...]:
        changed = scene.with_policy(load=Load(samples=samples), looks=looks)
        return judging.plan(changed.acceptance, changed.urls).counts

    assert counts(200, 0.25, 0.5, 1.0) == (50, 100, 200)
    assert counts(1, 0.25, 0.5, 1.0) == (1,)
    assert counts(3, 0.25, 0.5, 1.0) == (1, 2, 3)
    assert counts(30, 0.1, 0.7, 1.0) == (3, 21, 30)


def test_the_errors_are_split_as_the_rule_says(pair: Any) -> None:
    plan = judging.plan(pair.acceptance, pair.urls)
    assert plan.pass_error == pytest.approx(0.05 / 3)
    assert plan.fail_error == pytest.approx(0.05 / (3 * 2 * 2))


def test_the_default_policy_needs_80_samples_for_a_pass() -> None:
    default = Acceptance()
    assert judging.least_samples(default) == 80
    judging.check_budget(default)
    judging.check_budget(dataclasses.replace(default, load=Load(samples=80)))
    with pytest.raises(Refused, match=r"samples is 79, but .* needs 80 samples"):
        judging.check_budget(dataclasses.replace(default, load=Load(samples=79)))


@given(
    success=st.floats(0.01, 0.9999),
    confidence=st.floats(0.5, 0.9999),
    looks=st.integers(1, 3),
    beside=st.integers(-1, 1),
)
def test_the_least_budget_is_exactly_that(
    *, success: float, confidence: float, looks: int, beside: int
) -> None:
    thresholds = Thresholds(min_success_pct=success, confidence=confidence)
    acceptance = Acceptance(
        thresholds=thresholds, looks=tuple((i + 1) / looks for i in range(looks))
    )
    samples = judging.least_samples(acceptance) + beside
    if samples < looks:
        return  # so few that looks fall together, which only makes a pass easier
    given_budget = dataclasses.replace(acceptance, load=Load(samples=samples))
    if beside < 0:
        with pytest.raises(Refused):
            judging.check_budget(given_budget)
    else:
        judging.check_budget(given_budget)


def test_bounds_without_enough_samples_carry_no_pass_and_no_fail() -> None:
    thresholds = Thresholds()
    assert Bounds(1.0, 1.0, None, None).verdict(thresholds) is Verdict.INCONCLUSIVE
    assert Bounds(0.96, 1.0, 10.0, 1200.0).verdict(thresholds) is Verdict.PASS
    assert Bounds(0.95, 1.0, 10.0, 1200.1).verdict(thresholds) is Verdict.INCONCLUSIVE
    assert Bounds(0.0, 0.95, None, None).verdict(thresholds) is Verdict.INCONCLUSIVE
    assert Bounds(0.0, 0.949999, None, None).verdict(thresholds) is Verdict.FAIL
    assert Bounds(1.0, 1.0, 1200.1, 1300.0).verdict(thresholds) is Verdict.FAIL


REPETITIONS = 400


def verdicts(scene: Any, manner: Callable[[random.Random], tuple[int, float]]) -> dict[str, float]:
    """How often each verdict falls when every request is an independent draw of `manner`."""
    rng = random.Random(11)  # noqa: S311 - a simulation
    found = dict.fromkeys(Verdict, 0)
    plan = judging.plan(scene.acceptance, scene.urls)
    for _ in range(REPETITIONS):
        taken: list[Any] = []
        for look, (before, count) in enumerate(itertools.pairwise((0, *plan.counts)), 1):
            taken += [
                scene.sample(target, look=look, n=n, answer=manner(rng))
                for target in plan.targets
                for n in range(before + 1, count + 1)
            ]
            judgement = scene.judge(taken)
            if judgement.settled:
                found[judgement.verdict] += 1
                break
    return {verdict.value: count / REPETITIONS for verdict, count in found.items()}


def slack(error: float) -> float:
    """Three standard deviations of the simulation itself."""
    return 3 * math.sqrt(error * (1 - error) / REPETITIONS)


def test_an_app_at_the_success_threshold_passes_at_most_as_often_as_promised(
    scene: Any,
) -> None:
    mild = scene.with_policy(thresholds=Thresholds(min_success_pct=0.97, confidence=0.9))
    seen = verdicts(mild, lambda rng: (200 if rng.random() < 0.97 else 500, 20.0))
    assert seen["pass"] <= 0.1 + slack(0.1)
    assert seen["pass"] > 0.01  # the bound is honest, not merely timid
    assert seen["fail"] <= 0.1 + slack(0.1)


def test_an_app_with_its_p95_at_the_limit_passes_and_fails_at_most_as_often_as_promised(
    scene: Any,
) -> None:
    mild = scene.with_policy(thresholds=Thresholds(min_success_pct=0.5, confidence=0.9))
    seen = verdicts(mild, lambda rng: (200, 1200.0 * rng.random() / 0.95))
    assert seen["pass"] <= 0.1 + slack(0.1)
    assert seen["fail"] <= 0.1 + slack(0.1)


def test_many_good_endpoints_raise_no_more_false_alarms_than_one(scene: Any) -> None:
    three = scene.with_policy(
        endpoints=tuple(Endpoint(f"/{i}") for i in range(3)),
        load=Load(samples=120),
        thresholds=Thresholds(min_success_pct=0.97, confidence=0.9),
    )
    seen = verdicts(three, lambda rng: (200 if rng.random() < 0.97 else 500, 20.0))
    assert seen["fail"] <= 0.1 + slack(0.1)


def test_a_good_app_nearly_always_passes_and_a_bad_one_fails(scene: Any) -> None:
    good = verdicts(scene, lambda rng: (200 if rng.random() < 0.999 else 500, 20.0))
    assert good["pass"] > 0.97
    bad = verdicts(scene, lambda rng: (200 if rng.random() < 0.7 else 500, 20.0))
    assert bad["fail"] > 0.97
