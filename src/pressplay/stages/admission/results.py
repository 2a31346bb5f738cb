"""A result that is already there: the approver's check run on a head."""

from __future__ import annotations

from pressplay.api import names
from pressplay.forge.client import Forge
from pressplay.stages.admission.targets import Target
from pressplay.stages.environment import StageEnvironment

VERDICT_CHECK = "pressplay/verdict"
"""The check run that says the verdict; required, and pinned to the approver's App."""

DEFAULT_APPROVER = "qa-approver"
"""Slug of the App that approves, where the settings name no other."""


def approver(env: StageEnvironment) -> str:
    """The slug of the App whose check run counts."""
    return env.setting("PRESSPLAY_APPROVER_APP", DEFAULT_APPROVER)


def valid_result(forge: Forge, target: Target, *, approver: str) -> str:
    """A sentence about the valid result for this target, or ""."""
    owner, repo = target.repository.owner, target.repository.name
    if target.pull is not None:
        if has_verdict(forge, owner, repo, sha=target.head, approver=approver):
            return f"Head {target.head[:10]} already has a valid result"
        return ""
    if target.issue is None:
        return ""
    for pull in forge.pulls(owner, repo, head_branch=names.run_branch(target.subject)):
        if has_verdict(forge, owner, repo, sha=pull.head_sha, approver=approver):
            return f"Pull request #{pull.number} already has a valid result at its head"
    return ""


def has_verdict(forge: Forge, owner: str, repo: str, *, sha: str, approver: str) -> bool:
    """Whether the approver's App passed this commit; a check run of another App says nothing."""
    return any(
        run.name == VERDICT_CHECK and run.app == approver and run.conclusion == "success"
        for run in forge.check_runs(owner, repo, sha)
    )
