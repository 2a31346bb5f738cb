"""The closed table of what may be asked of a forge.

Nothing here merges, arms auto-merge, enqueues, moves or deletes a ref, closes a pull request or
changes a setting, and GraphQL is absent. The client can name nothing else and the transport sends
nothing else. Paths and fields follow GitHub's REST description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote, unquote

from pressplay.base.errors import Refused

Rule: TypeAlias = "type | frozenset[str] | Mapping[str, Rule]"
"""What a body field may hold: any value of a type, one of some texts, or an object of rules."""


@dataclass(frozen=True)
class Call:
    """One thing that may be asked; `path` is relative to the API's address.

    `fields` are the only keys of the JSON body, all of `required` must be there; `query` are the
    only keys of the query.
    """

    name: str
    verb: str
    path: str
    why: str
    fields: Mapping[str, Rule] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()

    def expand(self, parameters: Mapping[str, object]) -> str:
        """The path with its parameters in place, each percent-encoded. Raises Refused."""
        return "".join(
            f"/{_expand(segment[1:-1], parameters) if segment.startswith('{') else segment}"
            for segment in self.path.split("/")[1:]
        )


_PAGE = frozenset({"per_page", "page"})
_REPO = "/repos/{owner}/{repo}"
_READ = frozenset({"read"})
_WRITE = frozenset({"read", "write"})
_CHECK: Mapping[str, Rule] = {
    "status": frozenset({"queued", "in_progress", "completed"}),
    "conclusion": frozenset(
        {"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"}
    ),
    "output": {"title": str, "summary": str},
}
PERMISSIONS: Mapping[str, Rule] = {
    "contents": _WRITE,
    "pull_requests": _WRITE,
    "issues": _WRITE,
    "checks": _WRITE,
    "actions": _READ,
    "security_events": _READ,
    "metadata": _READ,
}
"""The most that a token of ours may be asked to carry: no administration, no workflows."""

CALLS: tuple[Call, ...] = (
    Call("installation", "GET", f"{_REPO}/installation", "find the App's installation"),
    Call(
        "access_token",
        "POST",
        "/app/installations/{id}/access_tokens",
        "mint a token for one repository and the step's permissions",
        fields={"repositories": list, "permissions": PERMISSIONS},
        required=frozenset({"repositories", "permissions"}),
    ),
    Call("repository", "GET", _REPO, "default branch, numeric id, clone address"),
    Call("branch", "GET", f"{_REPO}/branches/{{branch}}", "the head of a branch"),
    Call(
        "branch_rules",
        "GET",
        f"{_REPO}/rules/branches/{{branch}}",
        "demand a ruleset on the default branch",
        query=_PAGE,
    ),
    Call(
        "ruleset",
        "GET",
        f"{_REPO}/rulesets/{{id}}",
        "a rule that our own App may pass by binds nobody we fear",
    ),
    Call(
        "branch_protection",
        "GET",
        f"{_REPO}/branches/{{branch}}/protection",
        "demand protection of the default branch",
    ),
    Call(
        "file",
        "GET",
        f"{_REPO}/contents/{{path}}",
        "read the policy and task texts at a commit",
        query=frozenset({"ref"}),
    ),
    Call(
        "permission",
        "GET",
        f"{_REPO}/collaborators/{{login}}/permission",
        "trust is the permission that the forge reports",
    ),
    Call("issue", "GET", f"{_REPO}/issues/{{number}}", "the text to work on"),
    Call(
        "issue_comments",
        "GET",
        f"{_REPO}/issues/{{number}}/comments",
        "the thread of an issue or pull request",
        query=_PAGE,
    ),
    Call("comment", "GET", f"{_REPO}/issues/comments/{{id}}", "the comment that gave a command"),
    Call(
        "add_comment",
        "POST",
        f"{_REPO}/issues/{{number}}/comments",
        "answer a person",
        fields={"body": str},
        required=frozenset({"body"}),
    ),
    Call(
        "edit_comment",
        "PATCH",
        f"{_REPO}/issues/comments/{{id}}",
        "keep one comment up to date instead of writing many",
        fields={"body": str},
        required=frozenset({"body"}),
    ),
    Call(
        "pulls",
        "GET",
        f"{_REPO}/pulls",
        "find the pull request of a branch",
        query=_PAGE | {"head", "state"},
    ),
    Call("pull", "GET", f"{_REPO}/pulls/{{number}}", "head, base, draft, auto-merge"),
    Call(
        "open_pull",
        "POST",
        f"{_REPO}/pulls",
        "propose the work to a person",
        fields={"head": str, "base": str, "title": str, "body": str},
        required=frozenset({"head", "base", "title"}),
    ),
    Call(
        "edit_pull",
        "PATCH",
        f"{_REPO}/pulls/{{number}}",
        "keep the description true; the state cannot be expressed",
        fields={"title": str, "body": str},
    ),
    Call(
        "reviews",
        "GET",
        f"{_REPO}/pulls/{{number}}/reviews",
        "one review per pull request, head and run",
        query=_PAGE,
    ),
    Call(
        "add_review",
        "POST",
        f"{_REPO}/pulls/{{number}}/reviews",
        "approve or comment, bound to one commit",
        fields={
            "commit_id": str,
            "event": frozenset({"APPROVE", "COMMENT"}),
            "body": str,
        },
        required=frozenset({"commit_id", "event"}),
    ),
    Call(
        "check_runs",
        "GET",
        f"{_REPO}/commits/{{sha}}/check-runs",
        "what was already judged at this head",
        query=_PAGE,
    ),
    Call(
        "add_check_run",
        "POST",
        f"{_REPO}/check-runs",
        "the verdict, as a check that can be required",
        fields={"name": str, "head_sha": str, "external_id": str, **_CHECK},
        required=frozenset({"name", "head_sha", "status"}),
    ),
    Call(
        "edit_check_run",
        "PATCH",
        f"{_REPO}/check-runs/{{id}}",
        "complete the check that was begun",
        fields=_CHECK,
    ),
)

_BY_NAME = {call.name: call for call in CALLS}

# Owners, repositories: contracts §2. A branch is one encoded segment; `path` takes all that follow.
_SHAPES = {
    "owner": re.compile(r"[A-Za-z0-9_-]{1,39}"),
    "repo": re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}"),
    "login": re.compile(r"[A-Za-z0-9_-]{1,64}(\[bot\])?"),
    "number": re.compile(r"[1-9][0-9]{0,14}"),
    "id": re.compile(r"[1-9][0-9]{0,17}"),
    "sha": re.compile(r"[0-9a-f]{40}"),
    "branch": re.compile(r"(?![/.-])(?!.*(\.\.|//|/\.))[A-Za-z0-9._/@+=#,-]{1,200}(?<![/.])"),
    "path": re.compile(r"(?!.*(^|/)\.{0,2}(/|$))[^\x00-\x1f\x7f\\%]{1,1000}"),
}


def named(name: str) -> Call:
    """The call of this name; a KeyError is a bug of the caller."""
    return _BY_NAME[name]


def match(verb: str, path: str) -> Call | None:
    """The call that this verb and percent-encoded path (without query) make, or None.

    Each segment is decoded once; what would decode again, and every `.` and `..`, matches nothing.
    """
    segments = path.split("/")
    if segments[0] != "" or len(segments) < 2:
        return None
    decoded = tuple(unquote(segment) for segment in segments[1:])
    for call in CALLS:
        if call.verb == verb and _fits(call.path.split("/")[1:], decoded):
            return call
    return None


def _fits(template: list[str], segments: tuple[str, ...]) -> bool:
    if template[-1] == "{path}":
        head = len(template) - 1
        segments = (*segments[:head], "/".join(segments[head:]))
    if len(template) != len(segments):
        return False
    return all(
        _SHAPES[part[1:-1]].fullmatch(segment) is not None
        if part.startswith("{")
        else part == segment
        for part, segment in zip(template, segments, strict=True)
    )


def _expand(name: str, parameters: Mapping[str, object]) -> str:
    value = str(parameters[name])
    if _SHAPES[name].fullmatch(value) is None:
        raise Refused(f"Invalid {name} {value[:80]!r}: no such thing can exist on a forge")
    return quote(value, safe="/" if name == "path" else "")
