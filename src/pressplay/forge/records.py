"""From a forge's JSON to the few fields that we read. Pure.

Field names follow GitHub's REST description; a deleted account arrives as null and is `ghost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pressplay.api.forge import Branch, CheckRun, Comment, Issue, Pull, Repository, Review
from pressplay.base.errors import Refused

GHOST = "ghost"

_T = TypeVar("_T")


def read(shape: Callable[[Any], _T], document: object) -> _T:
    """`shape` applied to a document. Raises Refused where a field that GitHub sends is missing."""
    try:
        return shape(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Refused(
            f"The forge's answer has not GitHub's shape ({type(error).__name__}: {error}); "
            "check GITHUB_API_URL"
        ) from error


def repository(document: Any) -> Repository:  # noqa: ANN401 - JSON enters here
    return Repository(
        id=int(document["id"]),
        owner=document["owner"]["login"],
        name=document["name"],
        default_branch=document["default_branch"],
        private=bool(document["private"]),
        clone_url=document["clone_url"],
    )


def branch(document: Any) -> Branch:  # noqa: ANN401 - JSON enters here
    return Branch(
        name=document["name"],
        sha=document["commit"]["sha"],
        protected=bool(document["protected"]),
    )


@dataclass(frozen=True)
class Rule:
    """One rule that an active ruleset puts on a branch; `ruleset_id` is 0 where it is not said."""

    kind: str
    ruleset_id: int


def rule(document: Any) -> Rule:  # noqa: ANN401 - JSON enters here
    return Rule(kind=str(document["type"]), ruleset_id=int(document.get("ruleset_id") or 0))


def permission(document: Any) -> str:  # noqa: ANN401 - JSON enters here
    """The oldest of GitHub's words for it, which it maps finer and custom roles to."""
    word = document["permission"]
    return word if word in ("admin", "write", "read") else "none"


def issue(document: Any) -> Issue:  # noqa: ANN401 - JSON enters here
    return Issue(
        number=int(document["number"]),
        title=document["title"],
        body=document.get("body") or "",
        author=_login(document),
        labels=tuple(
            label if isinstance(label, str) else str(label["name"])
            for label in document.get("labels", ())
        ),
        state=document["state"],
        html_url=document["html_url"],
    )


def comment(document: Any) -> Comment:  # noqa: ANN401 - JSON enters here
    return Comment(
        id=int(document["id"]),
        author=_login(document),
        body=document.get("body") or "",
        created_at=document["created_at"],
        updated_at=document["updated_at"],
    )


def pull(document: Any) -> Pull:  # noqa: ANN401 - JSON enters here
    head, base = document["head"], document["base"]
    return Pull(
        number=int(document["number"]),
        title=document["title"],
        body=document.get("body") or "",
        author=_login(document),
        state=document["state"],
        draft=bool(document.get("draft")),
        merged=document.get("merged_at") is not None,
        auto_merge=document.get("auto_merge") is not None,
        head_ref=head["ref"],
        head_sha=head["sha"],
        head_repo=head["repo"]["full_name"] if head.get("repo") else "",
        base_ref=base["ref"],
        base_sha=base["sha"],
        html_url=document["html_url"],
    )


def review(document: Any) -> Review:  # noqa: ANN401 - JSON enters here
    return Review(
        id=int(document["id"]),
        author=_login(document),
        state=document["state"],
        commit_id=document.get("commit_id") or "",
        body=document.get("body") or "",
    )


def check_run(document: Any) -> CheckRun:  # noqa: ANN401 - JSON enters here
    return CheckRun(
        id=int(document["id"]),
        name=document["name"],
        app=(document.get("app") or {}).get("slug") or "",
        head_sha=document["head_sha"],
        status=document["status"],
        conclusion=document.get("conclusion") or "",
        external_id=document.get("external_id") or "",
    )


def _login(document: Any) -> str:  # noqa: ANN401 - JSON enters here
    user = document.get("user")
    return str(user["login"]) if user else GHOST
