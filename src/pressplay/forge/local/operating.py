"""What only the operator does: make repositories and Apps, give permissions, protect, read alarms.

GitHub's own paths where GitHub has them, `/_pressplay/…` where it has a settings page instead.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import apps, looking, protections, roles
from pressplay.forge.local.answers import ProblemError, invalid
from pressplay.forge.local.asking import OPERATOR, Ask, Door, Hub, Needs, page
from pressplay.forge.local.bare import Span
from pressplay.forge.local.rows import (
    AlarmRow,
    AppRow,
    BranchesRow,
    CollaboratorRow,
    InstallationRow,
    PullRow,
    RepositoryRow,
)

PERSON = Needs("token")
"""The operator, also in somebody else's name; a token has no repository here and is refused."""

_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_BRANCH = re.compile(r"(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}(?<![/.])")
_ROLES = {
    "pull": "read",
    "triage": "triage",
    "push": "write",
    "maintain": "maintain",
    "admin": "admin",
}
"""GitHub's word for what is given, and for the role that it makes."""


class Operating:
    """Endpoints of the operator."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def rest_routes(self, door: Door) -> list[Route]:
        """Those that GitHub has as well."""
        base = "/repos/{owner}/{repo}"
        collaborator = f"{base}/collaborators/{{login}}"
        return [
            door.route("GET", "/user/repos", needs=PERSON, to=self.repositories),
            door.route("POST", "/user/repos", needs=PERSON, to=self.add_repository),
            door.route("PUT", collaborator, needs=OPERATOR, to=self.set_collaborator),
            door.route("DELETE", collaborator, needs=OPERATOR, to=self.drop_collaborator),
        ]

    def root_routes(self, door: Door) -> list[Route]:
        """Those that are only ours."""
        pull = "/_pressplay/repos/{owner}/{repo}/pulls/{number}"
        auto_merge, draft = f"{pull}/auto-merge", f"{pull}/draft"
        return [
            door.route("GET", "/_pressplay/alarms", needs=OPERATOR, to=self.alarms),
            door.route("GET", "/_pressplay/apps", needs=OPERATOR, to=self.apps),
            door.route("POST", "/_pressplay/apps", needs=OPERATOR, to=self.add_app),
            door.route("POST", "/_pressplay/apps/{slug}/key", needs=OPERATOR, to=self.change_key),
            door.route("PUT", auto_merge, needs=PERSON, to=self.set_auto_merge),
            door.route("PUT", draft, needs=PERSON, to=self.set_draft),
        ]

    async def repositories(self, ask: Ask) -> Response:
        rows = self._hub.store.all(RepositoryRow, "list_repositories")
        return page(ask, [self._hub.shapes.repository(row) for row in rows])

    async def add_repository(self, ask: Ask) -> Response:
        """A repository of the asking person's; Apps are installed on it and its default branch
        is protected before anybody can push."""
        name = ask.text("name")
        if _NAME.fullmatch(name) is None or name.endswith(".git"):
            raise invalid("Repository", field="name", code="invalid")
        owner = self._hub.shapes.user(ask.actor.login)["login"]
        if self._hub.store.find(RepositoryRow, "find_repository", owner=owner, name=name):
            raise invalid("Repository", message="name already exists on this account", field="name")
        branch = ask.text("default_branch", default="main")
        if _BRANCH.fullmatch(branch) is None:
            raise invalid("Repository", field="default_branch", code="invalid")
        with self._hub.store.transaction():
            row = self._hub.store.one(
                RepositoryRow,
                "add_repository",
                owner=owner,
                name=name,
                description=ask.text("description", default=""),
                private=int(ask.body.get("private") is True),
                default_branch=branch,
                now=self._hub.now(),
            )
            protections.protect(self._hub, row, branch)
            self._install_everywhere()
        await self._hub.git.create(row.id, default_branch=branch)
        return JSONResponse(self._hub.shapes.repository(row), status_code=201)

    async def apps(self, ask: Ask) -> Response:
        rows = self._hub.store.all(AppRow, "list_apps")
        return page(ask, [self._hub.shapes.app(row) for row in rows])

    async def add_app(self, ask: Ask) -> Response:
        """An App on all repositories. `pem` is answered once, when it is made; a known slug gets
        the permissions given and keeps its key."""
        slug, granted = ask.text("slug"), ask.body.get("permissions")
        if _SLUG.fullmatch(slug) is None:
            raise invalid("App", field="slug", code="invalid")
        if not isinstance(granted, dict):
            raise invalid("App", field="permissions", code="missing_field")
        permissions = json.dumps({str(name): str(level) for name, level in granted.items()})
        known = self._hub.store.find(AppRow, "find_app_by_slug", slug=slug)
        if known is not None:
            row = self._hub.store.one(
                AppRow, "change_app_permissions", id=known.id, permissions=permissions
            )
            return JSONResponse(self._hub.shapes.app(row))
        pair = apps.new_key()
        with self._hub.store.transaction():
            row = self._hub.store.one(
                AppRow,
                "add_app",
                slug=slug,
                name=ask.text("name", default=slug),
                permissions=permissions,
                public_key=pair.public_pem,
                now=self._hub.now(),
            )
            self._install_everywhere()
        document = self._hub.shapes.app(row) | {"pem": pair.private_pem.reveal()}
        return JSONResponse(document, status_code=201)

    async def change_key(self, ask: Ask) -> Response:
        """A fresh key for an App; the old one is worth nothing from now on."""
        known = self._hub.store.find(AppRow, "find_app_by_slug", slug=ask.path("slug"))
        if known is None:
            raise ProblemError(404, f"No App {ask.path('slug')}")
        pair = apps.new_key()
        row = self._hub.store.one(AppRow, "change_app_key", id=known.id, public_key=pair.public_pem)
        return JSONResponse(self._hub.shapes.app(row) | {"pem": pair.private_pem.reveal()})

    async def set_collaborator(self, ask: Ask) -> Response:
        level = _ROLES.get(ask.text("permission", default="push"))
        if level is None:
            raise invalid("Collaborator", field="permission", code="invalid")
        login = self._hub.shapes.user(ask.path("login"))["login"]
        self._hub.store.one(
            CollaboratorRow,
            "set_collaborator",
            repository_id=ask.repository.id,
            login=login,
            permission=level,
        )
        return Response(status_code=204)

    async def drop_collaborator(self, ask: Ask) -> Response:
        self._hub.store.all(
            CollaboratorRow,
            "drop_collaborator",
            repository_id=ask.repository.id,
            login=ask.path("login"),
        )
        return Response(status_code=204)

    async def set_auto_merge(self, ask: Ask) -> Response:
        """Arm or disarm; here it stays a flag, as nothing merges by itself."""
        row = await self._writable_pull(ask)
        enabled = ask.body.get("enabled") is True
        span = await looking.span_of(self._hub, row)
        with self._hub.store.transaction():
            self._hub.store.one(
                BranchesRow,
                "set_auto_merge",
                issue_id=row.issue_id,
                auto_merge=int(enabled),
                auto_merge_by=ask.actor.login if enabled else None,
                auto_merge_method=ask.text("merge_method", default="merge") if enabled else None,
            )
            if bool(row.auto_merge) != enabled:
                action = "auto_merge_enabled" if enabled else "auto_merge_disabled"
                reason = {} if enabled else {"reason": "Disabled by a person"}
                self._tell(row, ask, action=action, span=span, **reason)
        return Response(status_code=204)

    async def set_draft(self, ask: Ask) -> Response:
        """What GitHub offers on its page and in GraphQL only."""
        row = await self._writable_pull(ask)
        draft = ask.body.get("draft") is True
        span = await looking.span_of(self._hub, row)
        with self._hub.store.transaction():
            self._hub.store.one(BranchesRow, "set_draft", issue_id=row.issue_id, draft=int(draft))
            if bool(row.draft) != draft:
                action = "converted_to_draft" if draft else "ready_for_review"
                self._tell(row, ask, action=action, span=span)
        return Response(status_code=204)

    async def _writable_pull(self, ask: Ask) -> PullRow:
        row = await looking.find_pull(self._hub, ask.repository, ask.number())
        if not roles.may_write(self._hub, ask.repository, ask.actor):
            raise ProblemError(403, "You must have push access to do this")
        if row.state != "open":
            raise ProblemError(422, "Pull request is closed")
        return row

    def _tell(self, row: PullRow, ask: Ask, *, action: str, span: Span, **parts: str) -> None:
        now = self._hub.store.one(
            PullRow, "find_pull", repository_id=row.repository_id, number=row.number
        )
        self._hub.events.tell_pull(
            ask.repository, now, by=ask.actor.login, action=action, span=span, **parts
        )

    async def alarms(self, _ask: Ask) -> Response:
        return JSONResponse([asdict(row) for row in self._hub.store.all(AlarmRow, "list_alarms")])

    def _install_everywhere(self) -> None:
        """Every App on every account that has a repository; inside a transaction."""
        owners = {it.owner for it in self._hub.store.all(RepositoryRow, "list_repositories")}
        for app in self._hub.store.all(AppRow, "list_apps"):
            for owner in sorted(owners):
                self._hub.store.all(
                    InstallationRow,
                    "add_installation",
                    app_id=app.id,
                    account=owner,
                    now=self._hub.now(),
                )
