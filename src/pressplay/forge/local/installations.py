"""REST: what an App does with its own signed statement: find its installation, mint a token."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.base import clocks
from pressplay.forge.local import apps
from pressplay.forge.local.actors import App, covers
from pressplay.forge.local.answers import ProblemError, not_found
from pressplay.forge.local.asking import APP, Ask, Door, Hub
from pressplay.forge.local.rows import AppRow, InstallationRow, RepositoryRow, TokenRow


class Installations:
    """Endpoints of Apps."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        minting = "/app/installations/{id}/access_tokens"
        return [
            door.route("GET", "/app", needs=APP, to=self.app),
            door.route(
                "GET", "/repos/{owner}/{repo}/installation", needs=APP, to=self.installation
            ),
            door.route("POST", minting, needs=APP, to=self.mint),
        ]

    async def app(self, ask: Ask) -> Response:
        return JSONResponse(self._hub.shapes.app(_app_of(ask)))

    async def installation(self, ask: Ask) -> Response:
        app = _app_of(ask)
        row = self._hub.store.find(
            InstallationRow,
            "find_installation_for_account",
            app_id=app.id,
            account=ask.repository.owner,
        )
        if row is None:
            raise not_found()
        return JSONResponse(self._hub.shapes.installation(row, app=app))

    async def mint(self, ask: Ask) -> Response:
        app = _app_of(ask)
        row = self._hub.store.find(InstallationRow, "find_installation", id=ask.number("id"))
        if row is None or row.app_id != app.id:
            raise not_found()
        repositories = self._repositories(row, ask.body)
        permissions = _permissions(app, ask.body.get("permissions"))
        token = apps.new_token()
        now = self._hub.clock.now()
        expires_at = clocks.to_text(now + apps.TOKEN_LIFETIME)
        self._hub.store.all(TokenRow, "drop_expired_tokens", now=clocks.to_text(now))
        self._hub.store.one(
            TokenRow,
            "add_token",
            hash=apps.token_hash(token),
            installation_id=row.id,
            app_id=app.id,
            repositories=json.dumps([it.id for it in repositories]),
            permissions=json.dumps(permissions),
            expires_at=expires_at,
        )
        return JSONResponse(
            {
                "token": token,
                "expires_at": expires_at,
                "permissions": {"metadata": "read", **permissions},
                "repository_selection": "selected",
                "repositories": [self._hub.shapes.repository(it) for it in repositories],
            },
            status_code=201,
        )

    def _repositories(
        self, row: InstallationRow, body: Mapping[str, Any]
    ) -> Sequence[RepositoryRow]:
        """Those asked for, by name or id; all of the account's where none are named."""
        present = self._hub.store.all(RepositoryRow, "list_repositories_of", owner=row.account)
        names, numbers = body.get("repositories"), body.get("repository_ids")
        if names is None and numbers is None:
            return present
        wanted = {str(name).lower() for name in names or ()} | {str(it) for it in numbers or ()}
        chosen = [it for it in present if it.name.lower() in wanted or str(it.id) in wanted]
        if not chosen or len(chosen) < len(wanted):
            raise ProblemError(
                422,
                "There is at least one repository that does not exist or is not accessible to the "
                "parent installation.",
            )
        return chosen


def _app_of(ask: Ask) -> AppRow:
    if not isinstance(ask.actor, App):
        raise ProblemError(401, "A JSON web token could not be decoded")
    return ask.actor.app


def _permissions(app: AppRow, wanted: object) -> dict[str, str]:
    """What the token carries: what was asked for and granted; all that is granted if nothing was.

    As on GitHub, asking for more than is granted is refused and not cut down in silence.
    """
    granted = app.granted()
    if wanted is None:
        return granted
    if not isinstance(wanted, dict):
        raise ProblemError(422, "Invalid permissions")
    for name, level in wanted.items():
        if not covers(granted, name=str(name), level=str(level)):
            raise ProblemError(
                422, "The permissions requested are not granted to this installation."
            )
    return {str(name): str(level) for name, level in wanted.items()}
