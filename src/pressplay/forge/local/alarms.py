"""The alarm: endpoints that merge, move refs or could do either. They do nothing but ring.

Whoever reaches one of them has a bug or a stolen token. The call is recorded, whoever made it, and
refused; that the list stays empty is what "never merges" means here. One of them has a person's
side: a person may merge a pull request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pressplay.forge.local.actors import Person
from pressplay.forge.local.answers import ProblemError, on_problem
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.rows import AlarmRow

_REPO = "/repos/{owner}/{repo}"
_PULL = f"{_REPO}/pulls/{{number}}"
REST = (
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

    def __init__(self, hub: Hub, *, merge: Callable[[Request], Awaitable[Response]]) -> None:
        self._hub = hub
        self._merge = merge

    def rest_routes(self) -> list[Route]:
        """Those below the REST address."""
        return [
            Route(f"{_PULL}/merge", self.merge, methods=["PUT"]),
            *(Route(path, self.ring, methods=[verb]) for verb, path in REST),
        ]

    def root_routes(self) -> list[Route]:
        """GraphQL, where GitHub.com and GitHub Enterprise Server have it."""
        return [Route(path, self.ring, methods=["POST"]) for path in ("/graphql", "/api/graphql")]

    async def merge(self, request: Request) -> Response:
        """Let a person through to the merge; ring for everybody else."""
        try:
            is_person = isinstance(self._hub.actor(request), Person)
        except ProblemError:
            is_person = False
        return await (self._merge if is_person else self.ring)(request)

    async def ring(self, request: Request) -> Response:
        """Record the call and refuse it; the body is not even read."""
        try:
            who = self._hub.actor(request).login
        except ProblemError:
            who = NOBODY
        record(self._hub, who=who, verb=request.method, path=request.url.path)
        is_merge = request.url.path.endswith(("/merge", "/merge-async"))
        problem = ProblemError(
            405 if is_merge else 403,
            "No App merges here and no ref moves but by git; this call was recorded as an alarm",
        )
        return await on_problem(request, problem)


def record(hub: Hub, *, who: str, verb: str, path: str) -> None:
    """Put a call that must never happen on record."""
    hub.store.one(AlarmRow, "add_alarm", now=hub.now(), who=who, verb=verb, path=path[:1000])
