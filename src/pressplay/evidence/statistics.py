"""Exact confidence bounds for a share and for a quantile; pure, without dependencies.

Everything here speaks of n independent observations of one thing that does not change meanwhile.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence

_STEPS = 60
"""Halvings of the interval (0, 1): enough to reach the spacing of floats."""


def at_least(k: int, *, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p), 0 < p < 1, to about ten digits.

    The side away from the mode is summed, its largest term first, by the ratio of neighbours;
    terms below the rounding of the sum are left out.
    """
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if k > (n + 1) * p:
        return min(1.0, _rising(k, n, p))
    return max(0.0, 1.0 - _falling(k - 1, n, p))


def at_most(k: int, *, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p), 0 < p < 1."""
    return at_least(n - k, n=n, p=1.0 - p)


def share_at_least(successes: int, *, n: int, error: float) -> float:
    """The one-sided lower bound of a probability after `successes` of `n`.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934): the p for which so many successes or more have just the
    probability `error`. The true p lies below it in at most that share of all repetitions.
    """
    if successes <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if at_least(successes, n=n, p=middle) <= error:
            low = middle
        else:
            high = middle
    return low


def share_at_most(successes: int, *, n: int, error: float) -> float:
    """The one-sided upper bound, by the same rule; the mirror image of `share_at_least`."""
    return 1.0 - share_at_least(n - successes, n=n, error=error)


def nearest_rank(ordered: Sequence[float], *, share: float) -> float:
    """The `share` quantile of rising, non-empty observations: number ceil(share * n) of them."""
    return ordered[max(1, math.ceil(round(share * len(ordered), 9))) - 1]


def rank_above(n: int, *, share: float, error: float) -> int | None:
    """The least rank r (from 1) whose observation is an upper bound of the `share` quantile.

    An order-statistic confidence bound without any assumption about the distribution: Hahn and
    Meeker, "Statistical Intervals" (1991), section 5.2. The r-th of n observations lies below the
    quantile only if r or more of them do, which has at most the probability
    P(Binomial(n, share) >= r). None where n observations are too few for any such rank.
    """
    return _least(n, lambda rank: at_least(rank, n=n, p=share) <= error)


def rank_below(n: int, *, share: float, error: float) -> int | None:
    """The greatest rank s (from 1) whose observation is a lower bound of the `share` quantile.

    By the same source: the s-th of n observations lies above the quantile only if fewer than s
    of them do not, which has at most the probability P(Binomial(n, share) <= s - 1).
    """
    beyond = _least(n, lambda rank: at_most(rank - 1, n=n, p=share) > error)
    rank = n if beyond is None else beyond - 1
    return rank or None


def _rising(k: int, n: int, p: float) -> float:
    """The sum of P(X = i) for i from k up, where k lies above the mode."""
    term = total = _mass(k, n, p)
    odds = p / (1.0 - p)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return total


def _falling(k: int, n: int, p: float) -> float:
    """The sum of P(X = i) for i from k down, where k lies below the mode."""
    return _rising(n - k, n, 1.0 - p)


def _mass(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _least(n: int, holds: Callable[[int], bool]) -> int | None:
    """The least rank in 1..n for which `holds`, which once true stays true; None if for none."""
    rank = bisect.bisect_left(range(1, n + 1), x=True, key=holds) + 1
    return rank if rank <= n else None
