"""REST: webhooks of Apps and of repositories, and what was delivered to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local.actors import App
from pressplay.forge.local.answers import ProblemError, invalid, not_found
from pressplay.forge.local.asking import APP, LARGEST_PAGE, OPERATOR, Ask, Door, Hub, page
from pressplay.forge.local.rows import AppRow, DeliveryRow, HookRow, RepositoryRow

EVENTS = (
    "check_run issue_comment issues ping pull_request pull_request_review "
    "pull_request_review_comment push"
)
"""What is told of here."""

STARS = "********"
_RESOURCE = "Hook"


class Hooks:
    """Endpoints of webhooks: an App's own, and those that the operator gives a repository."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        hooks = "/repos/{owner}/{repo}/hooks"
        one = f"{hooks}/{{hook}}"
        return [
            door.route("GET", "/app/hook/config", needs=APP, to=self.config),
            door.route("PATCH", "/app/hook/config", needs=APP, to=self.change_config),
            *self._of_deliveries(door, "/app/hook", needs=APP),
            door.route("GET", hooks, needs=OPERATOR, to=self.hooks),
            door.route("POST", hooks, needs=OPERATOR, to=self.add),
            door.route("POST", f"{one}/pings", needs=OPERATOR, to=self.ping),
            *self._of_deliveries(door, one, needs=OPERATOR),
            door.route("GET", one, needs=OPERATOR, to=self.hook),
            door.route("PATCH", one, needs=OPERATOR, to=self.change),
            door.route("DELETE", one, needs=OPERATOR, to=self.drop),
        ]

    def root_routes(self, door: Door) -> list[Route]:
        """An App's settings page on GitHub."""
        path = "/_pressplay/apps/{slug}/hook"
        return [door.route("PUT", path, needs=OPERATOR, to=self.set_app_hook)]

    def _of_deliveries(self, door: Door, base: str, *, needs: Any) -> list[Route]:  # noqa: ANN401
        one = f"{base}/deliveries/{{id}}"
        return [
            door.route("GET", f"{base}/deliveries", needs=needs, to=self.deliveries),
            door.route("GET", one, needs=needs, to=self.delivery),
            door.route("POST", f"{one}/attempts", needs=needs, to=self.redeliver),
        ]

    async def config(self, ask: Ask) -> Response:
        return JSONResponse(_config(self._find(ask)))

    async def change_config(self, ask: Ask) -> Response:
        return JSONResponse(_config(self._save(self._find(ask), {"config": ask.body})))

    async def set_app_hook(self, ask: Ask) -> Response:
        """The webhook of an App with the events that it wants; the first one gets a ping."""
        app = self._hub.store.find(AppRow, "find_app_by_slug", slug=ask.path("slug"))
        if app is None:
            raise ProblemError(404, f"No App {ask.path('slug')}")
        known = self._hub.store.find(HookRow, "find_hook_of_app", app_id=app.id)
        with self._hub.store.transaction():
            row = self._save(known, ask.body, app_id=app.id)
            if known is None:
                self._hub.events.ping(row, repository=None, document=self._ping_document(row))
        return Response(status_code=204)

    async def hooks(self, ask: Ask) -> Response:
        rows = self._hub.store.all(
            HookRow, "list_hooks_of_repository", repository_id=ask.repository.id
        )
        return page(ask, [self._document(row, ask.repository) for row in rows])

    async def add(self, ask: Ask) -> Response:
        with self._hub.store.transaction():
            row = self._save(None, ask.body, repository_id=ask.repository.id)
            self._ping(row, ask)
        return JSONResponse(self._document(row, ask.repository), status_code=201)

    async def hook(self, ask: Ask) -> Response:
        return JSONResponse(self._document(self._find(ask), ask.repository))

    async def change(self, ask: Ask) -> Response:
        return JSONResponse(self._document(self._save(self._find(ask), ask.body), ask.repository))

    async def drop(self, ask: Ask) -> Response:
        self._hub.store.all(HookRow, "drop_hook", id=self._find(ask).id)
        return Response(status_code=204)

    async def ping(self, ask: Ask) -> Response:
        self._ping(self._find(ask), ask)
        return Response(status_code=204)

    async def deliveries(self, ask: Ask) -> Response:
        """The newest first; `cursor` is the id below which the next page begins."""
        hook = self._find(ask)
        size, cursor = ask.query("per_page", default="30"), ask.query("cursor")
        if (
            not size.isdigit()
            or not 1 <= int(size) <= LARGEST_PAGE
            or not (cursor or "1").isdigit()
        ):
            raise ProblemError(400, "Invalid per_page or cursor")
        rows = self._hub.store.all(
            DeliveryRow,
            "list_deliveries",
            hook_id=hook.id,
            before=int(cursor) if cursor else 2**62,
            count=int(size) + 1,
        )
        shown, headers = rows[: int(size)], {}
        if len(rows) > len(shown):
            url = ask.request.url.include_query_params(per_page=size, cursor=shown[-1].id)
            headers["Link"] = f'<{url}>; rel="next"'
        return JSONResponse([_delivery(row) for row in shown], headers=headers)

    async def delivery(self, ask: Ask) -> Response:
        hook = self._find(ask)
        row = self._delivery(hook, ask)
        return JSONResponse(
            _delivery(row)
            | {
                "url": hook.url,
                "request": {
                    "headers": json.loads(row.request_headers),
                    "payload": json.loads(row.payload),
                },
                "response": {
                    "headers": json.loads(row.response_headers),
                    "payload": row.response_body,
                },
            }
        )

    async def redeliver(self, ask: Ask) -> Response:
        """The same once more, under the same GUID."""
        hook = self._find(ask)
        before = self._delivery(hook, ask)
        self._hub.store.one(
            DeliveryRow,
            "add_delivery",
            hook_id=hook.id,
            guid=before.guid,
            event=before.event,
            action=before.action,
            repository_id=before.repository_id,
            installation_id=before.installation_id,
            payload=before.payload,
            redelivery=1,
            now=self._hub.now(),
        )
        self._hub.events.waiting.set()
        return JSONResponse({}, status_code=202)

    def _find(self, ask: Ask) -> HookRow:
        """The App's own hook, or the one of the repository that the path names."""
        if isinstance(ask.actor, App):
            row = self._hub.store.find(HookRow, "find_hook_of_app", app_id=ask.actor.app.id)
        else:
            row = self._hub.store.find(HookRow, "find_hook", id=ask.number("hook"))
            if row is not None and row.repository_id != ask.repository.id:
                row = None
        if row is None:
            raise not_found()
        return row

    def _delivery(self, hook: HookRow, ask: Ask) -> DeliveryRow:
        row = self._hub.store.find(
            DeliveryRow, "find_delivery", hook_id=hook.id, id=ask.number("id")
        )
        if row is None:
            raise not_found()
        return row

    def _save(
        self,
        before: HookRow | None,
        body: Mapping[str, Any],
        *,
        app_id: int | None = None,
        repository_id: int | None = None,
    ) -> HookRow:
        """The hook with what the body says, and otherwise as it was."""
        values = _checked(body, before=before)
        if before is not None:
            return self._hub.store.one(
                HookRow, "change_hook", id=before.id, now=self._hub.now(), **values
            )
        return self._hub.store.one(
            HookRow,
            "add_hook",
            app_id=app_id,
            repository_id=repository_id,
            now=self._hub.now(),
            **values,
        )

    def _ping(self, row: HookRow, ask: Ask) -> None:
        self._hub.events.ping(
            row, repository=ask.repository, document=self._ping_document(row, ask.repository)
        )

    def _ping_document(
        self, row: HookRow, repository: RepositoryRow | None = None
    ) -> dict[str, Any]:
        if repository is not None:
            return self._document(row, repository)
        return {**_hook(row), "type": "App", "app_id": row.app_id}

    def _document(self, row: HookRow, repository: RepositoryRow) -> dict[str, Any]:
        url = f"{self._hub.shapes.api}/repos/{repository.full_name}/hooks/{row.id}"
        return {
            **_hook(row),
            "type": "Repository",
            "url": url,
            "test_url": f"{url}/test",
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None},
        }


def _hook(row: HookRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": "web",
        "active": bool(row.active),
        "events": list(row.event_names()),
        "config": _config(row),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _config(row: HookRow) -> dict[str, str]:
    secret = {"secret": STARS} if row.secret else {}
    return {
        "content_type": "json",
        "insecure_ssl": str(row.insecure_ssl),
        "url": row.url,
        **secret,
    }


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "guid": row.guid,
        "delivered_at": row.delivered_at,
        "redelivery": bool(row.redelivery),
        "duration": row.duration,
        "status": row.status,
        "status_code": row.status_code,
        "event": row.event,
        "action": row.action,
        "installation_id": row.installation_id,
        "repository_id": row.repository_id,
        "throttled_at": None,
    }


def _checked(body: Mapping[str, Any], *, before: HookRow | None) -> dict[str, Any]:
    """The columns that a body makes; raises ProblemError 422."""
    config = body.get("config", {})
    if not isinstance(config, dict):
        raise invalid(_RESOURCE, field="config", code="invalid")
    url = config.get("url", before.url if before else "")
    if not _is_address(url):
        raise invalid(_RESOURCE, field="url", code="invalid")
    if config.get("content_type", "json") != "json":
        raise invalid(_RESOURCE, field="content_type", code="invalid")
    secret = config.get("secret", before.secret if before else "")
    events = body.get("events", list(before.event_names()) if before else ["push"])
    if not isinstance(events, list) or not {"*", *EVENTS.split()}.issuperset(map(str, events)):
        raise invalid(_RESOURCE, field="events", code="invalid")
    insecure = config.get("insecure_ssl", before.insecure_ssl if before else 0)
    return {
        "url": url,
        "secret": before.secret if before and secret == STARS else str(secret or ""),
        "insecure_ssl": int(str(insecure) == "1"),
        "events": json.dumps(sorted(set(events))),
        "active": int(body.get("active", before.active if before else True) is not False),
    }


def _is_address(url: object) -> bool:
    """Whether events can be sent there by HTTP."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
