"""REST: pull requests. Opening, reading, changing words and state; for merging see `merging`."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import issues, looking, merging
from pressplay.forge.local.answers import invalid
from pressplay.forge.local.asking import Ask, Door, Hub, page, permission
from pressplay.forge.local.bare import Span
from pressplay.forge.local.rows import BranchesRow, PullRow, RepositoryRow, ReviewCommentRow

_READ = permission("pull_requests:read")
_WRITE = permission("pull_requests:write")


class Pulls:
    """Endpoints of pull requests."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}/pulls"
        return [
            door.route("GET", base, needs=_READ, to=self.pulls),
            door.route("POST", base, needs=_WRITE, to=self.open),
            door.route("GET", f"{base}/{{number}}", needs=_READ, to=self.pull),
            door.route("PATCH", f"{base}/{{number}}", needs=_WRITE, to=self.edit),
        ]

    async def pulls(self, ask: Ask) -> Response:
        repository = ask.repository
        await looking.look(self._hub, repository)
        owner, _, head = ask.query("head").rpartition(":")
        if owner and owner.lower() != repository.owner.lower():
            return page(ask, [])
        rows = self._hub.store.all(
            PullRow,
            "list_pulls",
            repository_id=repository.id,
            state=ask.query("state", default="open"),
            head_ref=head,
            base_ref=ask.query("base"),
        )
        return page(ask, [self._hub.threads.pull(row, repository=repository) for row in rows])

    async def pull(self, ask: Ask) -> Response:
        return await self._answer(ask.repository, ask.number())

    async def open(self, ask: Ask) -> Response:
        repository, title = ask.repository, ask.text("title")
        await looking.look(self._hub, repository)
        branches, span = await self._branches(ask)
        # From here to the row nothing awaits, so two askers cannot both find the place free.
        self._refuse_second(repository, branches)
        with self._hub.store.transaction():
            row = issues.add_issue(
                self._hub,
                repository,
                title=title,
                body=ask.text("body", default=""),
                author=ask.actor.login,
                branches=branches,
            )
            self._tell(row.number, ask, action="opened", span=span)
        return await self._answer(repository, row.number, status=201)

    async def edit(self, ask: Ask) -> Response:
        before = await looking.find_pull(self._hub, ask.repository, ask.number())
        if before.state == "closed" and ask.body.get("state") == "open":
            await self._demand_openable(before)
        span = await looking.span_of(self._hub, before)
        with self._hub.store.transaction():
            row = issues.change_issue(self._hub, before, ask.body)
            for action, parts in issues.changes(before, row):
                self._tell(row.number, ask, action=action, span=span, **parts)
        return await self._answer(ask.repository, row.number)

    async def _demand_openable(self, row: PullRow) -> None:
        """Raise ProblemError 422 where GitHub would not open a pull request again."""
        heads = await self._hub.git.heads(row.repository_id)
        if row.merged_at is not None:
            raise invalid("PullRequest", field="state", code="invalid")
        for branch in (row.head_ref, row.base_ref):
            if branch not in heads:
                message = f"state cannot be changed. The {branch} branch has been deleted."
                raise invalid("PullRequest", message=message, field="state")

    def _tell(self, number: int, ask: Ask, *, action: str, span: Span, **parts: object) -> None:
        row = self._hub.store.one(
            PullRow, "find_pull", repository_id=ask.repository.id, number=number
        )
        self._hub.events.tell_pull(
            ask.repository, row, by=ask.actor.login, action=action, span=span, **parts
        )

    async def _branches(self, ask: Ask) -> tuple[BranchesRow, Span]:
        """The two sides of a new pull request, checked as GitHub checks them."""
        repository = ask.repository
        owner, _, head = ask.text("head").rpartition(":")
        base = ask.text("base")
        heads = await self._hub.git.heads(repository.id)
        if head not in heads or owner.lower() not in ("", repository.owner.lower()):
            raise invalid("PullRequest", field="head", code="invalid")
        if base not in heads:
            raise invalid("PullRequest", field="base", code="invalid")
        span = await self._hub.git.span(repository.id, base=heads[base], head=heads[head])
        if span.commits == 0:
            raise invalid("PullRequest", message=f"No commits between {base} and {head}")
        row = BranchesRow(
            issue_id=0,
            head_ref=head,
            base_ref=base,
            head_sha=heads[head],
            base_sha=heads[base],
            draft=int(ask.body.get("draft") is True),
            auto_merge=0,
            merged_at=None,
        )
        return row, span

    def _refuse_second(self, repository: RepositoryRow, branches: BranchesRow) -> None:
        same = self._hub.store.all(
            PullRow,
            "list_pulls",
            repository_id=repository.id,
            state="open",
            head_ref=branches.head_ref,
            base_ref=branches.base_ref,
        )
        if same:
            raise invalid(
                "PullRequest",
                message=(
                    f"A pull request already exists for {repository.owner}:{branches.head_ref}."
                ),
            )

    def _count_review_comments(self, row: PullRow) -> int:
        found = self._hub.store.all(
            ReviewCommentRow,
            "list_review_comments",
            repository_id=row.repository_id,
            number=row.number,
        )
        return len(found)

    async def _answer(
        self, repository: RepositoryRow, number: int, *, status: int = 200
    ) -> Response:
        row = await looking.find_pull(self._hub, repository, number)
        document = self._hub.threads.pull_in_full(
            row,
            repository=repository,
            span=await looking.span_of(self._hub, row),
            comments=issues.count_comments(self._hub, row),
            review_comments=self._count_review_comments(row),
            merging=await merging.mergeability(self._hub, repository, row),
        )
        return JSONResponse(document, status_code=status)
