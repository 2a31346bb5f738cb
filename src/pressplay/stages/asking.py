"""What a run was asked to be about, read from its parameters and, where they are silent, its event.

Explicit parameters win. The event fills the repository, and everything about the subject only
together: the branch of one pull request beside the commit of another would be worse than neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pressplay.api import events, parameters
from pressplay.api.events import Event
from pressplay.base.errors import Refused
from pressplay.stages.environment import StageEnvironment

_VARIABLES = {
    "owner": "OWNER",
    "repo": "REPO",
    "subject": "SUBJECT",
    "pr": "PR",
    "issue": "ISSUE",
    "commentId": "COMMENT_ID",
    "ref": "REF",
    "sha": "SHA",
    "taskId": "TASK_ID",
    "taskRef": "TASK_REF",
    "deliveryId": "DELIVERY_ID",
    "includeComments": "INCLUDE_COMMENTS",
    "attempt": "ATTEMPT",
}


@dataclass(frozen=True)
class Asked:
    """The checked parameters of a run; `subject` is as given and may be empty."""

    owner: str
    repo: str
    subject: str
    pr: str
    issue: str
    comment_id: str
    ref: str
    sha: str
    task_id: str
    task_ref: str
    attempt: str
    event: Event = field(default=Event())

    @property
    def repository(self) -> str:
        """`owner/name`, empty while it is unknown."""
        return f"{self.owner}/{self.repo}" if self.owner and self.repo else ""


def from_environment(env: StageEnvironment) -> Asked:
    """Check every parameter and fill what is empty from the event. Raises Refused."""
    given = {name: parameters.check(name, env.get(of)) for name, of in _VARIABLES.items()}
    event = read_event(env)
    if not any(given[name] for name in ("pr", "issue", "ref", "sha")):
        given |= {"pr": event.pr, "issue": event.issue, "ref": event.ref, "sha": event.sha}
        given["commentId"] = given["commentId"] or event.comment_id
    owner, repo = _both(given["owner"], given["repo"]) or (event.owner, event.repo)
    return Asked(
        owner=owner,
        repo=repo,
        subject=given["subject"],
        pr=given["pr"],
        issue=given["issue"],
        comment_id=given["commentId"],
        ref=given["ref"],
        sha=given["sha"],
        task_id=given["taskId"],
        task_ref=given["taskRef"],
        attempt=given["attempt"],
        event=event,
    )


def read_event(env: StageEnvironment) -> Event:
    """The event parameter; what was wrong with it is logged and does not stop the run."""
    event = events.project_event(parameters.check("event", env.get("EVENT", "{}")))
    for warning in event.warnings:
        env.log("event_unreadable", warning=warning)
    return event


def read_request(env: StageEnvironment) -> dict[str, Any]:
    """The spec of the CodeRun or DocsRun that this step serves. Raises Refused."""
    try:
        request = json.loads(env.get("REQUEST", "{}"))
    except ValueError as error:
        raise Refused(f"Parameter PRESSPLAY_REQUEST is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused("Parameter PRESSPLAY_REQUEST is not a JSON object: pass the object's spec")
    return request


def repository_of(env: StageEnvironment) -> tuple[str, str]:
    """The repository that a step is about: its parameters, else its request, else its event.

    Raises Refused where none names one, or where the operator does not allow it.
    """
    given = (
        parameters.check("owner", env.get("OWNER")),
        parameters.check("repo", env.get("REPO")),
    )
    named = _both(*given) or _requested(env)
    if named is None:
        event = read_event(env)
        named = _both(event.owner, event.repo)
    if named is None:
        raise Refused(parameters.NO_REPOSITORY)
    check_allowed(env, *named)
    return named


def allowed_repositories(env: StageEnvironment) -> tuple[str, ...]:
    """The operator's list, lower-cased; an empty one allows every repository."""
    listed = env.setting("PRESSPLAY_ALLOWED_REPOSITORIES").split(",")
    return tuple(name.strip().lower() for name in listed if name.strip())


def check_allowed(env: StageEnvironment, owner: str, repo: str) -> None:
    """Raises Refused for a repository that is not in the operator's list."""
    allowed = allowed_repositories(env)
    if allowed and f"{owner}/{repo}".lower() not in allowed:
        raise Refused(
            f"Repository {owner}/{repo} is not allowed here; "
            "add it to PRESSPLAY_ALLOWED_REPOSITORIES in pressplay-settings"
        )


def _both(owner: str, repo: str) -> tuple[str, str] | None:
    """The pair where it is whole; half a name must not be completed from elsewhere."""
    if bool(owner) != bool(repo):
        raise Refused("Parameters owner and repo go together; give both or neither")
    return (owner, repo) if owner else None


def _requested(env: StageEnvironment) -> tuple[str, str] | None:
    text = str(read_request(env).get("repo") or "")
    return parameters.repository(text) if text else None
