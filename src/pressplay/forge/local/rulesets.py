"""REST: rulesets, and the rules that bind one branch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import guarding
from pressplay.forge.local.answers import invalid, not_found
from pressplay.forge.local.asking import OPERATOR, Ask, Door, Hub, page, permission
from pressplay.forge.local.rows import RepositoryRow, RulesetRow

_METADATA = permission("metadata:read")
_RESOURCE = "RepositoryRuleset"
_ENFORCEMENTS = ("disabled", "active", "evaluate")
_ACTORS = ("Integration", "OrganizationAdmin", "RepositoryRole", "Team", "DeployKey", "User")
_MODES = ("always", "pull_request", "exempt")
_CAN = {"always": "always", "pull_request": "pull_requests_only", "exempt": "exempt", "": "never"}


class Rulesets:
    """Endpoints of rulesets; everybody may read them, as on GitHub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}"
        one = f"{base}/rulesets/{{id}}"
        branch = f"{base}/rules/branches/{{branch:path}}"
        return [
            door.route("GET", branch, needs=_METADATA, to=self.rules),
            door.route("GET", f"{base}/rulesets", needs=_METADATA, to=self.rulesets),
            door.route("GET", one, needs=_METADATA, to=self.ruleset),
            door.route("POST", f"{base}/rulesets", needs=OPERATOR, to=self.add),
            door.route("PUT", one, needs=OPERATOR, to=self.change),
            door.route("DELETE", one, needs=OPERATOR, to=self.drop),
        ]

    async def rules(self, ask: Ask) -> Response:
        """The rules of the active rulesets that name the branch."""
        found = []
        for row in guarding.rulesets_for(self._hub, ask.repository, ask.path("branch")):
            source = {
                "ruleset_source_type": "Repository",
                "ruleset_source": ask.repository.full_name,
                "ruleset_id": row.id,
            }
            found += [rule | source for rule in json.loads(row.document)["rules"]]
        return page(ask, found)

    async def rulesets(self, ask: Ask) -> Response:
        rows = self._hub.store.all(RulesetRow, "list_rulesets", repository_id=ask.repository.id)
        return page(ask, [self._summary(row, ask.repository) for row in rows])

    async def ruleset(self, ask: Ask) -> Response:
        return JSONResponse(self._document(self._find(ask), ask))

    async def add(self, ask: Ask) -> Response:
        row = self._hub.store.one(
            RulesetRow,
            "add_ruleset",
            repository_id=ask.repository.id,
            document=json.dumps(_checked(ask.body)),
            now=self._hub.now(),
        )
        return JSONResponse(self._document(row, ask), status_code=201)

    async def change(self, ask: Ask) -> Response:
        before = self._find(ask)
        document = _checked({**json.loads(before.document), **ask.body})
        row = self._hub.store.one(
            RulesetRow,
            "change_ruleset",
            id=before.id,
            document=json.dumps(document),
            now=self._hub.now(),
        )
        return JSONResponse(self._document(row, ask))

    async def drop(self, ask: Ask) -> Response:
        row = self._find(ask)
        self._hub.store.all(RulesetRow, "drop_ruleset", repository_id=row.repository_id, id=row.id)
        return Response(status_code=204)

    def _find(self, ask: Ask) -> RulesetRow:
        row = self._hub.store.find(
            RulesetRow, "find_ruleset", repository_id=ask.repository.id, id=ask.number("id")
        )
        if row is None:
            raise not_found()
        return row

    def _document(self, row: RulesetRow, ask: Ask) -> dict[str, Any]:
        """In full; `current_user_can_bypass` is about whoever asks."""
        document = json.loads(row.document)
        can = _CAN[guarding.bypass_of(row, hub=self._hub, actor=ask.actor)]
        more = {key: document[key] for key in ("conditions", "rules", "bypass_actors")}
        return self._summary(row, ask.repository) | more | {"current_user_can_bypass": can}

    def _summary(self, row: RulesetRow, repository: RepositoryRow) -> dict[str, Any]:
        shapes = self._hub.shapes
        url = f"{shapes.api}/repos/{repository.full_name}/rulesets/{row.id}"
        document = json.loads(row.document)
        return {
            "id": row.id,
            "name": document["name"],
            "target": document["target"],
            "source_type": "Repository",
            "source": repository.full_name,
            "enforcement": document["enforcement"],
            "node_id": f"RRS_{row.id}",
            "_links": {
                "self": {"href": url},
                "html": {"href": f"{shapes.html}/{repository.full_name}/rules/{row.id}"},
            },
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ruleset as GitHub reads them; raises ProblemError 422."""
    name, enforcement = body.get("name"), body.get("enforcement")
    if not isinstance(name, str) or not name.strip():
        raise invalid(_RESOURCE, field="name", code="missing_field")
    if enforcement not in _ENFORCEMENTS:
        raise invalid(_RESOURCE, field="enforcement", code="invalid")
    document = {
        "name": name,
        "target": body.get("target", "branch"),
        "enforcement": enforcement,
        "bypass_actors": body.get("bypass_actors", []),
        "conditions": body.get("conditions", {}),
        "rules": body.get("rules", []),
    }
    if not _is_conditions(document["conditions"]):
        raise invalid(_RESOURCE, field="conditions", code="invalid")
    _check_all(document["rules"], field="rules", fits=_is_rule)
    _check_all(document["bypass_actors"], field="bypass_actors", fits=_is_actor)
    return document


def _check_all(items: object, *, field: str, fits: Any) -> None:  # noqa: ANN401 - a predicate
    if not isinstance(items, list) or not all(isinstance(it, dict) and fits(it) for it in items):
        raise invalid(_RESOURCE, field=field, code="invalid")


def _is_conditions(conditions: object) -> bool:
    """Whether these are names of branches to take in and to leave out."""
    if not isinstance(conditions, dict) or not isinstance(conditions.get("ref_name", {}), dict):
        return False
    lists = conditions.get("ref_name", {}).values()
    return all(isinstance(it, list) and all(isinstance(x, str) for x in it) for it in lists)


def _is_rule(rule: Mapping[str, Any]) -> bool:
    parameters = rule.get("parameters", {})
    if not isinstance(rule.get("type"), str) or not isinstance(parameters, dict):
        return False
    if not isinstance(parameters.get("required_approving_review_count", 0), int):
        return False
    if rule["type"] != "required_status_checks":
        return True
    checks = parameters.get("required_status_checks")
    return isinstance(checks, list) and all(
        isinstance(it, dict) and isinstance(it.get("context"), str) for it in checks
    )


def _is_actor(actor: Mapping[str, Any]) -> bool:
    return actor.get("actor_type") in _ACTORS and actor.get("bypass_mode", "always") in _MODES
