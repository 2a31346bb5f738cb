"""The bounds are exact: SciPy's special functions are the oracle, simulation the judge."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pressplay.evidence import statistics

ERRORS = st.sampled_from([0.5, 0.2, 0.05, 0.05 / 3, 0.001, 1e-6])
COUNTS = st.integers(1, 300) | st.sampled_from([1000, 20_000])


@given(COUNTS, st.data(), st.floats(0.001, 0.999))
def test_tails_are_those_of_the_binomial_distribution(
    n: int, data: st.DataObject, p: float
) -> None:
    k = data.draw(st.integers(-1, n + 1))
    assert statistics.at_least(k, n=n, p=p) == pytest.approx(
        float(stats.binom.sf(k - 1, n, p)), rel=1e-8, abs=1e-12
    )
    assert statistics.at_most(k, n=n, p=p) == pytest.approx(
        float(stats.binom.cdf(k, n, p)), rel=1e-8, abs=1e-12
    )


@given(COUNTS, st.data(), ERRORS)
def test_share_bounds_are_those_of_clopper_and_pearson(
    n: int, data: st.DataObject, error: float
) -> None:
    k = data.draw(st.integers(0, n))
    low = 0.0 if k == 0 else float(stats.beta.ppf(error, k, n - k + 1))
    high = 1.0 if k == n else float(stats.beta.isf(error, k + 1, n - k))
    assert statistics.share_at_least(k, n=n, error=error) == pytest.approx(low, abs=1e-10)
    assert statistics.share_at_most(k, n=n, error=error) == pytest.approx(high, abs=1e-10)


@given(st.integers(1, 500), st.sampled_from([0.51, 0.9, 0.95]), ERRORS)
def test_ranks_are_the_tightest_that_the_error_allows(n: int, share: float, error: float) -> None:
    above = statistics.rank_above(n, share=share, error=error)
    fit = [r for r in range(1, n + 1) if stats.binom.sf(r - 1, n, share) <= error]
    assert above == (min(fit) if fit else None)
    below = statistics.rank_below(n, share=share, error=error)
    fit = [s for s in range(1, n + 1) if stats.binom.cdf(s - 1, n, share) <= error]
    assert below == (max(fit) if fit else None)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_nearest_rank_leaves_at_most_a_twentieth_above(values: list[float]) -> None:
    ordered = sorted(values)
    found = statistics.nearest_rank(ordered, share=0.95)
    assert sum(value > found for value in ordered) <= 0.05 * len(ordered)
    assert ordered[-(-95 * len(ordered) // 100) - 1] == found


def test_with_no_observations_there_are_no_ranks_and_no_knowledge() -> None:
    assert statistics.share_at_least(0, n=0, error=0.05) == 0
    assert statistics.share_at_most(0, n=0, error=0.05) == 1
    assert statistics.rank_above(0, share=0.95, error=0.05) is None
    assert statistics.rank_below(0, share=0.95, error=0.05) is None


def test_the_p95_bounds_hold_in_their_share_of_repetitions() -> None:
    rng = random.Random(7)  # noqa: S311 - a simulation
    n, error, repetitions = 120, 0.05, 3000
    above = statistics.rank_above(n, share=0.95, error=error)
    below = statistics.rank_below(n, share=0.95, error=error)
    assert above is not None
    assert below is not None
    too_low = too_high = 0
    for _ in range(repetitions):
        # Latencies with ties and a jump: whole milliseconds of an exponential, q95 = 300.
        ordered = sorted(float(round(rng.expovariate(3 / 300))) for _ in range(n))
        true_p95 = 300.0
        too_low += ordered[above - 1] < true_p95
        too_high += ordered[below - 1] > true_p95
    # Three standard deviations of the simulation itself are allowed for.
    slack = 3 * (error * (1 - error) / repetitions) ** 0.5
    assert too_low / repetitions <= error + slack
    assert too_high / repetitions <= error + slack
