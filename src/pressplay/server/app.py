"""The server's routes, and the two gates before them: who asks, and a path in one form."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pressplay.base.clocks import Clock
from pressplay.cluster.port import Key, Objects
from pressplay.server import discovery, failures, schemas
from pressplay.server.artifacts import Artifacts, ArtifactsApi
from pressplay.server.auth import Accounts, Identity
from pressplay.server.failures import Failure, Unauthorized
from pressplay.server.kubernetes import KubernetesApi
from pressplay.server.streaming import PodLogs

_LOG = logging.getLogger(__name__)
_OPEN = ("/healthz", "/version")
"""Paths that anybody may ask, as in Kubernetes' role system:public-info-viewer."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def build(
    *, objects: Objects, accounts: Accounts, pod_logs: PodLogs, artifacts: Artifacts, clock: Clock
) -> Starlette:
    """The ASGI application over a store. Without lifespan: what is handed in belongs to others."""
    kubernetes = KubernetesApi(
        objects=objects, pod_logs=pod_logs, schemas=schemas.load(), clock=clock
    )
    files = ArtifactsApi(objects=objects, artifacts=artifacts)
    known = discovery.documents()

    async def serve(request: Request) -> Response:
        path = request.scope["path"]
        if request.method == "GET" and path in known:
            return failures.json_response(known[path])
        return await kubernetes.answer(request)

    return Starlette(
        routes=[
            Route("/healthz", _healthy),
            Route("/artifacts/{namespace}/{key:path}", files.answer),
            Route("/{path:path}", serve, methods=_METHODS),
        ],
        middleware=[
            Middleware(OneForm),
            Middleware(Authentication, accounts=accounts, objects=objects),
        ],
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )


class OneForm:
    """Takes the slash off the end of a path: clients write it with and without."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)


class Authentication:
    """Finds out who asks, or answers 401; the identity is then in `request.state`."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts, objects: Objects) -> None:
        self._app = app
        self._accounts = accounts
        self._objects = objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        identity = self._accounts.identify(request.headers.get("authorization", ""))
        if identity is None or not await self._is_alive(identity):
            await failures.answer(Unauthorized("Unauthorized"))(scope, receive, send)
            return
        request.state.identity = identity
        await self._app(scope, receive, send)

    async def _is_alive(self, identity: Identity) -> bool:
        """A token dies with its account."""
        if identity.account is None:
            return True
        return await self._objects.get(Key("ServiceAccount", *identity.account)) is not None


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _refused(_request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    reason = {404: "NotFound", 405: "MethodNotAllowed"}.get(code, "BadRequest")
    return failures.answer(Failure(str(getattr(error, "detail", error)), code=code, reason=reason))


async def _broken(request: Request, error: Exception) -> Response:
    # The path alone: a query may hold anything.
    _LOG.error(
        "request_broken method=%s path=%s", request.method, request.scope["path"], exc_info=error
    )
    return failures.answer(Failure("internal error; see the server's log"))
