"""REST: check runs. Only an App makes one, and only that App changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local.actors import Installation
from pressplay.forge.local.answers import ProblemError, invalid, not_found, too_long
from pressplay.forge.local.asking import Ask, Door, Hub, page, permission
from pressplay.forge.local.rows import CheckRunRow

_STATUSES = ("queued", "in_progress", "completed")
_CONCLUSIONS = "success failure neutral cancelled skipped timed_out action_required"
_RESOURCE = "CheckRun"
LONGEST_OUTPUT = 65_535


class Checks:
    """Endpoints of check runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}"
        read, write = permission("checks:read"), permission("checks:write")
        return [
            door.route(
                "GET", f"{base}/commits/{{ref:path}}/check-runs", needs=read, to=self.check_runs
            ),
            door.route("POST", f"{base}/check-runs", needs=write, to=self.add),
            door.route("GET", f"{base}/check-runs/{{id}}", needs=read, to=self.check_run),
            door.route("PATCH", f"{base}/check-runs/{{id}}", needs=write, to=self.edit),
        ]

    async def check_runs(self, ask: Ask) -> Response:
        """The latest of each name and App at a commit."""
        repository, ref = ask.repository, ask.path("ref")
        sha = await self._hub.git.commit(repository.id, ref)
        if not sha:
            raise ProblemError(422, f"No commit found for SHA: {ref}")
        rows = self._hub.store.all(
            CheckRunRow, "list_latest_check_runs", repository_id=repository.id, head_sha=sha
        )
        name = ask.query("check_name")
        shown = [self._document(row, ask) for row in rows if name in ("", row.name)]
        return page(ask, shown, inside="check_runs")

    async def check_run(self, ask: Ask) -> Response:
        return JSONResponse(self._document(self._find(ask), ask))

    async def add(self, ask: Ask) -> Response:
        actor, name, sha = _app_of(ask), ask.text("name"), ask.text("head_sha")
        if await self._hub.git.commit(ask.repository.id, sha) != sha:
            raise ProblemError(422, f"No commit found for SHA: {sha}")
        values = self._judgement(ask, before=None)
        self._hub.shapes.user(actor.login)
        with self._hub.store.transaction():
            row = self._hub.store.one(
                CheckRunRow,
                "add_check_run",
                repository_id=ask.repository.id,
                app_id=actor.app.id,
                name=name,
                head_sha=sha,
                external_id=ask.text("external_id", default=""),
                details_url=ask.text("details_url", default="") or None,
                started_at=ask.text("started_at", default=self._hub.now()),
                **values,
            )
            self._tell(row, ask, actions=("created",))
        return JSONResponse(self._document(row, ask), status_code=201)

    async def edit(self, ask: Ask) -> Response:
        actor, before = _app_of(ask), self._find(ask)
        if before.app_id != actor.app.id:
            raise ProblemError(
                403,
                f"Invalid app_id `{actor.app.id}` - check run can only be modified by the GitHub "
                "App that created it.",
            )
        values = self._judgement(ask, before=before)
        with self._hub.store.transaction():
            row = self._hub.store.one(
                CheckRunRow,
                "change_check_run",
                id=before.id,
                name=ask.text("name", default=before.name),
                external_id=ask.text("external_id", default=before.external_id),
                details_url=ask.text("details_url", default=before.details_url or "") or None,
                **values,
            )
            self._tell(row, ask, actions=() if before.status == "completed" else ("",))
        return JSONResponse(self._document(row, ask))

    def _tell(self, row: CheckRunRow, ask: Ask, *, actions: tuple[str, ...]) -> None:
        """Told of when it is made and when it is completed, which may be the same moment."""
        done = ("completed",) if row.status == "completed" and actions else ()
        for action in (*filter(None, actions), *done):
            self._hub.events.tell_check_run(ask.repository, row, by=ask.actor.login, action=action)

    def _judgement(self, ask: Ask, *, before: CheckRunRow | None) -> dict[str, str | None]:
        """Status, conclusion and output after this request; a conclusion completes the run."""
        old = before.conclusion if before is not None else None
        conclusion = ask.text("conclusion", default=old or "") or None
        if conclusion is not None and conclusion not in _CONCLUSIONS.split():
            raise invalid(_RESOURCE, field="conclusion", code="invalid")
        status = ask.text("status", default=before.status if before is not None else "queued")
        status = "completed" if "conclusion" in ask.body and conclusion else status
        if status not in _STATUSES:
            raise invalid(_RESOURCE, field="status", code="invalid")
        if status == "completed" and conclusion is None:
            raise invalid(_RESOURCE, field="conclusion", code="missing_field")
        ended = ask.text("completed_at", default=self._hub.now())
        return {
            "status": status,
            "conclusion": conclusion if status == "completed" else None,
            "completed_at": ended if status == "completed" else None,
            **_output(ask.body.get("output"), before=before),
        }

    def _find(self, ask: Ask) -> CheckRunRow:
        row = self._hub.store.find(
            CheckRunRow, "find_check_run", repository_id=ask.repository.id, id=ask.number("id")
        )
        if row is None:
            raise not_found()
        return row

    def _document(self, row: CheckRunRow, ask: Ask) -> dict[str, Any]:
        return self._hub.shapes.check_run(row, repository=ask.repository)


def _app_of(ask: Ask) -> Installation:
    if not isinstance(ask.actor, Installation):
        raise ProblemError(403, "You must authenticate via a GitHub App.")
    return ask.actor


def _output(document: object, *, before: CheckRunRow | None) -> Mapping[str, str | None]:
    """Title and summary; GitHub wants both or neither."""
    if document is None:
        kept = (before.title, before.summary) if before is not None else (None, None)
        return {"title": kept[0], "summary": kept[1]}
    if not isinstance(document, dict):
        raise invalid(_RESOURCE, field="output", code="invalid")
    title, summary = document.get("title"), document.get("summary")
    if not isinstance(title, str) or not isinstance(summary, str):
        raise invalid(_RESOURCE, field="output", code="missing_field")
    for name, text in (("title", title), ("summary", summary)):
        if len(text) > LONGEST_OUTPUT:
            raise too_long(_RESOURCE, field=name, most=LONGEST_OUTPUT)
    return {"title": title, "summary": summary}
