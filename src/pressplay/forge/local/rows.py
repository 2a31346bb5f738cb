"""The rows of the local forge's tables, one frozen class for each; fields are the columns."""

from __future__ import annotations

import json
from dataclasses import dataclass

BOT = "[bot]"


@dataclass(frozen=True)
class UserRow:
    """Somebody who was seen here; an App's bot is `{slug}[bot]`."""

    id: int
    login: str


@dataclass(frozen=True)
class AppRow:
    """A GitHub App; `permissions` is what its installations grant."""

    id: int
    slug: str
    name: str
    permissions: str
    public_key: str
    created_at: str

    @property
    def login(self) -> str:
        return f"{self.slug}{BOT}"

    def granted(self) -> dict[str, str]:
        """Permission to level (`read` or `write`)."""
        return dict(json.loads(self.permissions))


@dataclass(frozen=True)
class InstallationRow:
    """An App on all repositories of one account."""

    id: int
    app_id: int
    account: str
    created_at: str


@dataclass(frozen=True)
class TokenRow:
    """An installation token, by its hash."""

    hash: str
    installation_id: int
    app_id: int
    repositories: str
    permissions: str
    expires_at: str

    def repository_ids(self) -> frozenset[int]:
        return frozenset(json.loads(self.repositories))

    def allowed(self) -> dict[str, str]:
        return dict(json.loads(self.permissions))


@dataclass(frozen=True)
class RepositoryRow:
    """A repository; `last_number` is the last issue or pull request number given."""

    id: int
    owner: str
    name: str
    description: str
    private: int
    default_branch: str
    created_at: str
    last_number: int

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True)
class CollaboratorRow:
    """What one person may do in one repository: admin, maintain, write, triage or read."""

    repository_id: int
    login: str
    permission: str


@dataclass(frozen=True)
class ProtectedRow:
    """A protected branch; `settings` are the fields of GitHub's own call that protects one."""

    repository_id: int
    branch: str
    settings: str


@dataclass(frozen=True)
class RulesetRow:
    """A ruleset; `document` holds the fields of GitHub's own call that makes one."""

    id: int
    repository_id: int
    document: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class HeadRow:
    """Where a branch was when its pushes were last told of."""

    repository_id: int
    branch: str
    sha: str


@dataclass(frozen=True)
class IssueRow:
    """An issue, or the issue side of a pull request."""

    id: int
    repository_id: int
    number: int
    title: str
    body: str
    author: str
    state: str
    labels: str
    created_at: str
    updated_at: str
    closed_at: str | None

    def label_names(self) -> tuple[str, ...]:
        return tuple(json.loads(self.labels))


@dataclass(frozen=True)
class BranchesRow:
    """What a pull request adds to its issue."""

    issue_id: int
    head_ref: str
    base_ref: str
    head_sha: str
    base_sha: str
    draft: int
    auto_merge: int
    merged_at: str | None
    merged_by: str | None = None
    merge_commit_sha: str | None = None
    auto_merge_by: str | None = None
    auto_merge_method: str | None = None


@dataclass(frozen=True)
class PullRow(BranchesRow, IssueRow):
    """A pull request with both of its sides."""


@dataclass(frozen=True)
class CommentRow:
    """A comment in the thread of an issue or a pull request."""

    id: int
    repository_id: int
    number: int
    author: str
    body: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class ReviewRow:
    """A review of one commit of a pull request."""

    id: int
    repository_id: int
    number: int
    author: str
    state: str
    commit_id: str
    body: str
    submitted_at: str


@dataclass(frozen=True)
class CheckRunRow:
    """A check run of one App on one commit."""

    id: int
    repository_id: int
    app_id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None
    external_id: str
    details_url: str | None
    title: str | None
    summary: str | None
    started_at: str
    completed_at: str | None


@dataclass(frozen=True)
class AlarmRow:
    """Somebody asked for what must never happen; it did not happen."""

    id: int
    time: str
    who: str
    verb: str
    path: str


@dataclass(frozen=True)
class ReviewCommentRow:
    """A comment on one line of a pull request, or on a whole file where `line` is null."""

    id: int
    repository_id: int
    number: int
    author: str
    body: str
    path: str
    line: int | None
    commit_id: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class HookRow:
    """Where an App or a repository wants to be told of events; `events` may hold `*`."""

    id: int
    app_id: int | None
    repository_id: int | None
    url: str
    secret: str
    insecure_ssl: int
    events: str
    active: int
    created_at: str
    updated_at: str

    def event_names(self) -> tuple[str, ...]:
        return tuple(json.loads(self.events))

    def hears(self, event: str) -> bool:
        return not {event, "*"}.isdisjoint(self.event_names())


@dataclass(frozen=True)
class IdRow:
    """Just a number."""

    id: int


@dataclass(frozen=True)
class DeliveryRow:
    """One event on its way to one hook; `state` is waiting, sending or done."""

    id: int
    hook_id: int
    guid: str
    event: str
    action: str | None
    repository_id: int | None
    installation_id: int | None
    payload: str
    redelivery: int
    state: str
    delivered_at: str
    duration: float
    status: str
    status_code: int
    request_headers: str
    response_headers: str
    response_body: str
