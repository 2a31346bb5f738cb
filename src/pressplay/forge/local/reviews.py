"""REST: reviews of pull requests, with GitHub's rule that nobody approves their own."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import looking
from pressplay.forge.local.answers import ProblemError, invalid
from pressplay.forge.local.asking import Ask, Door, Hub, page, permission
from pressplay.forge.local.rows import PullRow, ReviewRow

_STATES = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
    "": "PENDING",
}
_OWN = {
    "APPROVE": "Review Can not approve your own pull request",
    "REQUEST_CHANGES": "Review Can not request changes on your own pull request",
}


class Reviews:
    """Endpoints of reviews."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}/pulls/{number}/reviews"
        return [
            door.route("GET", base, needs=permission("pull_requests:read"), to=self.reviews),
            door.route("POST", base, needs=permission("pull_requests:write"), to=self.add),
        ]

    async def reviews(self, ask: Ask) -> Response:
        pull = await looking.find_pull(self._hub, ask.repository, ask.number())
        rows = self._hub.store.all(
            ReviewRow, "list_reviews", repository_id=pull.repository_id, number=pull.number
        )
        shown = [it for it in rows if it.state != "PENDING" or it.author == ask.actor.login]
        return page(ask, [self._hub.shapes.review(it, repository=ask.repository) for it in shown])

    async def add(self, ask: Ask) -> Response:
        pull = await looking.find_pull(self._hub, ask.repository, ask.number())
        event, body = ask.text("event", default=""), ask.text("body", default="")
        if event not in _STATES:
            raise invalid("PullRequestReview", field="event", code="invalid")
        if event in _OWN and pull.author.lower() == ask.actor.login.lower():
            raise ProblemError(422, "Unprocessable Entity", errors=(_OWN[event],))
        if event in ("COMMENT", "REQUEST_CHANGES") and not body.strip():
            raise ProblemError(422, "Unprocessable Entity", errors=("Body can't be blank",))
        commit = ask.text("commit_id", default=pull.head_sha)
        await self._demand_part_of(pull, commit)
        self._hub.shapes.user(ask.actor.login)
        with self._hub.store.transaction():
            row = self._hub.store.one(
                ReviewRow,
                "add_review",
                repository_id=pull.repository_id,
                number=pull.number,
                author=ask.actor.login,
                state=_STATES[event],
                commit_id=commit,
                body=body,
                now=self._hub.now(),
            )
            self._tell(row, pull, ask)
        return JSONResponse(self._hub.shapes.review(row, repository=ask.repository))

    def _tell(self, row: ReviewRow, pull: PullRow, ask: Ask) -> None:
        """A review that is not yet sent off is nobody else's business."""
        if row.state == "PENDING":
            return
        review = self._hub.shapes.review(row, repository=ask.repository)
        self._hub.events.tell_about_pull(
            "pull_request_review",
            ask.repository,
            pull,
            by=ask.actor.login,
            action="submitted",
            review=review | {"state": row.state.lower()},
        )

    async def _demand_part_of(self, pull: PullRow, commit: str) -> None:
        """Raise ProblemError 422 unless the commit is one of the pull request's."""
        found = await self._hub.git.commit(pull.repository_id, commit)
        inside = found == commit and await self._hub.git.is_ancestor(
            pull.repository_id, old=commit, new=pull.head_sha
        )
        if not inside:
            raise ProblemError(
                422, "Unprocessable Entity", errors=("Commit is not part of the pull request",)
            )
