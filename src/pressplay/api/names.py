"""Every name that we give, made in one place, from ids that survive renames.

The schemes are the product's contract: a Workflow's name is its identity, so that the same cause
finds its name taken; a preview's names say which pull request it shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pressplay.base import ids
from pressplay.base.errors import Refused

OBJECT_LIMIT = 63
"""Longest name that is also a valid label value and host label (RFC 1123)."""

RELEASE_LIMIT = 53
"""Longest Helm release name (Helm's own limit)."""

SCHEMES = ("pr", "repo-pr")


def cut(name: str, *, limit: int = OBJECT_LIMIT) -> str:
    """`name`, or where it is too long its beginning with a hash of the whole behind it."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-.')}-{ids.short_hash(name)}"


def repo_hash(owner: str, repo: str) -> str:
    """`h8`: the first 8 hex digits of sha256 over lower-cased owner/repo."""
    return ids.short_hash(f"{owner}/{repo}".lower())


def slug(repo: str) -> str:
    """The repository's name as a name part: lower case, at most 20 characters, no leading digit."""
    text = re.sub(r"[^a-z0-9-]+", "-", repo.lower()).strip("-")[:20].strip("-") or "app"
    return f"r-{text}" if text[0].isdigit() else text


def subject_of(*, pr: str = "", issue: str = "", sha: str = "") -> str:
    """What a run is about: `pr-N` whenever one is known, else `issue-N`, else `sha-XXXXXXXXXX`."""
    if pr:
        return f"pr-{pr}"
    if issue:
        return f"issue-{issue}"
    if sha:
        return f"sha-{sha[:10]}"
    raise Refused("No subject: give one of pr, issue, sha")


@dataclass(frozen=True)
class PreviewNames:
    """Where one preview lives."""

    namespace: str
    release: str
    host: str


def preview(*, owner: str, repo: str, pr: str, domain: str, scheme: str = "pr") -> PreviewNames:
    """The names of the preview of one pull request; `scheme` is one of SCHEMES."""
    if scheme not in SCHEMES:
        raise Refused(f"Preview naming scheme {scheme!r} is unknown; use one of {SCHEMES}")
    tail = f"-{repo_hash(owner, repo)}" if scheme == "repo-pr" else ""
    return PreviewNames(
        namespace=f"impl-pr-{pr}{tail}",
        release=cut(f"{slug(repo)}-pr-{pr}{tail}", limit=RELEASE_LIMIT),
        host=f"pr-{pr}{tail}.{domain}",
    )


def implement_run(*, repository_id: int, issue: int) -> str:
    """The Workflow that implements an issue."""
    return f"implement-r{repository_id}-i{issue}"


def validate_run(*, repository_id: int, pr: int, head: str) -> str:
    """The Workflow that validates a pull request at one head."""
    return f"validate-r{repository_id}-pr{pr}-{head[:10]}"


def run_branch(subject: str) -> str:
    """The branch on which our work on an issue lives."""
    return f"pressplay/{subject}"
