"""The approval: a check run and a review, bound to one head, for a verdict made again from scratch.

Takes nothing but the run's name. What it says rests on the run's own Workflow, on the raw evidence
and on the policy in the base commit, read anew. Killed at any point and started again it leaves
one check run and one review: it looks for its own before it makes any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.api import parameters, policy
from pressplay.api.forge import CheckRun, Pull, Review
from pressplay.base import clocks, documents
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.evidence import shapes, trees, verdict
from pressplay.evidence.judging import Verdict
from pressplay.evidence.verdict import RunVerdict
from pressplay.forge.client import Forge
from pressplay.stages import connections, policies, runfacts, summaries
from pressplay.stages.admission import results
from pressplay.stages.environment import Ending, Outcome, StageEnvironment
from pressplay.stages.runfacts import RunFacts

_CONCLUSIONS = {
    Verdict.PASS: "success",
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "neutral",
}
_ENDINGS = {Verdict.FAIL: Ending.FAIL, Verdict.INCONCLUSIVE: Ending.INCONCLUSIVE}


def run(env: StageEnvironment) -> Outcome:
    """Approve the run's head, or say why not."""
    with connections.open_kube(env) as kube:
        facts = runfacts.read(kube, env.get("NAMESPACE", "agents"), env.require("RUN"))
    tree = trees.read_tree(env.inputs / "evidence")
    with connections.open_forge(env) as forge:
        approver = results.approver(env)
        answer = give(forge, facts=facts, tree=tree, approver=approver)
    record = answer.to_json(facts, now=clocks.to_text(SystemClock().now()))
    shapes.validate("approval", record)
    env.write_artifact("approval/approval.json", record)
    env.log("approval_decided", run=facts.name, verdict=answer.verdict, approved=answer.approved)
    return answer.outcome()


@dataclass(frozen=True)
class Answer:
    """What came of it; `reason` says why there is no approval."""

    verdict: Verdict
    check: CheckRun | None = None
    review: Review | None = None
    reason: str = ""

    @property
    def approved(self) -> bool:
        """Whether the approving review was given."""
        return self.review is not None

    def outcome(self) -> Outcome:
        """How the stage ends."""
        if self.approved:
            return Outcome()
        return Outcome(_ENDINGS.get(self.verdict, Ending.FAIL), self.reason)

    def to_json(self, facts: RunFacts, *, now: str) -> dict[str, Any]:
        """What is written to `approval.json`; `now` is RFC 3339."""
        return {
            "run": facts.name,
            "repository": f"{facts.owner}/{facts.repo}",
            "pr": facts.pr,
            "headSha": facts.head_sha,
            "verdict": self.verdict.value,
            "approved": self.approved,
            "reason": self.reason,
            "checkRun": {"id": self.check.id, "app": self.check.app} if self.check else None,
            "review": {"id": self.review.id, "state": self.review.state} if self.review else None,
            "timestamp": now,
        }


def give(forge: Forge, *, facts: RunFacts, tree: Mapping[str, bytes], approver: str) -> Answer:
    """Judge the evidence and post what follows. `approver` is the slug of our own App.

    Raises Refused where the run's facts, or the policy, are not what the evidence says.
    """
    check_facts(facts)
    _check_policy(forge, facts, tree)
    judged = verdict.run_verdict(tree, head_sha=facts.head_sha)
    post = _Posting(forge, facts, judged, approver)
    reason = post.withheld()
    if reason:
        return Answer(judged.verdict, reason=reason)
    check = post.check_run()
    if judged.verdict is not Verdict.PASS:
        return Answer(judged.verdict, check=check, reason=summaries.first_reason(judged))
    # Asked again: the head may have moved while the check run was posted.
    reason = post.withheld()
    if reason:
        return Answer(judged.verdict, check=check, reason=reason)
    return Answer(judged.verdict, check=check, review=post.review())


def check_facts(facts: RunFacts) -> None:
    """Raises Refused where the Workflow does not say what it approves."""
    if facts.superseded_by:
        raise Refused(f"Run {facts.name} gave way to {facts.superseded_by}; there is no approval")
    if facts.decision != "proceed":
        raise Refused(f"Run {facts.name} was not let in by its preflight; there is no approval")
    for name, value in (
        ("owner", facts.owner),
        ("repo", facts.repo),
        ("pr", facts.pr),
        ("sha", facts.head_sha),
        ("sha", facts.base_sha),
    ):
        if not parameters.check(name, value):
            raise Refused(f"Run {facts.name} does not say its {name}; was it deployed?")


def withheld(pull: Pull, *, head_sha: str, approver: str) -> str:
    """Why neither check run nor review may be posted on this pull request now, or ""."""
    name = f"Pull request #{pull.number}"
    if pull.merged or pull.state != "open":
        return f"{name} is {'merged' if pull.merged else 'closed'}; nothing is approved"
    if pull.draft:
        return f"{name} is a draft; nothing is approved until it is ready for review"
    if pull.head_sha != head_sha:
        now = pull.head_sha[:10]
        return f"{name} has moved on to {now}; this run is about {head_sha[:10]}"
    if pull.auto_merge:
        return f"{name} has auto-merge armed; turn it off, a person merges"
    if pull.author == _login(approver):
        return f"{name} is the approver's own; nobody approves their own work"
    return ""


def _check_policy(forge: Forge, facts: RunFacts, tree: Mapping[str, bytes]) -> None:
    """The policy that judged must be the one in the base commit that preflight saw."""
    content = tree.get(verdict.POLICY)
    if content is None:
        raise Refused(f"The evidence has no {verdict.POLICY}; preflight must have written it")
    used = policy.Record.from_json(documents.read_json(content, source=verdict.POLICY))
    if used.base_sha != facts.base_sha:
        raise Refused(
            f"{verdict.POLICY} is of commit {used.base_sha[:10]}, but preflight read "
            f"{facts.base_sha[:10]}; nothing is approved"
        )
    true = policies.read(forge, facts.owner, facts.repo, sha=facts.base_sha)
    if true.to_json() != used.to_json():
        raise Refused(
            f"{verdict.POLICY} is not what {policy.FILE_NAME} says at {facts.base_sha[:10]}; "
            "nothing is approved"
        )


@dataclass(frozen=True)
class _Posting:
    """Puts the answer on the forge, once, however often it is asked to."""

    forge: Forge
    facts: RunFacts
    judged: RunVerdict
    approver: str

    def withheld(self) -> str:
        facts = self.facts
        pull = self.forge.pull(facts.owner, facts.repo, int(facts.pr))
        return withheld(pull, head_sha=facts.head_sha, approver=self.approver)

    def check_run(self) -> CheckRun:
        """The check run of this run, made or brought up to date."""
        owner, repo, sha = self.facts.owner, self.facts.repo, self.facts.head_sha
        conclusion = _CONCLUSIONS[self.judged.verdict]
        title = summaries.title(self.judged.verdict)
        summary = summaries.summary(self.judged, run=self.facts.name, head_sha=sha)
        found = self._own_check_run()
        if found is None:
            made = self.forge.add_check_run(
                owner,
                repo,
                name=results.VERDICT_CHECK,
                sha=sha,
                status="completed",
                conclusion=conclusion,
                external_id=self.facts.name,
                title=title,
                summary=summary,
            )
            return self._checked(made)
        if (found.status, found.conclusion) == ("completed", conclusion):
            return found
        return self.forge.edit_check_run(
            owner,
            repo,
            found.id,
            status="completed",
            conclusion=conclusion,
            title=title,
            summary=summary,
        )

    def review(self) -> Review:
        """The approving review of this run and head; one that a person dismissed stays so."""
        owner, repo, number = self.facts.owner, self.facts.repo, int(self.facts.pr)
        head, run_name = self.facts.head_sha, self.facts.name
        mark = summaries.marker(run=run_name, head_sha=head)
        for review in self.forge.reviews(owner, repo, number):
            if review.author == _login(self.approver) and mark in review.body:
                return review
        body = summaries.review(self.judged, run=run_name, head_sha=head)
        return self.forge.add_review(owner, repo, number, commit=head, event="APPROVE", body=body)

    def _own_check_run(self) -> CheckRun | None:
        facts = self.facts
        for check in self.forge.check_runs(facts.owner, facts.repo, facts.head_sha):
            mine = check.name == results.VERDICT_CHECK and check.external_id == facts.name
            if mine and check.app == self.approver:
                return check
        return None

    def _checked(self, check: CheckRun) -> CheckRun:
        """By another slug our own check run and review would not be found again."""
        if check.app != self.approver:
            raise Refused(
                f"The approver's App is {check.app}, but PRESSPLAY_APPROVER_APP is "
                f"{self.approver}; set it to {check.app} in pressplay-settings"
            )
        return check


def _login(app: str) -> str:
    """The login under which a forge shows what an App did."""
    return f"{app}[bot]"
