"""What a delivery says about a run: the few fields that may become parameters.

The text may be anything: a malformed delivery counts as an empty one, a field that breaks its
parameter's rule is left out, and both are told as warnings. Nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pressplay.api import parameters

_ZEROS = "0" * 40
"""What `after` holds when a push deleted the branch."""


@dataclass(frozen=True)
class Event:
    """The fields of one delivery; an empty one was not there or is not fit to be a parameter.

    A comment on a pull request has `pr` and no `issue`, though GitHub calls it an issue comment.
    `sender` is the login of whoever caused the delivery, `label` the one just put on.
    """

    owner: str = ""
    repo: str = ""
    ref: str = ""
    sha: str = ""
    pr: str = ""
    issue: str = ""
    comment_id: str = ""
    action: str = ""
    sender: str = ""
    label: str = ""
    warnings: tuple[str, ...] = ()


def project_event(text: str) -> Event:
    """Read a projected delivery; `{}` and a warning for what is no JSON object."""
    try:
        document = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return Event(warnings=("The event is not JSON and counts as {}",))
    if not isinstance(document, dict):
        return Event(warnings=("The event is not a JSON object and counts as {}",))
    found = {
        "owner": _first(_owners(document)),
        "repo": _first(_repositories(document)),
        "ref": _first(_refs(document)),
        "sha": _first(_shas(document)),
        "pr": _first(_pulls(document)),
        "issue": "" if _is_on_pull(document) else _text(document, "issue", "number"),
        "commentId": _text(document, "comment", "id"),
    }
    fit = {name: value for name, value in found.items() if parameters.is_valid(name, value)}
    warnings = tuple(
        f"The event's {name} breaks the rule for that parameter and is left out"
        for name in found
        if name not in fit
    )
    plain = {name: parameters.check(name, value) for name, value in fit.items()}
    return Event(
        comment_id=plain.pop("commentId", ""),
        action=_text(document, "action"),
        sender=_text(document, "sender", "login"),
        label=_text(document, "label", "name"),
        warnings=warnings,
        **plain,
    )


def _owners(event: dict[str, Any]) -> Iterator[str]:
    yield _text(event, "repository", "owner", "login")
    yield _text(event, "organization", "login")
    yield _text(event, "repository", "full_name").partition("/")[0]


def _repositories(event: dict[str, Any]) -> Iterator[str]:
    yield _text(event, "repository", "name")
    yield _text(event, "repository", "full_name").partition("/")[2]


def _refs(event: dict[str, Any]) -> Iterator[str]:
    yield _text(event, "pull_request", "head", "ref")
    ref = _text(event, "ref")
    # A tag is no branch; taking its name for one would let a writer push to a branch so called.
    yield "" if ref.startswith("refs/") and not ref.startswith("refs/heads/") else ref
    yield _text(event, "workflow_run", "head_branch")
    yield _text(event, "check_run", "check_suite", "head_branch")


def _shas(event: dict[str, Any]) -> Iterator[str]:
    yield _text(event, "pull_request", "head", "sha")
    yield _text(event, "after").removeprefix(_ZEROS)
    yield _text(event, "workflow_run", "head_sha")
    yield _text(event, "check_run", "head_sha")


def _pulls(event: dict[str, Any]) -> Iterator[str]:
    yield _text(event, "pull_request", "number")
    yield _text(event, "issue", "number") if _is_on_pull(event) else ""
    yield _text(event, "workflow_run", "pull_requests", 0, "number")
    yield _text(event, "check_run", "pull_requests", 0, "number")


def _is_on_pull(event: dict[str, Any]) -> bool:
    """Whether the issue of this event is a pull request seen as an issue."""
    issue = event.get("issue")
    return isinstance(issue, dict) and bool(issue.get("pull_request"))


def _first(values: Iterator[str]) -> str:
    return next((value for value in values if value), "")


def _text(value: object, *path: str | int) -> str:
    """The text or whole number at `path`, as text; empty for anything else."""
    for key in path:
        if isinstance(key, str) and isinstance(value, dict):
            value = value.get(key)
        elif isinstance(key, int) and isinstance(value, list) and len(value) > key:
            value = value[key]
        else:
            return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ""
