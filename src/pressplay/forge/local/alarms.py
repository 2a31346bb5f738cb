"""The alarm: endpoints that merge, move refs or could do either. They do nothing but ring.

Whoever reaches one of them has a bug or a stolen token. The call is recorded, whoever made it, and
refused; that the list stays empty is what "never merges" means here.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pressplay.forge.local.answers import ProblemError, on_problem
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.rows import AlarmRow

_REPO = "/repos/{owner}/{repo}"
_PULL = f"{_REPO}/pulls/{{number}}"
_REST = (
    ("PUT", f"{_PULL}/merge"),
    ("PUT", f"{_PULL}/merge-async"),
    ("PUT", f"{_PULL}/update-branch"),
    ("PUT", f"{_PULL}/auto-merge"),
    ("POST", f"{_PULL}/auto-merge"),
    ("PUT", f"{_PULL}/merge-queue"),
    ("POST", f"{_PULL}/merge-queue"),
    ("POST", f"{_REPO}/merges"),
    ("POST", f"{_REPO}/merge-upstream"),
    ("POST", f"{_REPO}/merge-queue/{{rest:path}}"),
    ("PUT", f"{_REPO}/merge-queue/{{rest:path}}"),
    ("POST", f"{_REPO}/branches/{{branch:path}}/rename"),
    ("PUT", f"{_REPO}/contents/{{path:path}}"),
    ("DELETE", f"{_REPO}/contents/{{path:path}}"),
    ("PATCH", f"{_REPO}/git/refs/{{ref:path}}"),
    ("DELETE", f"{_REPO}/git/refs/{{ref:path}}"),
    ("POST", "/graphql"),
)
NOBODY = "nobody"


class Alarms:
    """Endpoints that must never be called."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def rest_routes(self) -> list[Route]:
        """Those below the REST address."""
        return [Route(path, self.ring, methods=[verb]) for verb, path in _REST]

    def root_routes(self) -> list[Route]:
        """GraphQL, where GitHub.com and GitHub Enterprise Server have it."""
        return [Route(path, self.ring, methods=["POST"]) for path in ("/graphql", "/api/graphql")]

    async def ring(self, request: Request) -> Response:
        """Record the call and refuse it; the body is not even read."""
        try:
            who = self._hub.actor(request).login
        except ProblemError:
            who = NOBODY
        self._hub.store.one(
            AlarmRow,
            "add_alarm",
            now=self._hub.now(),
            who=who,
            verb=request.method,
            path=request.url.path[:1000],
        )
        is_merge = request.url.path.endswith(("/merge", "/merge-async"))
        problem = ProblemError(
            405 if is_merge else 403,
            "Nothing merges here and no ref moves but by git; this call was recorded as an alarm",
        )
        return await on_problem(request, problem)
