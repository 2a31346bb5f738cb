"""REST: issues, and the comments under issues and pull requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import looking
from pressplay.forge.local.answers import invalid, not_found, too_long
from pressplay.forge.local.asking import LONGEST_TEXT, Ask, Door, Hub, page, permission
from pressplay.forge.local.bare import NO_SPAN, Span
from pressplay.forge.local.rows import (
    BranchesRow,
    CommentRow,
    IssueRow,
    PullRow,
    RepositoryRow,
)

# GitHub takes either permission for threads, as a pull request is an issue too.
READ = permission("issues:read", "pull_requests:read")
WRITE = permission("issues:write", "pull_requests:write")
STATES = ("open", "closed")


class Issues:
    """Endpoints of threads."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}/issues"
        one, comment = f"{base}/{{number}}", f"{base}/comments/{{id}}"
        return [
            door.route("GET", base, needs=READ, to=self.issues),
            door.route("POST", base, needs=permission("issues:write"), to=self.open),
            door.route("GET", comment, needs=READ, to=self.comment),
            door.route("PATCH", comment, needs=WRITE, to=self.edit_comment),
            door.route("GET", one, needs=READ, to=self.issue),
            door.route("PATCH", one, needs=WRITE, to=self.edit),
            door.route("POST", f"{one}/labels", needs=WRITE, to=self.add_labels),
            door.route("GET", f"{one}/comments", needs=READ, to=self.comments),
            door.route("POST", f"{one}/comments", needs=WRITE, to=self.add_comment),
        ]

    async def issues(self, ask: Ask) -> Response:
        rows = self._hub.store.all(
            IssueRow,
            "list_issues",
            repository_id=ask.repository.id,
            state=ask.query("state", default="open"),
        )
        return page(ask, [self._document(row.number, ask.repository) for row in rows])

    async def issue(self, ask: Ask) -> Response:
        return JSONResponse(self._document(ask.number(), ask.repository))

    async def open(self, ask: Ask) -> Response:
        with self._hub.store.transaction():
            row = add_issue(
                self._hub,
                ask.repository,
                title=ask.text("title"),
                body=ask.text("body", default=""),
                author=ask.actor.login,
                labels=_names(ask.body.get("labels", [])),
            )
            for action, parts in [("opened", {}), *self._labelled(row.label_names(), ask)]:
                self._tell(row, ask, action=action, **parts)
        return JSONResponse(self._document(row.number, ask.repository), status_code=201)

    async def edit(self, ask: Ask) -> Response:
        before = find_issue(self._hub, ask.repository, ask.number())
        if isinstance(before, PullRow):
            raise invalid("Issue", message="Change a pull request at its own address")
        with self._hub.store.transaction():
            row = change_issue(self._hub, before, ask.body)
            for action, parts in changes(before, row):
                self._tell(row, ask, action=action, **parts)
        return JSONResponse(self._document(row.number, ask.repository))

    async def add_labels(self, ask: Ask) -> Response:
        row = find_issue(self._hub, ask.repository, ask.number())
        fresh = [it for it in _names(ask.body.get("labels", [])) if it not in row.label_names()]
        span = await looking.span_of(self._hub, row) if isinstance(row, PullRow) else None
        with self._hub.store.transaction():
            self._hub.store.one(
                IssueRow,
                "change_labels",
                id=row.id,
                labels=json.dumps([*row.label_names(), *fresh]),
                now=self._hub.now(),
            )
            now = find_issue(self._hub, ask.repository, row.number)
            for action, parts in self._labelled(tuple(fresh), ask):
                self._tell(now, ask, action=action, span=span, **parts)
        return JSONResponse(self._document(row.number, ask.repository)["labels"])

    async def comments(self, ask: Ask) -> Response:
        row = find_issue(self._hub, ask.repository, ask.number())
        found = self._hub.store.all(
            CommentRow, "list_comments", repository_id=row.repository_id, number=row.number
        )
        return page(ask, [self._hub.threads.comment(it, repository=ask.repository) for it in found])

    async def comment(self, ask: Ask) -> Response:
        row = self._comment(ask)
        return JSONResponse(self._hub.threads.comment(row, repository=ask.repository))

    async def add_comment(self, ask: Ask) -> Response:
        issue = find_issue(self._hub, ask.repository, ask.number())
        body, now = ask.text("body"), self._hub.now()
        with self._hub.store.transaction():
            row = self._hub.store.one(
                CommentRow,
                "add_comment",
                repository_id=issue.repository_id,
                number=issue.number,
                author=ask.actor.login,
                body=body,
                now=now,
            )
            self._hub.store.one(IssueRow, "touch_issue", id=issue.id, now=now)
            self._tell_comment(row, ask, action="created")
        return JSONResponse(
            self._hub.threads.comment(row, repository=ask.repository), status_code=201
        )

    async def edit_comment(self, ask: Ask) -> Response:
        before = self._comment(ask)
        with self._hub.store.transaction():
            row = self._hub.store.one(
                CommentRow,
                "change_comment",
                id=before.id,
                body=ask.text("body"),
                now=self._hub.now(),
            )
            self._tell_comment(row, ask, action="edited", changes={"body": {"from": before.body}})
        return JSONResponse(self._hub.threads.comment(row, repository=ask.repository))

    def _labelled(self, names: tuple[str, ...], ask: Ask) -> list[tuple[str, dict[str, Any]]]:
        label = self._hub.threads.label
        return [("labeled", {"label": label(it, repository=ask.repository)}) for it in names]

    def _tell(
        self, row: IssueRow, ask: Ask, *, action: str, span: Span | None = None, **parts: object
    ) -> None:
        """An issue's event is `issues`, a pull request's is `pull_request`."""
        by = ask.actor.login
        if isinstance(row, PullRow):
            self._hub.events.tell_pull(
                ask.repository, row, by=by, action=action, span=span or NO_SPAN, **parts
            )
            return
        self._hub.events.tell_issue(
            "issues",
            ask.repository,
            row,
            by=by,
            action=action,
            comments=count_comments(self._hub, row),
            **parts,
        )

    def _tell_comment(self, row: CommentRow, ask: Ask, *, action: str, **parts: object) -> None:
        issue = find_issue(self._hub, ask.repository, row.number)
        self._hub.events.tell_issue(
            "issue_comment",
            ask.repository,
            issue,
            by=ask.actor.login,
            action=action,
            comments=count_comments(self._hub, issue),
            comment=self._hub.threads.comment(row, repository=ask.repository),
            **parts,
        )

    def _comment(self, ask: Ask) -> CommentRow:
        row = self._hub.store.find(
            CommentRow, "find_comment", repository_id=ask.repository.id, id=ask.number("id")
        )
        if row is None:
            raise not_found()
        return row

    def _document(self, number: int, repository: RepositoryRow) -> dict[str, Any]:
        row = find_issue(self._hub, repository, number)
        return self._hub.threads.issue(
            row, repository=repository, comments=count_comments(self._hub, row)
        )


def find_issue(hub: Hub, repository: RepositoryRow, number: int) -> IssueRow:
    """The issue, as a PullRow if it is a pull request; raises ProblemError 404."""
    values = {"repository_id": repository.id, "number": number}
    pull = hub.store.find(PullRow, "find_pull", **values)
    row = pull if pull is not None else hub.store.find(IssueRow, "find_issue", **values)
    if row is None:
        raise not_found()
    return row


def add_issue(
    hub: Hub,
    repository: RepositoryRow,
    *,
    title: str,
    body: str,
    author: str,
    labels: tuple[str, ...] = (),
    branches: BranchesRow | None = None,
) -> IssueRow:
    """A new thread under the repository's next number; with `branches` a pull request."""
    hub.shapes.user(author)
    with hub.store.transaction():
        counted = hub.store.one(RepositoryRow, "take_number", repository_id=repository.id)
        row = hub.store.one(
            IssueRow,
            "add_issue",
            repository_id=repository.id,
            number=counted.last_number,
            title=title,
            body=body,
            author=author,
            labels=json.dumps(labels),
            now=hub.now(),
        )
        if branches is not None:
            hub.store.one(
                BranchesRow,
                "add_pull",
                issue_id=row.id,
                head_ref=branches.head_ref,
                base_ref=branches.base_ref,
                head_sha=branches.head_sha,
                base_sha=branches.base_sha,
                draft=branches.draft,
            )
    return row


def change_issue(hub: Hub, row: IssueRow, body: Mapping[str, Any]) -> IssueRow:
    """Apply title, body and state of a PATCH; other keys change nothing, as on GitHub."""
    texts = {key: body[key] for key in ("title", "body", "state") if body.get(key) is not None}
    for key, value in texts.items():
        if not isinstance(value, str) or (key == "state" and value not in STATES):
            raise invalid("Issue", field=key, code="invalid")
        if len(value) > LONGEST_TEXT:
            raise too_long("Issue", field=key, most=LONGEST_TEXT)
    state = texts.get("state", row.state)
    closed_at = (row.closed_at or hub.now()) if state == "closed" else None
    return hub.store.one(
        IssueRow,
        "change_issue",
        id=row.id,
        title=texts.get("title", row.title),
        body=texts.get("body", row.body),
        state=state,
        closed_at=closed_at,
        now=hub.now(),
    )


def changes(before: IssueRow, after: IssueRow) -> list[tuple[str, dict[str, Any]]]:
    """The actions that a change is told as, each with its own parts."""
    found: list[tuple[str, dict[str, Any]]] = []
    old = {
        name: {"from": getattr(before, name)}
        for name in ("title", "body")
        if getattr(before, name) != getattr(after, name)
    }
    if old:
        found.append(("edited", {"changes": old}))
    if before.state != after.state:
        found.append(("closed" if after.state == "closed" else "reopened", {}))
    return found


def count_comments(hub: Hub, row: IssueRow) -> int:
    """How many comments the thread has."""
    found = hub.store.all(
        CommentRow, "list_comments", repository_id=row.repository_id, number=row.number
    )
    return len(found)


def _names(labels: object) -> tuple[str, ...]:
    """Labels as names; GitHub takes texts and objects."""
    if not isinstance(labels, list):
        raise invalid("Issue", field="labels", code="invalid")
    found = (item.get("name") if isinstance(item, dict) else item for item in labels)
    return tuple(dict.fromkeys(str(name) for name in found if name))
