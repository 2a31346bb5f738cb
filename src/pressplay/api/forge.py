"""What a forge tells us: the few fields that we read, as values.

Names and meanings follow GitHub's REST description.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """A repository; `id` survives renames."""

    id: int
    owner: str
    name: str
    default_branch: str
    private: bool
    clone_url: str


@dataclass(frozen=True)
class Branch:
    """A branch and the commit that it points to."""

    name: str
    sha: str
    protected: bool


@dataclass(frozen=True)
class Issue:
    """An issue; `body` is a stranger's text until its author's permission was asked."""

    number: int
    title: str
    body: str
    author: str
    labels: tuple[str, ...]
    state: str
    html_url: str


@dataclass(frozen=True)
class Comment:
    """A comment on an issue or a pull request; times are RFC 3339 text."""

    id: int
    author: str
    body: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Pull:
    """A pull request; `head_repo` is owner/name, empty when the fork is gone."""

    number: int
    title: str
    body: str
    author: str
    state: str
    draft: bool
    merged: bool
    auto_merge: bool
    head_ref: str
    head_sha: str
    head_repo: str
    base_ref: str
    base_sha: str
    html_url: str


@dataclass(frozen=True)
class Review:
    """A review; `state` is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""

    id: int
    author: str
    state: str
    commit_id: str
    body: str


@dataclass(frozen=True)
class CheckRun:
    """A check run; `app` is the slug of the App that owns it."""

    id: int
    name: str
    app: str
    head_sha: str
    status: str
    conclusion: str
    external_id: str
