"""What a run is about, as the forge shows it now: its subject, base and head."""

from __future__ import annotations

from dataclasses import dataclass

from pressplay.api import names, parameters
from pressplay.api.forge import Issue, Pull, Repository
from pressplay.base.errors import Refused
from pressplay.forge.client import Forge
from pressplay.stages.asking import Asked

_KEEPING = frozenset({"pull_request", "update"})
"""Rules that keep a push with a mere write token away from a branch (GitHub, "Available rules")."""


@dataclass(frozen=True)
class Target:
    """The repository by its present name, and the commit that the policy is read from.

    `head` is empty for an issue: the run makes it. `pull` or `issue` is what the run is about;
    a run for a task has neither.
    """

    repository: Repository
    subject: str
    base: str
    base_sha: str
    is_protected: bool
    head: str = ""
    pull: Pull | None = None
    issue: Issue | None = None

    @property
    def idle(self) -> str:
        """Why there is nothing to do, or not yet, or ""."""
        if self.pull is not None:
            return _idle_pull(self.pull)
        if self.issue is not None and self.issue.state != "open":
            return f"Issue #{self.issue.number} is closed; reopen it first"
        return ""


def _idle_pull(pull: Pull) -> str:
    name = f"Pull request #{pull.number}"
    if pull.merged or pull.state != "open":
        return f"{name} is {'merged' if pull.merged else 'closed'}; there is nothing to do"
    if pull.draft:
        return f"{name} is a draft; mark it ready for review and start again"
    if not parameters.is_valid("ref", pull.head_ref):
        return f"{name} comes from a branch whose name is not plain; rename the branch"
    return ""


def find(forge: Forge, asked: Asked) -> Target:
    """Look up what was asked for. Raises Refused where it is not there, or is something else."""
    repository = forge.repository(asked.owner, asked.repo)
    branch = forge.branch(repository.owner, repository.name, repository.default_branch)
    if branch is None:
        raise Refused(
            f"Repository {asked.repository} has no commit on {repository.default_branch}; "
            "push a first one"
        )
    target = Target(
        repository=repository,
        subject="",
        base=branch.name,
        base_sha=branch.sha,
        is_protected=branch.protected or _is_ruled(forge, repository),
    )
    if asked.pr:
        return _of_pull(forge, asked, target)
    if asked.issue:
        return _of_issue(forge, asked, target)
    if asked.subject and not asked.subject.startswith("sha-"):
        kind = asked.subject.partition("-")[0]
        raise Refused(f"Parameter subject is {asked.subject} but parameter {kind} is empty")
    subject = asked.subject or names.subject_of(sha=asked.sha or branch.sha)
    return Target(**(vars(target) | {"subject": subject, "head": asked.sha}))


def _is_ruled(forge: Forge, repository: Repository) -> bool:
    """Whether a ruleset, which some forges do not count as protection, keeps pushes away."""
    rules = forge.branch_rules(repository.owner, repository.name, repository.default_branch)
    return not _KEEPING.isdisjoint(rules)


def _of_pull(forge: Forge, asked: Asked, target: Target) -> Target:
    repository = target.repository
    pull = forge.pull(repository.owner, repository.name, int(asked.pr))
    found = {
        "subject": names.subject_of(pr=asked.pr),
        "base": pull.base_ref,
        "base_sha": pull.base_sha,
        "head": pull.head_sha,
        "pull": pull,
    }
    return Target(**(vars(target) | found))


def _of_issue(forge: Forge, asked: Asked, target: Target) -> Target:
    repository = target.repository
    issue = forge.issue(repository.owner, repository.name, int(asked.issue))
    if f"/pull/{issue.number}" in issue.html_url:
        raise Refused(f"Issue #{issue.number} is a pull request; give it as parameter pr")
    subject = names.subject_of(issue=asked.issue)
    return Target(**(vars(target) | {"subject": subject, "issue": issue}))
