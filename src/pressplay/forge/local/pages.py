"""Pages for people: what the `html_url`s of the double point to. Reading only, no script.

Everything that came from outside passes `html.escape`. Private repositories have no page without
the operator's credentials, as on GitHub.
"""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from pressplay.forge.local import issues, looking
from pressplay.forge.local.actors import Person
from pressplay.forge.local.answers import ProblemError, not_found
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.bare import Span
from pressplay.forge.local.rows import (
    AppRow,
    CheckRunRow,
    CommentRow,
    IssueRow,
    PullRow,
    RepositoryRow,
    ReviewRow,
)

NOTICE = "This is Pressplay's local double of GitHub. It is not GitHub, and no App merges here."
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}"
    "pre{white-space:pre-wrap;background:#f4f4f4;padding:.6rem}small{color:#666}"
)
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class Pages:
    """Endpoints for a browser."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        base = "/{owner}/{repo}"
        return [
            Route("/", self.front),
            Route(f"{base}/pull/{{number:int}}", self.pull),
            Route(f"{base}/issues/{{number:int}}", self.issue),
            Route(f"{base}/runs/{{number:int}}", self.check_run),
            Route(base, self.repository),
        ]

    async def front(self, request: Request) -> Response:
        """What this is, for whoever finds the port; repositories that everybody may see."""
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{NOTICE}\n")
        rows = self._hub.store.all(RepositoryRow, "list_repositories")
        shown = [row for row in rows if not row.private]
        links = [[_link(f"/{row.full_name}", row.full_name)] for row in shown]
        return _page("Local forge", _table(("Repository",), links))

    async def repository(self, request: Request) -> Response:
        row = self._visible(request)
        await looking.look(self._hub, row)
        threads = self._hub.store.all(IssueRow, "list_issues", repository_id=row.id, state="all")
        lines = [
            [
                _link(f"/{row.full_name}/issues/{it.number}", f"#{it.number}"),
                _text(it.title),
                _text(it.state),
                _text(it.author),
            ]
            for it in threads
        ]
        clone = (
            f"<p><code>git clone {_text(f'{self._hub.shapes.html}/{row.full_name}.git')}</code></p>"
        )
        return _page(row.full_name, clone + _table(("", "Title", "State", "Author"), lines))

    async def issue(self, request: Request) -> Response:
        """An issue; a pull request's number shows the pull request, as on GitHub."""
        repository = self._visible(request)
        row = issues.find_issue(self._hub, repository, _number(request))
        if isinstance(row, PullRow):
            return await self.pull(request)
        return _page(f"{row.title} #{row.number}", _opening(row) + self._comments(row))

    async def pull(self, request: Request) -> Response:
        repository = self._visible(request)
        row = await looking.find_pull(self._hub, repository, _number(request))
        span = await self._hub.git.span(repository.id, base=row.base_sha, head=row.head_sha)
        sides = (
            f"<p>{_text(row.head_ref)} → {_text(row.base_ref)} at <code>{row.head_sha}</code></p>"
        )
        parts = (
            _opening(row),
            sides,
            self._check_runs(repository, row),
            self._reviews(row),
            self._comments(row),
            _diff_stat(span),
        )
        return _page(f"{row.title} #{row.number}", "".join(parts))

    async def check_run(self, request: Request) -> Response:
        repository = self._visible(request)
        row = self._hub.store.find(
            CheckRunRow,
            "find_check_run",
            repository_id=repository.id,
            id=_number(request),
        )
        if row is None:
            raise not_found()
        state = f"<p>{_text(row.conclusion or row.status)} at <code>{row.head_sha}</code></p>"
        body = f"<h2>{_text(row.title or '')}</h2><pre>{_text(row.summary or '')}</pre>"
        return _page(row.name, state + body)

    def _visible(self, request: Request) -> RepositoryRow:
        row = self._hub.repository(request.path_params["owner"], request.path_params["repo"])
        if not row.private:
            return row
        if "authorization" not in request.headers:
            raise ProblemError(401, "Requires authentication")
        if not isinstance(self._hub.actor(request), Person):
            raise not_found()
        return row

    def _check_runs(self, repository: RepositoryRow, pull: PullRow) -> str:
        rows = self._hub.store.all(
            CheckRunRow,
            "list_latest_check_runs",
            repository_id=repository.id,
            head_sha=pull.head_sha,
        )
        lines = [
            [
                _link(f"/{repository.full_name}/runs/{it.id}", it.name),
                _text(it.conclusion or it.status),
                _text(it.title or ""),
                _text(self._hub.store.one(AppRow, "find_app", id=it.app_id).slug),
            ]
            for it in rows
        ]
        return "<h2>Checks</h2>" + _table(("Name", "State", "Title", "App"), lines)

    def _reviews(self, pull: PullRow) -> str:
        rows = self._hub.store.all(
            ReviewRow, "list_reviews", repository_id=pull.repository_id, number=pull.number
        )
        said = "".join(
            f"<h3>{_text(it.author)}: {_text(it.state)} <small>{it.commit_id[:10]}</small></h3>"
            f"<pre>{_text(it.body)}</pre>"
            for it in rows
        )
        return f"<h2>Reviews</h2>{said or '<p>None</p>'}"

    def _comments(self, row: IssueRow) -> str:
        rows = self._hub.store.all(
            CommentRow, "list_comments", repository_id=row.repository_id, number=row.number
        )
        said = "".join(
            f'<h3 id="issuecomment-{it.id}">{_text(it.author)} <small>{it.created_at}</small></h3>'
            f"<pre>{_text(it.body)}</pre>"
            for it in rows
        )
        return f"<h2>Comments</h2>{said or '<p>None</p>'}"


def _number(request: Request) -> int:
    """The number in the path; one that no row can have is not there."""
    number = int(request.path_params["number"])
    if number >= 2**63:
        raise not_found()
    return number


def _opening(row: IssueRow) -> str:
    merged = isinstance(row, PullRow) and row.merged_at is not None
    state = "merged" if merged else row.state
    labels = f" · {_text(', '.join(row.label_names()))}" if row.label_names() else ""
    return (
        f"<p><b>{_text(state)}</b> · by {_text(row.author)}{labels}</p><pre>{_text(row.body)}</pre>"
    )


def _diff_stat(span: Span) -> str:
    lines = [
        [_text(it.path), "binary" if it.added is None else f"+{it.added} -{it.deleted}"]
        for it in span.files
    ]
    summary = f"{span.commits} commits, +{span.additions} -{span.deletions}"
    return f"<h2>Changes</h2><p>{summary}</p>{_table(('File', 'Lines'), lines)}"


def _table(titles: tuple[str, ...], lines: list[list[str]]) -> str:
    if not lines:
        return "<p>None</p>"
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{body}</table>"


def _link(path: str, text: str) -> str:
    return f'<a href="{_text(path)}">{_text(text)}</a>'


def _text(text: str) -> str:
    return html.escape(text)


def _page(title: str, body: str) -> Response:
    document = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(title)}</title>'
        f"<style>{_STYLE}</style><p><small>{_text(NOTICE)}</small></p>"
        f"<h1>{_text(title)}</h1>{body}</html>"
    )
    return HTMLResponse(document, headers=_HEADERS)
