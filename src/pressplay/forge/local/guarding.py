"""What keeps changes from a branch: classic protection and rulesets, read into one form.

Both are asked in the same words, so that a push, a person's merge and `mergeable_state` cannot
disagree. Sources: GitHub's "About protected branches" and "Available rules for rulesets"; the
sentences are the ones its pushes print.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from pressplay.forge.local import roles
from pressplay.forge.local.actors import Actor, Installation, Person
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.pkt_lines import Command
from pressplay.forge.local.rows import CheckRunRow, ProtectedRow, RepositoryRow, RulesetRow

ADMIN_ROLE = 5
"""The id by which GitHub's rulesets name the role of a repository's administrators."""

BY_PULL_REQUEST = "Changes must be made through a pull request."
PASSING = ("success", "neutral", "skipped")
Bypass = Literal["always", "pull_request", "exempt", ""]


@dataclass(frozen=True)
class RequiredCheck:
    """A check that must pass; `app_id` 0 means that any App's will do."""

    context: str
    app_id: int

    def is_met(self, runs: Sequence[CheckRunRow]) -> bool:
        """Whether the latest run of this name, of the App if one is pinned, has passed."""
        ours = [run for run in runs if run.name == self.context and self.app_id in (0, run.app_id)]
        return bool(ours) and all(run.conclusion in PASSING for run in ours)


@dataclass(frozen=True)
class Guard:
    """One protection or ruleset, as far as it binds the one who asked.

    `is_ruleset` decides the words of a refusal; `closed` says why nothing may be pushed at all.
    """

    is_ruleset: bool
    needs_pull: bool = False
    approvals: int = 0
    checks: tuple[RequiredCheck, ...] = ()
    is_strict: bool = False
    closed: str = ""
    keeps_history: bool = False
    keeps_branch: bool = False

    def against_push(self, command: Command, runs: Sequence[CheckRunRow]) -> list[str]:
        """What a push that wants `command` is told; empty if it may."""
        if command.deletes:
            return ["Cannot delete this branch"] if self.keeps_branch else []
        found = [self.closed] if self.closed else []
        found += [BY_PULL_REQUEST] if self.needs_pull else []
        return found + self.missing_checks(runs)

    def missing_checks(self, runs: Sequence[CheckRunRow]) -> list[str]:
        """One sentence for the required checks that have not passed."""
        missing = [check for check in self.checks if not check.is_met(runs)]
        if not missing:
            return []
        if len(self.checks) == 1:
            return [f'Required status check "{missing[0].context}" is expected.']
        return [f"{len(missing)} of {len(self.checks)} required status checks are expected."]


def guards(
    hub: Hub, repository: RepositoryRow, branch: str, *, actor: Actor | None, merging: bool = False
) -> list[Guard]:
    """What binds `actor` on the branch; a merge may have a bypass that a push has not.

    Without an actor: what binds somebody who may pass by nothing.
    """
    found = []
    protection = protection_of(hub, repository, branch)
    is_admin = isinstance(actor, Person) and roles.role_of(hub, repository, actor.login) == "admin"
    is_exempt = is_admin and not (protection or {}).get("enforce_admins")
    if protection is not None and not is_exempt:
        found.append(_classic(protection, slug=_slug(actor)))
    for row in rulesets_for(hub, repository, branch):
        bypass = bypass_of(row, hub=hub, actor=actor)
        if bypass in ("always", "exempt") or (merging and bypass == "pull_request"):
            continue
        found.append(_of_rules(json.loads(row.document)["rules"]))
    return found


def is_protected(hub: Hub, repository: RepositoryRow, branch: str) -> bool:
    """What a branch's `protected` says: GitHub counts both kinds."""
    return protection_of(hub, repository, branch) is not None or any(
        json.loads(row.document)["rules"] for row in rulesets_for(hub, repository, branch)
    )


def protection_of(hub: Hub, repository: RepositoryRow, branch: str) -> Mapping[str, Any] | None:
    """The settings of the branch's classic protection, or None."""
    row = hub.store.find(
        ProtectedRow, "find_protected_branch", repository_id=repository.id, branch=branch
    )
    return None if row is None else json.loads(row.settings)


def rulesets_for(hub: Hub, repository: RepositoryRow, branch: str) -> Iterator[RulesetRow]:
    """The active rulesets whose conditions name the branch."""
    for row in hub.store.all(RulesetRow, "list_rulesets", repository_id=repository.id):
        document = json.loads(row.document)
        names = document["conditions"].get("ref_name", {})
        if (
            document["enforcement"] == "active"
            and document["target"] == "branch"
            and _names(names.get("include", ()), branch, repository=repository)
            and not _names(names.get("exclude", ()), branch, repository=repository)
        ):
            yield row


def bypass_of(row: RulesetRow, *, hub: Hub, actor: Actor | None) -> Bypass:
    """How `actor` may pass by the ruleset; the operator administers every repository."""
    for it in json.loads(row.document)["bypass_actors"]:
        if (it["actor_type"], it.get("actor_id")) in _identities(hub, actor):
            mode: Bypass = it.get("bypass_mode", "always")
            return mode
    return ""


def check_runs(hub: Hub, repository: RepositoryRow, sha: str) -> list[CheckRunRow]:
    """The latest runs of each name and App at a commit."""
    return hub.store.all(
        CheckRunRow, "list_latest_check_runs", repository_id=repository.id, head_sha=sha
    )


def _identities(hub: Hub, actor: Actor | None) -> set[tuple[str, int | None]]:
    match actor:
        case Person(login=login, is_operator=is_operator):
            own = {("User", int(hub.shapes.user(login)["id"]))}
            return own | ({("RepositoryRole", ADMIN_ROLE)} if is_operator else set())
        case Installation(app=app):
            return {("Integration", app.id)}
        case _:
            return set()


def _slug(actor: Actor | None) -> str:
    return actor.app.slug if isinstance(actor, Installation) else ""


def _names(patterns: Sequence[str], branch: str, *, repository: RepositoryRow) -> bool:
    for pattern in patterns:
        if pattern == "~ALL":
            return True
        if pattern == "~DEFAULT_BRANCH" and branch == repository.default_branch:
            return True
        if fnmatchcase(f"refs/heads/{branch}", pattern):
            return True
    return False


def _classic(settings: Mapping[str, Any], *, slug: str) -> Guard:
    reviews = settings.get("required_pull_request_reviews")
    allowed = (reviews or {}).get("bypass_pull_request_allowances", {}).get("apps", ())
    checks = settings.get("required_status_checks") or {}
    restrictions = settings.get("restrictions")
    closed = ""
    if restrictions is not None and slug not in restrictions.get("apps", ()):
        closed = "You're not authorized to push to this branch."
    if settings.get("lock_branch"):
        closed = "Cannot change this locked branch"
    return Guard(
        is_ruleset=False,
        needs_pull=reviews is not None and slug not in allowed,
        approvals=int((reviews or {}).get("required_approving_review_count", 0)),
        checks=tuple(
            RequiredCheck(it["context"], max(it.get("app_id") or 0, 0))
            for it in checks.get("checks", ())
        ),
        is_strict=bool(checks.get("strict")),
        closed=closed,
        keeps_history=not settings.get("allow_force_pushes"),
        keeps_branch=not settings.get("allow_deletions"),
    )


def _of_rules(rules: Sequence[Mapping[str, Any]]) -> Guard:
    guard = Guard(is_ruleset=True)
    for rule in rules:
        parameters = rule.get("parameters", {})
        match rule["type"]:
            case "pull_request":
                wanted = int(parameters.get("required_approving_review_count", 0))
                guard = replace(guard, needs_pull=True, approvals=wanted)
            case "required_status_checks":
                guard = replace(
                    guard,
                    checks=tuple(
                        RequiredCheck(it["context"], int(it.get("integration_id") or 0))
                        for it in parameters["required_status_checks"]
                    ),
                    is_strict=bool(parameters.get("strict_required_status_checks_policy")),
                )
            case "update":
                guard = replace(guard, closed="Cannot update this protected ref.")
            case "non_fast_forward":
                guard = replace(guard, keeps_history=True)
            case "deletion":
                guard = replace(guard, keeps_branch=True)
            case _:
                pass  # rules about commits and their messages: nothing here is decided by them
    return guard
