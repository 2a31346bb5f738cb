"""May this run start, and is it still needed? Decided by looking at the world, without a lock.

A run that must not start because of who asked, or that need not, ends here as Succeeded with a
decision and a reason: nothing went wrong. What the operator or the policy's author must mend ends
as bad input. On the first look the run may stop older ones; behind the lock it only looks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pressplay.api import names, parameters, policy
from pressplay.base.errors import Refused
from pressplay.cluster.kube import KubeClient
from pressplay.evidence import judging
from pressplay.forge.client import Forge
from pressplay.stages import asking, connections, policies, starting
from pressplay.stages.admission import results, rivals, targets
from pressplay.stages.admission.rivals import Standing
from pressplay.stages.admission.targets import Target
from pressplay.stages.admission.trust import Trust
from pressplay.stages.asking import Asked
from pressplay.stages.environment import Outcome, StageEnvironment


class Decision(StrEnum):
    """What becomes of the run; only PROCEED lets the pipeline begin."""

    PROCEED = "proceed"
    COVERED = "covered"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


@dataclass(frozen=True)
class Finding:
    """A decision, and why."""

    decision: Decision
    reason: str = ""


def run(env: StageEnvironment) -> Outcome:
    """Decide, and write the decision, the subject and the base; with PROCEED also the policy."""
    asked = asking.from_environment(env)
    if not asked.repository:
        raise Refused(parameters.NO_REPOSITORY)
    asking.check_allowed(env, asked.owner, asked.repo)
    _check_naming(env)
    with connections.open_kube(env) as kube, connections.open_forge(env) as forge:
        target = targets.find(forge, asked)
        _check_protection(env, target)
        finding = _Preflight(env=env, asked=asked, target=target, kube=kube, forge=forge).decide()
        if finding.decision is Decision.PROCEED:
            _write_policy(env, forge, target)
    _write(env, target, finding)
    return Outcome(reason=finding.reason)


@dataclass(frozen=True)
class _Preflight:
    env: StageEnvironment
    asked: Asked
    target: Target
    kube: KubeClient
    forge: Forge

    def decide(self) -> Finding:
        """The first reason not to go on, else PROCEED."""
        workflow = self._own_workflow()
        if self.target.idle:
            return Finding(Decision.REFUSED, self.target.idle)
        if self.asked.sha and self.target.pull and self.asked.sha != self.target.head:
            moved = f"Head {self.asked.sha[:10]} is no longer the head of {self.target.subject}"
            return Finding(Decision.SUPERSEDED, f"{moved}; the run for the new head goes on")
        untrusted = self._distrust(workflow)
        if untrusted:
            return Finding(Decision.REFUSED, untrusted)
        if not self.asked.comment_id:
            valid = results.valid_result(
                self.forge, self.target, approver=results.approver(self.env)
            )
            if valid:
                return Finding(Decision.COVERED, valid)
        return self._among_rivals(workflow)

    def _distrust(self, workflow: Mapping[str, Any]) -> str:
        """Why whoever asked may not, or ""."""
        repository = self.target.repository
        trust = Trust(self.forge, owner=repository.owner, repo=repository.name)
        if self.asked.comment_id:
            comment = self.forge.comment(
                repository.owner, repository.name, int(self.asked.comment_id)
            )
            started = workflow["metadata"].get("creationTimestamp") or ""
            reason = trust.of_comment(comment, started=started)
            if reason or self.target.pull is None:
                return reason
        if self.target.pull is not None:
            return trust.of_pull(self.target.pull)
        if self.target.issue is not None:
            return trust.of_issue(self.target.issue, self.asked.event)
        # A task on the default branch: whoever created the Workflow had the operator's rights.
        return ""

    def _among_rivals(self, workflow: Mapping[str, Any]) -> Finding:
        me = rivals.read_run(self._admit(workflow))
        selector = f"{rivals.REPOSITORY}={self._repo_hash()}"
        listed = self.kube.list("Workflow", self._namespace(), labels=selector)
        runs = [rivals.read_run(each) for each in listed]
        failed = rivals.failed_attempts(me, runs)
        # Without an event a person pressed play, who need not be asked for.
        by_itself = self.asked.event.sender and not self.asked.comment_id
        if failed >= parameters.MAX_ATTEMPTS and by_itself:
            tried = f"{failed} runs for {self.target.subject} failed"
            return Finding(
                Decision.REFUSED, f"{tried}; a person must look, and may comment `/retest`"
            )
        own_push = self.asked.event.sender.endswith("[bot]")
        return self._act(rivals.judge(me, runs, own_push=own_push))

    def _act(self, standing: Standing) -> Finding:
        if standing.superseded_by:
            reason = f"The newer run {standing.superseded_by} goes on instead"
            return Finding(Decision.SUPERSEDED, reason)
        if standing.covered_by:
            reason = f"Run {standing.covered_by} is already at work on this head"
            return Finding(Decision.COVERED, reason)
        if self.env.get("LOOK", "first") == "first":
            for name in standing.stop:
                self._stop(name)
        return Finding(Decision.PROCEED)

    def _admit(self, workflow: Mapping[str, Any]) -> dict[str, Any]:
        """Mark this run before looking at the others, so that of two at least one sees the other.

        A patch that changes nothing writes nothing: the second look costs only the call.
        """
        labels = {rivals.REPOSITORY: self._repo_hash(), rivals.SUBJECT: self.target.subject}
        if self.target.pull is not None:
            labels |= {rivals.PULL: str(self.target.pull.number), rivals.HEAD: self.target.head}
        mark = {"metadata": {"labels": labels, "annotations": {rivals.ADMITTED: "true"}}}
        name = workflow["metadata"]["name"]
        return self.kube.patch("Workflow", self._namespace(), name, mark)

    def _stop(self, name: str) -> None:
        newer = self.env.require("RUN")
        patch = {
            "metadata": {"annotations": {rivals.SUPERSEDED_BY: newer}},
            "spec": {"shutdown": "Stop"},
        }
        self.kube.patch("Workflow", self._namespace(), name, patch)
        self.env.log("older_run_stopped", run=name, by=newer)

    def _own_workflow(self) -> Mapping[str, Any]:
        name = self.env.require("RUN")
        workflow = self.kube.get("Workflow", self._namespace(), name)
        if workflow is None:
            raise Refused(f"Workflow {name} is not in namespace {self._namespace()}")
        return workflow

    def _namespace(self) -> str:
        return self.env.get("NAMESPACE", "agents")

    def _repo_hash(self) -> str:
        repository = self.target.repository
        return names.repo_hash(repository.owner, repository.name)


def _check_naming(env: StageEnvironment) -> None:
    """Two repositories under the scheme `pr` would share the previews of equal numbers."""
    several = len(asking.allowed_repositories(env)) > 1
    if several and env.setting("PRESSPLAY_NAMING", "pr") == "pr":
        raise Refused(
            "Several repositories are allowed and PRESSPLAY_NAMING is pr; "
            "set it to repo-pr in pressplay-settings, so that their previews keep apart"
        )


def _check_protection(env: StageEnvironment, target: Target) -> None:
    """What keeps a stolen write token from merging is the forge's own rule, so it must be there."""
    if target.is_protected or env.setting("PRESSPLAY_ALLOW_UNPROTECTED").lower() == "true":
        return
    repository = target.repository
    raise Refused(
        f"Branch {repository.default_branch} of {repository.owner}/{repository.name} is not "
        "protected: give it a ruleset that binds our Apps, "
        "or set PRESSPLAY_ALLOW_UNPROTECTED=true in pressplay-settings"
    )


def _write_policy(env: StageEnvironment, forge: Forge, target: Target) -> None:
    repository = target.repository
    record = policies.read(forge, repository.owner, repository.name, sha=target.base_sha)
    if record.policy.source == policy.DEFAULT.source:
        env.log("policy_missing", file=policy.FILE_NAME, sha=target.base_sha, using="defaults")
        command = record.policy.preview.process.command
        env.log("start_command", found=" ".join(command) or "none")
    # What could never be judged is refused before an agent's work costs anything.
    files = policies.reader(forge, repository.owner, repository.name, sha=target.base_sha)
    starting.check_language(record.policy, files)
    starting.check_deployable(record.policy, files)
    judging.check_budget(record.policy.acceptance)
    env.write_artifact("policy.json", record.to_json())


def _head_ref(target: Target) -> str:
    """The branch of the pull request; a name that is not plain goes no further."""
    ref = target.pull.head_ref if target.pull is not None else ""
    return ref if parameters.is_valid("ref", ref) else ""


def _write(env: StageEnvironment, target: Target, finding: Finding) -> None:
    env.write_output("decision", finding.decision)
    env.write_output("owner", target.repository.owner)
    env.write_output("repo", target.repository.name)
    env.write_output("subject", target.subject)
    env.write_output("base", target.base)
    env.write_output("base-sha", target.base_sha)
    env.write_output("ref", _head_ref(target))
    env.write_output("sha", target.head)
    env.log(
        "preflight_decided",
        run=env.get("RUN"),
        look=env.get("LOOK", "first"),
        decision=finding.decision,
        subject=target.subject,
        base=target.base_sha,
        reason=finding.reason,
    )
