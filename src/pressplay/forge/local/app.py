"""The local forge as one ASGI application: storage, git, REST, pages, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.forge.local import answers, looking, rest, sending
from pressplay.forge.local.apps import Gate
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.bare import BareRepositories
from pressplay.forge.local.events import Events
from pressplay.forge.local.git_backend import GitBackend
from pressplay.forge.local.pages import NOTICE, Pages
from pressplay.forge.local.rows import RepositoryRow
from pressplay.forge.local.shapes import Shapes
from pressplay.forge.local.storage import Storage, StorageError
from pressplay.forge.local.threads import ThreadShapes

HEADER = "X-Pressplay-Double"
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
SHORTEST_TOKEN = 20


def build(
    *,
    directory: Path,
    operator_login: str,
    operator_token: str,
    clock: Clock,
    base_url: Callable[[], str],
    search_path: str = SEARCH_PATH,
) -> Starlette:
    """The application; all of its state is in `directory`, and survives a restart.

    `base_url` answers the address under which it is reached, when it is first needed: the port may
    be given by the system. `search_path` is the PATH on which git is found. One process at a time
    may serve a directory. Raises Refused.
    """
    if len(operator_token) < SHORTEST_TOKEN:
        raise Refused(f"The operator's token must have at least {SHORTEST_TOKEN} characters")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    git = BareRepositories(directory, search_path=search_path)
    store = Storage(directory / "forge.sqlite")
    shapes = Shapes(store, base_url=base_url)
    threads = ThreadShapes(shapes)
    events = Events(store=store, shapes=shapes, threads=threads, clock=clock)
    hub = Hub(
        store=store,
        clock=clock,
        git=git,
        gate=Gate(store, operator_login=operator_login, operator_token=operator_token),
        shapes=shapes,
        threads=threads,
        events=events,
        operator_login=operator_login,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # A crash may have come between a repository's row and its folder.
        for row in store.all(RepositoryRow, "list_repositories"):
            await git.create(row.id, default_branch=row.default_branch)
            await looking.look(hub, row)
        try:
            async with sending.sender(store=store, clock=clock, waiting=events.waiting):
                yield
        finally:
            store.close()

    return Starlette(
        routes=[
            *rest.routes(hub),
            *GitBackend(hub, directory=directory).routes(),
            *Pages(hub).routes(),
        ],
        middleware=[Middleware(_Label)],
        exception_handlers={
            answers.ProblemError: answers.on_problem,
            HTTPException: answers.on_http_error,
            StorageError: answers.on_storage_error,
        },
        lifespan=lifespan,
    )


class _Label:
    """Says in every answer that this is not GitHub."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = NOTICE
            await send(message)

        await self._app(scope, receive, labelled if scope["type"] == "http" else send)
