"""The acceptance stage: asks the preview as strangers would, and lets the samples decide."""

from __future__ import annotations

import math
import resource
from dataclasses import dataclass, field

from pressplay.api import policy
from pressplay.api.policy import Acceptance
from pressplay.base import clocks, documents
from pressplay.base.errors import Refused, Unavailable
from pressplay.evidence import judging, reports, samples, shapes, statistics
from pressplay.evidence.judging import Judgement, Plan, Verdict
from pressplay.evidence.targets import Urls
from pressplay.stages import loops
from pressplay.stages.acceptance import loading
from pressplay.stages.acceptance.keeping import Keeper
from pressplay.stages.acceptance.loading import Result
from pressplay.stages.environment import Ending, Foreign, Outcome, StageEnvironment

TIME_LIMIT_S = 160
"""Longest that the load may take: the step's deadline is 180 s, and the rest takes its time too."""

COMING_UP_S = 10.0
"""How long a preview may take to come up again where the server that ran it was started anew: the
step is repeated at that moment, too. What never comes up is measured as it is.
"""

_ENDINGS = {
    Verdict.PASS: Ending.PASS,
    Verdict.FAIL: Ending.FAIL,
    Verdict.INCONCLUSIVE: Ending.INCONCLUSIVE,
}


def run(env: StageEnvironment) -> Outcome:
    """Judge the preview in PRESSPLAY_URLS, which must show the commit PRESSPLAY_SHA.

    Writes `acceptance/` among the artifacts and the outputs `verdict` and `reason`. Raises Refused
    for a preview of another commit and a policy that cannot be carried out, Unavailable where this
    machine cannot keep up with the policy's rate.
    """
    urls = Urls.from_json(documents.read_json(env.require("URLS"), source="PRESSPLAY_URLS"))
    sha = env.require("SHA")
    if urls.sha != sha:
        raise Refused(f"The preview shows commit {urls.sha[:10]}, not {sha[:10]}; deploy it first")
    plan = judging.plan(_acceptance(env), urls)
    _check_plan(plan)
    env.log("acceptance_planned", targets=len(plan.targets), looks=plan.counts)
    judgement = loops.run(_probe(env, plan, urls))
    timestamp = clocks.to_text(clocks.SystemClock().now())
    report = reports.report(judgement, urls=urls, timestamp=timestamp)
    shapes.validate("report", report)
    env.write_artifact("acceptance/report.json", report)
    env.write_output("verdict", judgement.verdict.value)
    env.log("acceptance_judged", verdict=judgement.verdict.value, reason=judgement.reason)
    return Outcome(_ENDINGS[judgement.verdict], judgement.reason)


def _acceptance(env: StageEnvironment) -> Acceptance:
    path = env.inputs / "policy.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f"No policy at {path}; preflight writes it ({error.strerror})") from error
    value = documents.read_json(data, source="policy.json")
    return policy.Record.from_json(value).policy.acceptance


def _check_plan(plan: Plan) -> None:
    """Refuse what cannot end in a pass, in time, or with the sockets there are."""
    judging.check_budget(plan.acceptance)
    load = plan.acceptance.load
    if plan.longest_s > TIME_LIMIT_S:
        raise Refused(
            f"acceptance.load: {len(plan.targets)} endpoints with {load.samples} samples at "
            f"{load.rate} requests a second can take {plan.longest_s:.0f} s, and "
            f"{TIME_LIMIT_S} s is all there is; raise rate, or lower samples or timeout_s"
        )
    _allow_sockets(math.ceil(min(load.rate * load.timeout_s, len(plan.targets) * load.samples)))


def _allow_sockets(count: int) -> None:
    """Raise this process' limit of open files where `count` connections need it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 100
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Refused(
            f"acceptance.load: {count} requests can be open at once, and this machine allows "
            f"{hard} files; lower rate or timeout_s"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@dataclass
class _Log:
    """What the requests of one acceptance have left behind so far."""

    env: StageEnvironment
    keeper: Keeper
    results: list[Result] = field(default_factory=list)

    def observe(self, result: Result) -> None:
        self.results.append(result)
        kept = self.keeper.file(result)
        if kept is not None:
            self.env.write_artifact(f"acceptance/responses/{kept[0]}", kept[1])

    def write(self) -> None:
        """Write all that is known: after each look, so that a stop from outside loses little."""
        ordered = sorted((result.sample for result in self.results), key=lambda s: (s.look, s.n))
        self.env.write_artifact("acceptance/samples.jsonl", samples.write(ordered))
        lines = (
            f"{s.started_ms:.0f}ms {s.host} {s.endpoint} n={s.n} status={s.status} "
            f"latency={s.latency_ms:.0f}ms {s.error or 'ok'}\n"
            for s in ordered
        )
        self.env.write_artifact("acceptance/logs.txt", "".join(lines))


async def _probe(env: StageEnvironment, plan: Plan, urls: Urls) -> Judgement:
    """Look after look, until the samples settle the verdict."""
    log = _Log(env, Keeper(plan))
    await loading.until_reachable(plan, longest_s=COMING_UP_S)
    async with loading.open_client(plan) as client:
        for look in range(1, len(plan.counts) + 1):
            with env.timed(Foreign.LOAD):
                await client.send_look(look, log.observe)
            log.write()
            taken = [result.sample for result in log.results]
            judgement = judging.judge(taken, acceptance=plan.acceptance, urls=urls)
            env.log("look_taken", look=look, samples=len(taken), verdict=judgement.verdict.value)
            _check_lag(log.results, plan)
            if judgement.settled:
                return judgement
    raise AssertionError("the last look settles the schedule")


def _check_lag(results: list[Result], plan: Plan) -> None:
    """A client that sends late must not blame the app for it."""
    late_ms = statistics.nearest_rank(sorted(r.lag_ms for r in results), share=judging.QUANTILE)
    if late_ms > plan.acceptance.thresholds.max_p95_ms / 4:
        raise Unavailable(
            f"This machine sent its requests {late_ms:.0f} ms late, too late to judge the app; "
            "lower acceptance.load.rate, or give the step more processor"
        )
