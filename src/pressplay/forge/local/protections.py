"""REST: classic branch protection, which the operator sets and takes away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import guarding
from pressplay.forge.local.answers import ProblemError, invalid
from pressplay.forge.local.asking import OPERATOR, Ask, Door, Hub, permission
from pressplay.forge.local.defaults import PROTECTION
from pressplay.forge.local.rows import ProtectedRow, RepositoryRow

_NOT_PROTECTED = "Branch not protected"
_SWITCHES = (
    "required_linear_history allow_force_pushes allow_deletions block_creations "
    "required_conversation_resolution lock_branch allow_fork_syncing"
)
_REVIEW_SWITCHES = ("dismiss_stale_reviews", "require_code_owner_reviews")


class Protections:
    """Endpoints of classic branch protection."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        path = "/repos/{owner}/{repo}/branches/{branch:path}/protection"
        reading = permission("administration:read")
        return [
            door.route("GET", path, needs=reading, to=self.protection),
            door.route("PUT", path, needs=OPERATOR, to=self.protect),
            door.route("DELETE", path, needs=OPERATOR, to=self.unprotect),
        ]

    async def protection(self, ask: Ask) -> Response:
        settings = guarding.protection_of(self._hub, ask.repository, ask.path("branch"))
        if settings is None:
            raise ProblemError(404, _NOT_PROTECTED)
        return JSONResponse(self._document(settings, ask))

    async def protect(self, ask: Ask) -> Response:
        settings = _checked(ask.body)
        protect(self._hub, ask.repository, ask.path("branch"), settings=settings)
        return JSONResponse(self._document(settings, ask))

    async def unprotect(self, ask: Ask) -> Response:
        gone = self._hub.store.all(
            ProtectedRow,
            "unprotect_branch",
            repository_id=ask.repository.id,
            branch=ask.path("branch"),
        )
        if not gone:
            raise ProblemError(404, _NOT_PROTECTED)
        return Response(status_code=204)

    def _document(self, settings: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        api = f"{self._hub.shapes.api}/repos/{ask.repository.full_name}"
        url = f"{api}/branches/{ask.path('branch')}/protection"
        document: dict[str, Any] = {
            "url": url,
            "enforce_admins": {
                "url": f"{url}/enforce_admins",
                "enabled": bool(settings.get("enforce_admins")),
            },
            **{name: {"enabled": bool(settings.get(name))} for name in _SWITCHES.split()},
        }
        reviews, checks = _reviews(settings, url=url), _checks(settings, url=url)
        restrictions = settings.get("restrictions")
        if reviews is not None:
            document["required_pull_request_reviews"] = reviews
        if checks is not None:
            document["required_status_checks"] = checks
        if restrictions is not None:
            document["restrictions"] = self._restrictions(restrictions, url=url)
        return document

    def _restrictions(self, restrictions: Mapping[str, Any], *, url: str) -> dict[str, Any]:
        links = {
            "url": f"{url}/restrictions",
            **{f"{it}_url": f"{url}/restrictions/{it}" for it in ("users", "teams", "apps")},
        }
        users = [self._hub.shapes.user(login) for login in restrictions.get("users", ())]
        return links | {"users": users, "teams": [], "apps": []}


def protect(
    hub: Hub, repository: RepositoryRow, branch: str, *, settings: Mapping[str, Any] = PROTECTION
) -> None:
    """Protect a branch, which need not exist yet; idempotent."""
    hub.store.one(
        ProtectedRow,
        "protect_branch",
        repository_id=repository.id,
        branch=branch,
        settings=json.dumps(dict(settings)),
    )


def in_branch(settings: Mapping[str, Any] | None, *, protected: bool) -> dict[str, Any]:
    """What a branch's own document says of its protection."""
    checks = (settings or {}).get("required_status_checks") or {}
    everyone = "everyone" if (settings or {}).get("enforce_admins") else "non_admins"
    return {
        "enabled": protected,
        "required_status_checks": {
            "enforcement_level": everyone if checks else "off",
            "contexts": [it["context"] for it in checks.get("checks", ())],
            "checks": list(checks.get("checks", ())),
        },
    }


def _reviews(settings: Mapping[str, Any], *, url: str) -> dict[str, Any] | None:
    reviews = settings.get("required_pull_request_reviews")
    if reviews is None:
        return None
    return {
        "url": f"{url}/required_pull_request_reviews",
        **{name: bool(reviews.get(name)) for name in _REVIEW_SWITCHES},
        "require_last_push_approval": bool(reviews.get("require_last_push_approval")),
        "required_approving_review_count": reviews.get("required_approving_review_count", 0),
    }


def _checks(settings: Mapping[str, Any], *, url: str) -> dict[str, Any] | None:
    checks = settings.get("required_status_checks")
    if checks is None:
        return None
    return {
        "url": f"{url}/required_status_checks",
        "strict": bool(checks.get("strict")),
        "contexts": [it["context"] for it in checks["checks"]],
        "contexts_url": f"{url}/required_status_checks/contexts",
        "checks": checks["checks"],
    }


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    """GitHub's body, whose four first fields must be there; raises ProblemError 422."""
    for name in PROTECTION:
        if name not in body:
            raise invalid("ProtectedBranch", field=name, code="missing_field")
        allowed = (bool, type(None)) if name == "enforce_admins" else (dict, type(None))
        if not isinstance(body[name], allowed):
            raise invalid("ProtectedBranch", field=name, code="invalid")
    settings = {name: body[name] for name in (*PROTECTION, *_SWITCHES.split()) if name in body}
    checks = body["required_status_checks"]
    if checks is not None:
        settings["required_status_checks"] = {
            "strict": checks.get("strict") is True,
            "checks": _listed(checks),
        }
    return settings


def _listed(checks: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Required checks in the newer of GitHub's two forms."""
    given = checks.get("checks")
    items = given or [{"context": it} for it in checks.get("contexts", ())]
    if not all(isinstance(it, dict) and isinstance(it.get("context"), str) for it in items):
        raise invalid("ProtectedBranch", field="required_status_checks", code="invalid")
    return [{"context": it["context"], "app_id": it.get("app_id")} for it in items]
