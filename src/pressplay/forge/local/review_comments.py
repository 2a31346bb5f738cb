"""REST: comments on the lines of a pull request."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import looking
from pressplay.forge.local.answers import invalid, not_found
from pressplay.forge.local.asking import Ask, Door, Hub, page, permission
from pressplay.forge.local.rows import ReviewCommentRow

_READ = permission("pull_requests:read")
_RESOURCE = "PullRequestReviewComment"


class ReviewComments:
    """Endpoints of review comments."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}/pulls"
        listed, writing = f"{base}/{{number}}/comments", permission("pull_requests:write")
        return [
            door.route("GET", f"{base}/comments/{{id}}", needs=_READ, to=self.comment),
            door.route("GET", listed, needs=_READ, to=self.comments),
            door.route("POST", listed, needs=writing, to=self.add),
        ]

    async def comments(self, ask: Ask) -> Response:
        pull = await looking.find_pull(self._hub, ask.repository, ask.number())
        rows = self._hub.store.all(
            ReviewCommentRow,
            "list_review_comments",
            repository_id=pull.repository_id,
            number=pull.number,
        )
        return page(ask, [self._document(row, ask) for row in rows])

    async def comment(self, ask: Ask) -> Response:
        row = self._hub.store.find(
            ReviewCommentRow,
            "find_review_comment",
            repository_id=ask.repository.id,
            id=ask.number("id"),
        )
        if row is None:
            raise not_found()
        return JSONResponse(self._document(row, ask))

    async def add(self, ask: Ask) -> Response:
        """On a line that the body names, or on a whole file of the pull request."""
        pull = await looking.find_pull(self._hub, ask.repository, ask.number())
        path, line = ask.text("path"), ask.body.get("line")
        span = await looking.span_of(self._hub, pull)
        if path not in {change.path for change in span.files}:
            raise invalid(_RESOURCE, field="path", code="invalid")
        if line is not None and (not isinstance(line, int) or line < 1):
            raise invalid(_RESOURCE, field="line", code="invalid")
        by = ask.actor.login
        with self._hub.store.transaction():
            row = self._hub.store.one(
                ReviewCommentRow,
                "add_review_comment",
                repository_id=pull.repository_id,
                number=pull.number,
                author=self._hub.shapes.user(by)["login"],
                body=ask.text("body"),
                path=path,
                line=line,
                commit_id=ask.text("commit_id"),
                now=self._hub.now(),
            )
            self._hub.events.tell_about_pull(
                "pull_request_review_comment",
                ask.repository,
                pull,
                by=by,
                action="created",
                comment=self._document(row, ask),
            )
        return JSONResponse(self._document(row, ask), status_code=201)

    def _document(self, row: ReviewCommentRow, ask: Ask) -> dict[str, Any]:
        return self._hub.threads.review_comment(row, repository=ask.repository)
