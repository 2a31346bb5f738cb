"""REST: pull requests. Opening, reading, changing words and state; merging exists nowhere."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import issues, looking
from pressplay.forge.local.answers import invalid
from pressplay.forge.local.asking import Ask, Door, Hub, page, permission
from pressplay.forge.local.rows import BranchesRow, PullRow, RepositoryRow

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
        branches = await self._branches(ask)
        # From here to the row nothing awaits, so two askers cannot both find the place free.
        self._refuse_second(repository, branches)
        row = issues.add_issue(
            self._hub,
            repository,
            title=title,
            body=ask.text("body", default=""),
            author=ask.actor.login,
            branches=branches,
        )
        return await self._answer(repository, row.number, status=201)

    async def edit(self, ask: Ask) -> Response:
        row = await looking.find_pull(self._hub, ask.repository, ask.number())
        if row.merged_at is not None and ask.body.get("state") == "open":
            raise invalid("PullRequest", field="state", code="invalid")
        issues.change_issue(self._hub, row, ask.body)
        return await self._answer(ask.repository, row.number)

    async def _branches(self, ask: Ask) -> BranchesRow:
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
        return BranchesRow(
            issue_id=0,
            head_ref=head,
            base_ref=base,
            head_sha=heads[head],
            base_sha=heads[base],
            draft=int(ask.body.get("draft") is True),
            auto_merge=0,
            merged_at=None,
        )

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

    async def _answer(
        self, repository: RepositoryRow, number: int, *, status: int = 200
    ) -> Response:
        row = await looking.find_pull(self._hub, repository, number)
        span = await self._hub.git.span(repository.id, base=row.base_sha, head=row.head_sha)
        document = self._hub.threads.pull_in_full(
            row,
            repository=repository,
            span=span,
            comments=issues.count_comments(self._hub, row),
        )
        return JSONResponse(document, status_code=status)
