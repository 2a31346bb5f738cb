"""Smart HTTP for git, spoken by git's own `http-backend`.

The double adds what a forge adds: who may read, who may write, and that an App's push creates a
branch or moves one forward and does nothing else. The refs of a push stand at the start of its
body, so that is judged before git starts; what needs the pushed commits (is it a fast-forward?)
git decides itself, by configuration.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.forge.local import cgi, looking, pkt_lines
from pressplay.forge.local.actors import Actor, App, Installation
from pressplay.forge.local.answers import ProblemError, not_found
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.judging import Judge
from pressplay.forge.local.rows import RepositoryRow

FETCH = "git-upload-pack"
PUSH = "git-receive-pack"
LARGEST_BODY = 1024**3
LONGEST_COMMANDS = 1024 * 1024
TIMEOUT_S = 600.0
_CHUNK = 1024 * 1024
_PROTOCOL = re.compile(r"version=[0-9]")


@dataclass(frozen=True)
class _Exchange:
    """One admitted request and the folder through which its bodies pass."""

    request: Request
    actor: Actor
    row: RepositoryRow
    service: str
    path: str
    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "in"

    @property
    def target(self) -> Path:
        return self.folder / "out"


class GitBackend:
    """Serves `/{owner}/{repo}.git/…`; bodies pass through files in `directory`/transfers."""

    def __init__(self, hub: Hub, *, directory: Path) -> None:
        self._hub = hub
        self._transfers = directory / "transfers"
        self._pushing: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        shutil.rmtree(self._transfers, ignore_errors=True)
        self._transfers.mkdir(parents=True)

    def routes(self) -> list[Route]:
        base = "/{owner}/{repo}.git"
        return [
            Route(f"{base}/info/refs", _Endpoint(self, "info/refs"), methods=["GET"]),
            Route(f"{base}/{FETCH}", _Endpoint(self, FETCH), methods=["POST"]),
            Route(f"{base}/{PUSH}", _Endpoint(self, PUSH), methods=["POST"]),
        ]

    async def serve(self, path: str, *, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its files are gone when the answer is sent."""
        request = Request(scope, receive)
        with tempfile.TemporaryDirectory(dir=self._transfers) as folder:
            try:
                exchange = self._admit(request, path=path, folder=Path(folder))
                await _save_body(request, exchange.source)
                response = await self._answer(exchange)
            except ProblemError as error:
                response = _say_no(error)
            await response(scope, receive, send)

    def _admit(self, request: Request, *, path: str, folder: Path) -> _Exchange:
        service = request.query_params.get("service", "") if path == "info/refs" else path
        if service not in (FETCH, PUSH):
            raise ProblemError(403, "Only git's smart protocol is spoken here; update git")
        actor = self._hub.actor(request)
        row = self._hub.repository(request.path_params["owner"], request.path_params["repo"])
        if isinstance(actor, App):
            raise ProblemError(401, "An App's own statement opens no repository; mint a token")
        if isinstance(actor, Installation):
            level = "write" if service == PUSH else "read"
            if row.id not in actor.repositories:
                raise not_found()
            if not actor.may("contents", level):
                raise ProblemError(403, f"This token lacks contents:{level} on {row.full_name}")
        return _Exchange(request, actor, row, service=service, path=path, folder=folder)

    async def _answer(self, exchange: _Exchange) -> Response:
        if exchange.path != PUSH:
            return await self._run(exchange)
        # git's own locks keep refs whole; one push at a time also tells who moved which branch.
        async with self._pushing[exchange.row.id]:
            push = _read_push(exchange.source)
            judge = Judge(self._hub, exchange.row, exchange.actor)
            refusal = judge.refusal(push)
            if refusal is not None:
                return Response(refusal, media_type=f"application/x-{PUSH}-result")
            response = await self._run(exchange, settings=judge.settings(push))
            await looking.look(self._hub, exchange.row, by=exchange.actor.login)
            return response

    async def _run(
        self, exchange: _Exchange, *, settings: Mapping[str, str] | None = None
    ) -> Response:
        done = await asyncio.to_thread(
            processes.run_over_files,
            [self._hub.git.http_backend],
            env=self._environment(exchange, settings),
            source=exchange.source,
            target=exchange.target,
            timeout_s=TIMEOUT_S,
        )
        head = cgi.read_head(exchange.target)
        if done.timed_out or head is None:
            raise ProblemError(500, f"git http-backend failed: {done.complaint()}")
        return cgi.FileTail(exchange.target, head=head)

    def _environment(
        self, exchange: _Exchange, settings: Mapping[str, str] | None
    ) -> dict[str, str]:
        """The CGI variables that git's http-backend reads ("git-http-backend", ENVIRONMENT)."""
        request = exchange.request
        variables = self._hub.git.environment(settings=settings)
        variables |= {
            "GIT_PROJECT_ROOT": str(self._hub.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{exchange.row.id}.git/{exchange.path}",
            "QUERY_STRING": f"service={exchange.service}" if exchange.path == "info/refs" else "",
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "REMOTE_USER": exchange.actor.login,
        }
        protocol = request.headers.get("git-protocol", "")
        if _PROTOCOL.fullmatch(protocol):
            variables["GIT_PROTOCOL"] = protocol
        return variables


class _Endpoint:
    """An ASGI application, so that the files of a request outlive its answer's last byte."""

    def __init__(self, backend: GitBackend, path: str) -> None:
        self._backend = backend
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._backend.serve(self._path, scope=scope, receive=receive, send=send)


def _read_push(source: Path) -> pkt_lines.Push:
    """The commands at the start of a push's body; raises ProblemError 400."""
    with source.open("rb") as reader:
        start = reader.read(LONGEST_COMMANDS)
    try:
        return pkt_lines.read_push(start)
    except Refused as error:
        raise ProblemError(400, str(error)) from error


async def _save_body(request: Request, target: Path) -> None:
    """The request's body as a file, unpacked: git sends long negotiations gzipped."""
    size = 0
    with target.open("wb") as writer:
        async for piece in _unpacked(request):
            size += len(piece)
            if size > LARGEST_BODY:
                raise ProblemError(413, "This push is larger than 1 GiB; push less at once")
            writer.write(piece)


async def _unpacked(request: Request) -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise ProblemError(415, f"Content-Encoding {encoding} is not understood; use gzip")
    unpacker = None if encoding == "identity" else zlib.decompressobj(wbits=31)
    async for chunk in request.stream():
        if unpacker is None:
            yield chunk
            continue
        rest = chunk
        while rest:
            try:
                # A bounded piece at a time: a few bytes can unpack to gigabytes.
                piece = unpacker.decompress(rest, _CHUNK)
            except zlib.error as error:
                raise ProblemError(400, f"The body is not gzip: {error}") from error
            yield piece
            rest = unpacker.unconsumed_tail


def _say_no(error: ProblemError) -> Response:
    """Plain text, which git shows to its user where it can."""
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if error.status == 401 else None
    return PlainTextResponse(f"{error.message}\n", status_code=error.status, headers=headers)
