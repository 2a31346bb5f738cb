"""One request as an endpoint sees it: who asks, about which repository, with what body.

`Door` makes routes whose endpoint is reached only by those who may; each route says what it needs
where it is declared.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.forge.local.actors import Actor, App, Installation, Person
from pressplay.forge.local.answers import NOT_FOR_APPS, ProblemError, invalid, not_found, too_long
from pressplay.forge.local.apps import Gate
from pressplay.forge.local.bare import BareRepositories
from pressplay.forge.local.events import Events
from pressplay.forge.local.rows import RepositoryRow
from pressplay.forge.local.shapes import Shapes
from pressplay.forge.local.storage import Storage
from pressplay.forge.local.threads import ThreadShapes

SPEAKING_FOR = "X-Pressplay-As"
LONGEST_BODY = 1024 * 1024
LARGEST_PAGE = 100
LONGEST_TEXT = 65_536
"""GitHub's limit for a comment, a review or a description, in characters."""


@dataclass(frozen=True)
class Hub:
    """What every endpoint works with."""

    store: Storage
    clock: Clock
    git: BareRepositories
    gate: Gate
    shapes: Shapes
    threads: ThreadShapes
    events: Events
    operator_login: str
    looking: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """Held, by repository, while its pull requests are compared with its branches."""

    def now(self) -> str:
        return clocks.to_text(self.clock.now())

    def actor(self, request: Request) -> Actor:
        """Who sent the request; raises ProblemError 401."""
        return self.gate.actor(
            request.headers.get("authorization", ""),
            now=self.clock.now(),
            speaking_for=request.headers.get(SPEAKING_FOR, ""),
        )

    def repository(self, owner: str, name: str) -> RepositoryRow:
        """The repository; raises ProblemError 404."""
        row = self.store.find(RepositoryRow, "find_repository", owner=owner, name=name)
        if row is None:
            raise not_found()
        return row


@dataclass(frozen=True)
class Needs:
    """Who reaches an endpoint; a token needs any one of the permissions (name, level)."""

    who: Literal["token", "app", "operator"]
    any_of: tuple[tuple[str, str], ...] = ()


OPERATOR = Needs("operator")
APP = Needs("app")


def permission(*pairs: str) -> Needs:
    """Needs from texts such as `issues:write`; people need nothing more."""
    return Needs("token", tuple((it.split(":")[0], it.split(":")[1]) for it in pairs))


@dataclass(frozen=True)
class Ask:
    """An admitted request."""

    request: Request
    actor: Actor
    body: Mapping[str, Any]
    row: RepositoryRow | None

    @property
    def repository(self) -> RepositoryRow:
        """The repository that the path names; only on routes whose path names one."""
        if self.row is None:
            raise LookupError("this route's path names no repository")
        return self.row

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def number(self, name: str = "number") -> int:
        """A numeric part of the path; raises ProblemError 404 for other text."""
        text = self.path(name)
        if not (text.isascii() and text.isdigit() and len(text) < 18):
            raise not_found()
        return int(text)

    def query(self, name: str, *, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def text(self, name: str, *, default: str | None = None) -> str:
        """A text of the body; raises ProblemError 422 when it must be there and is not."""
        value = self.body.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise invalid(self.request.url.path, field=name, code="missing_field")
        if len(value) > LONGEST_TEXT:
            raise too_long(self.request.url.path, field=name, most=LONGEST_TEXT)
        return value


Endpoint = Callable[[Ask], Awaitable[Response]]


class Door:
    """Makes routes; everything that a route needs is checked before its endpoint runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def route(self, verb: str, path: str, *, needs: Needs, to: Endpoint) -> Route:
        """A route that reaches `to` with an admitted request."""
        return Route(path, self.endpoint(needs=needs, to=to), methods=[verb])

    def endpoint(self, *, needs: Needs, to: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """What Starlette calls: `to` behind the door."""

        async def endpoint(request: Request) -> Response:
            return await to(await self._admit(request, needs))

        return endpoint

    async def _admit(self, request: Request, needs: Needs) -> Ask:
        actor = self._hub.actor(request)
        names = request.path_params
        if any("\0" in str(it) for it in (*names.values(), *request.query_params.values())):
            raise not_found()  # no program takes it as an argument
        row = None
        if "owner" in names and "repo" in names:
            row = self._hub.repository(names["owner"], names["repo"])
        _check(actor, needs=needs, row=row)
        return Ask(request=request, actor=actor, body=await _body(request), row=row)


def _check(actor: Actor, *, needs: Needs, row: RepositoryRow | None) -> None:
    match actor:
        case Person(is_operator=is_operator):
            if needs.who == "app" or (needs.who == "operator" and not is_operator):
                raise ProblemError(403, "This is for the operator or for an App, not for a person")
        case App():
            if needs.who != "app":
                raise ProblemError(401, "An App's own statement opens no repository; mint a token")
        case Installation():
            _check_token(actor, needs=needs, row=row)


def _check_token(actor: Installation, *, needs: Needs, row: RepositoryRow | None) -> None:
    if row is not None and row.id not in actor.repositories:
        raise not_found()
    if needs.who != "token" or row is None:
        raise ProblemError(403, NOT_FOR_APPS)
    if not any(actor.may(name, level) for name, level in needs.any_of):
        raise ProblemError(403, NOT_FOR_APPS)


async def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object in the body; empty where there is none."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > LONGEST_BODY:
            raise ProblemError(413, "The body is larger than 1 MiB")
    if not received:
        return {}
    try:
        document = json.loads(received)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except ValueError as error:
        raise ProblemError(400, "Problems parsing JSON") from error
    if not isinstance(document, dict):
        raise ProblemError(400, "Body should be a JSON object")
    return document


def page(ask: Ask, documents: Sequence[Mapping[str, Any]], *, inside: str = "") -> Response:
    """One page of a list, with GitHub's `Link` header; `inside` wraps it as `{total_count, …}`."""
    size = min(max(_whole(ask.query("per_page"), default=30), 1), LARGEST_PAGE)
    number = max(_whole(ask.query("page"), default=1), 1)
    shown = list(documents[(number - 1) * size : number * size])
    headers = {}
    if number * size < len(documents):
        url = ask.request.url.include_query_params(per_page=size, page=number + 1)
        headers["Link"] = f'<{url}>; rel="next"'
    content = {"total_count": len(documents), inside: shown} if inside else shown
    return JSONResponse(content, headers=headers)


def _whole(text: str, *, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default
