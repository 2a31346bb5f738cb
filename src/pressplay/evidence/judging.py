"""The verdict of acceptance: samples and policy in, judgement out; nothing else is looked at.

The rule, so that two verifiers can only agree. Let c be the confidence, L the number of looks,
E the number of gated endpoints.

- Looks are fixed beforehand: after ceil(share * samples) requests to each endpoint. At a look,
  every endpoint is judged by all its own samples so far.
- An endpoint passes where the lower bound of its success share reaches `min_success_pct` and the
  upper bound of its 95th percentile does not exceed `max_p95_ms`, each at the error (1 - c) / L.
  A bad endpoint must beat one of the two at one of L looks, so it passes with a probability of at
  most 1 - c, and a run with a bad endpoint too, since every endpoint must pass at the same look.
- An endpoint fails where the upper bound of its success share lies below `min_success_pct`, or the
  lower bound of its 95th percentile above `max_p95_ms`, each at the error (1 - c) / (2 L E): two
  criteria at L looks of E endpoints can raise a false alarm, all together at most 1 - c.
- One endpoint fails: fail. All pass: pass. Else the next look; after the last: inconclusive.
- A failed request counts with the timeout as its latency, so that a fast error makes no app fast.
- Bounds of shares are taken to six digits, away from the verdict that they carry.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pressplay.api.policy import Acceptance, Thresholds
from pressplay.base.errors import Refused
from pressplay.evidence import statistics
from pressplay.evidence import targets as targeting
from pressplay.evidence.samples import Sample
from pressplay.evidence.targets import Target, Urls

QUANTILE = 0.95
"""The quantile of latency that is judged."""


class Verdict(StrEnum):
    """The answer of a gate; only a pass lets an approval happen."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Plan:
    """What is fixed before the first request; `counts` are samples an endpoint at each look."""

    acceptance: Acceptance
    targets: tuple[Target, ...]
    counts: tuple[int, ...]

    @property
    def pass_error(self) -> float:
        """How wrong one bound that carries a pass may be, at one look."""
        return (1 - self.acceptance.thresholds.confidence) / len(self.counts)

    @property
    def fail_error(self) -> float:
        """How wrong one bound that carries a fail may be, at one look of one endpoint."""
        return self.pass_error / (2 * len(self.targets))

    @property
    def timeout_ms(self) -> float:
        """The latency that a failed request counts with."""
        return self.acceptance.load.timeout_s * 1000

    @property
    def longest_s(self) -> float:
        """The longest that the load can take, in seconds: all looks, the last answers late."""
        load = self.acceptance.load
        return len(self.targets) * load.samples / load.rate + len(self.counts) * load.timeout_s


@dataclass(frozen=True)
class Bounds:
    """One-sided bounds; `success_low` and `p95_high_ms` carry a pass, the others a fail.

    Latencies in milliseconds, None where the samples are too few for a bound.
    """

    success_low: float
    success_high: float
    p95_low_ms: float | None
    p95_high_ms: float | None

    def verdict(self, thresholds: Thresholds) -> Verdict:
        """What they say of one endpoint."""
        least, longest = thresholds.min_success_pct, thresholds.max_p95_ms
        slow = self.p95_low_ms is not None and self.p95_low_ms > longest
        if self.success_high < least or slow:
            return Verdict.FAIL
        fast = self.p95_high_ms is not None and self.p95_high_ms <= longest
        return Verdict.PASS if self.success_low >= least and fast else Verdict.INCONCLUSIVE


@dataclass(frozen=True)
class Standing:
    """How one endpoint stands by its samples so far; `p95_ms` is the nearest rank."""

    target: Target
    samples: int
    successes: int
    statuses: dict[int, int]
    p95_ms: float
    bounds: Bounds
    verdict: Verdict


@dataclass(frozen=True)
class Judgement:
    """The verdict with its grounds; `settled` says that the schedule asks for no more samples."""

    plan: Plan
    verdict: Verdict
    reason: str
    settled: bool
    looks_taken: int
    standings: tuple[Standing, ...]
    samples: tuple[Sample, ...]


def plan(acceptance: Acceptance, urls: Urls) -> Plan:
    """The schedule for one preview."""
    return Plan(acceptance, targeting.targets(acceptance, urls), _counts(acceptance))


def check_budget(acceptance: Acceptance) -> None:
    """Raise Refused where not even a flawless app could pass with so few samples."""
    samples = acceptance.load.samples
    if not _can_pass(acceptance, samples):
        raise Refused(
            f"acceptance.load.samples is {samples}, but at these thresholds and looks even a "
            f"flawless app needs {least_samples(acceptance)} samples for a pass; raise samples, "
            "or lower acceptance.thresholds.min_success_pct or confidence"
        )


def least_samples(acceptance: Acceptance) -> int:
    """The least budget with which an app that answers all well and fast can pass."""
    thresholds = acceptance.thresholds
    error = (1 - thresholds.confidence) / len(acceptance.looks)
    hardest = max(thresholds.min_success_pct, QUANTILE)
    least = max(1, math.floor(math.log(error) / math.log(hardest)) - 1)
    while not _can_pass(acceptance, least):
        least += 1
    return least


def judge(samples: Iterable[Sample], *, acceptance: Acceptance, urls: Urls) -> Judgement:
    """The verdict that `samples` carry under `acceptance`; the rule stands above.

    Samples that end before the schedule does are inconclusive. Raises Refused for samples that
    cannot come from this schedule: of another endpoint, twice, out of their look, contradicting
    themselves, or sent after a look that had settled the verdict.
    """
    schedule = plan(acceptance, urls)
    groups = _grouped(tuple(samples), schedule)
    verdict, taken = Verdict.INCONCLUSIVE, 0
    fewest, most = (pick(len(group) for group in groups) for pick in (min, max))
    for count in schedule.counts:
        if fewest < count:
            break
        taken += 1
        verdict = _overall(_standings(schedule, groups, count))
        if verdict is not Verdict.INCONCLUSIVE:
            break
    if verdict is not Verdict.INCONCLUSIVE and most > schedule.counts[taken - 1]:
        raise Refused(f"samples go on after look {taken}, which had settled the verdict")
    settled = verdict is not Verdict.INCONCLUSIVE or taken == len(schedule.counts)
    standings = _standings(schedule, groups, most)
    if not settled:
        # Between looks nothing is decided, whatever the numbers say just then.
        standings = tuple(
            dataclasses.replace(each, verdict=Verdict.INCONCLUSIVE) for each in standings
        )
    return Judgement(
        plan=schedule,
        verdict=verdict,
        reason=_reason(verdict, standings, settled=settled, schedule=schedule),
        settled=settled,
        looks_taken=taken,
        standings=standings,
        samples=tuple(sample for group in groups for sample in group),
    )


def _counts(acceptance: Acceptance) -> tuple[int, ...]:
    """Samples an endpoint at each look; looks that fall together are one."""
    samples = acceptance.load.samples
    # Rounded first: 0.1 * 30 is a hair above 3, and must not become 4.
    return tuple(sorted({math.ceil(round(share * samples, 6)) for share in acceptance.looks}))


def _can_pass(acceptance: Acceptance, samples: int) -> bool:
    shares = {math.ceil(round(share * samples, 6)) for share in acceptance.looks}
    error = (1 - acceptance.thresholds.confidence) / len(shares)
    low = _down(statistics.share_at_least(samples, n=samples, error=error))
    rank = statistics.rank_above(samples, share=QUANTILE, error=error)
    return low >= acceptance.thresholds.min_success_pct and rank is not None


def _grouped(samples: tuple[Sample, ...], schedule: Plan) -> tuple[tuple[Sample, ...], ...]:
    """The samples of each target in order, checked against the schedule."""
    groups: dict[tuple[str, str], list[Sample]] = {each.key: [] for each in schedule.targets}
    for sample in samples:
        if sample.key not in groups:
            raise Refused(f"a sample of {sample.endpoint} at {sample.host}, which is not gated")
        groups[sample.key].append(sample)
    for target in schedule.targets:
        groups[target.key].sort(key=lambda sample: sample.n)
        for number, sample in enumerate(groups[target.key], 1):
            _check(sample, number, target=target, schedule=schedule)
    return tuple(tuple(groups[target.key]) for target in schedule.targets)


def _check(sample: Sample, number: int, *, target: Target, schedule: Plan) -> None:
    where = f"sample {sample.n} of {target}"
    endpoint = target.endpoint
    if sample.n != number or number > schedule.counts[-1]:
        raise Refused(f"{where}: numbers must run from 1 to {schedule.counts[-1]} without gap")
    look = 1 + sum(number > count for count in schedule.counts)
    if sample.look != look:
        raise Refused(f"{where}: was sent for look {sample.look}, but belongs to look {look}")
    if (sample.method, sample.path) != (endpoint.method, endpoint.path):
        raise Refused(f"{where}: says {sample.method} {sample.path}")
    good = sample.status in endpoint.expect and not sample.error
    if sample.ok and (not good or sample.latency_ms > schedule.timeout_ms):
        raise Refused(f"{where}: says ok, but its status, error or latency says no")


def _standings(
    schedule: Plan, groups: Sequence[Sequence[Sample]], count: int
) -> tuple[Standing, ...]:
    return tuple(
        _standing(target, group[:count], schedule)
        for target, group in zip(schedule.targets, groups, strict=True)
    )


def _standing(target: Target, samples: Sequence[Sample], schedule: Plan) -> Standing:
    n, timeout_ms = len(samples), schedule.timeout_ms
    successes = sum(sample.ok for sample in samples)
    latencies = sorted(sample.latency_ms if sample.ok else timeout_ms for sample in samples)
    above = statistics.rank_above(n, share=QUANTILE, error=schedule.pass_error)
    below = statistics.rank_below(n, share=QUANTILE, error=schedule.fail_error)
    low = statistics.share_at_least(successes, n=n, error=schedule.pass_error)
    high = statistics.share_at_most(successes, n=n, error=schedule.fail_error)
    bounds = Bounds(
        success_low=_down(low),
        success_high=_up(high),
        p95_low_ms=latencies[below - 1] if below else None,
        p95_high_ms=latencies[above - 1] if above else None,
    )
    return Standing(
        target=target,
        samples=n,
        successes=successes,
        statuses=dict(sorted(Counter(sample.status for sample in samples).items())),
        p95_ms=statistics.nearest_rank(latencies, share=QUANTILE) if n else timeout_ms,
        bounds=bounds,
        verdict=bounds.verdict(schedule.acceptance.thresholds),
    )


def _overall(standings: Sequence[Standing]) -> Verdict:
    verdicts = {standing.verdict for standing in standings}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.INCONCLUSIVE


def _down(share: float) -> float:
    return math.floor(share * 1e6) / 1e6


def _up(share: float) -> float:
    return math.ceil(share * 1e6) / 1e6


def _reason(
    verdict: Verdict, standings: Sequence[Standing], *, settled: bool, schedule: Plan
) -> str:
    """The verdict in a sentence, naming the first endpoint that kept it from a pass."""
    thresholds = schedule.acceptance.thresholds
    if verdict is Verdict.PASS:
        ends = f"{len(standings)} endpoint" + ("s" if len(standings) > 1 else "")
        return f"{ends} passed, {standings[0].samples} samples each"
    if not settled:
        return f"sampling stopped early, {standings[0].samples} samples of {schedule.counts[-1]}"
    standing = next(each for each in standings if each.verdict is verdict)
    bounds = standing.bounds
    seen = f"{standing.target}: {standing.successes} of {standing.samples} requests succeeded"
    if verdict is Verdict.FAIL and bounds.success_high < thresholds.min_success_pct:
        return f"{seen}, so at most {bounds.success_high} do; needed {thresholds.min_success_pct}"
    if verdict is Verdict.FAIL:
        allowed = thresholds.max_p95_ms
        return f"{standing.target}: p95 is at least {bounds.p95_low_ms} ms; allowed {allowed}"
    return (
        f"{seen}, perhaps only {bounds.success_low} do (needed {thresholds.min_success_pct}); "
        f"p95 may be {bounds.p95_high_ms} ms (allowed {thresholds.max_p95_ms})"
    )
