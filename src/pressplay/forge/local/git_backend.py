"""Smart HTTP for git, spoken by git's own `upload-pack` and `receive-pack`.

What stands around them is gitprotocol-http's; git's `http-backend` would do it in two more
processes for each fetch and push. The double adds what a forge adds: who may read, who may write,
and that an App's push creates a branch or moves one forward and does nothing else. The refs of a
push stand at the start of its body, so that is judged before git starts; what needs the pushed
commits (is it a fast-forward?) git decides itself, by configuration.
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
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pressplay.base import files, processes
from pressplay.base.errors import Refused
from pressplay.forge.local import looking, pkt_lines
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
_NEWEST = "version=2"
"""In which the list of refs needs no introduction."""
_GREETING = b"000eversion 2\n"


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

    @property
    def protocol(self) -> str:
        return self.request.headers.get("git-protocol", "")

    @property
    def is_listing(self) -> bool:
        return self.path == "info/refs"

    @property
    def is_greeting(self) -> bool:
        """Whether only capabilities are asked for: in version 2, refs are listed by a command."""
        return self.is_listing and self.service == FETCH and self.protocol == _NEWEST


class GitBackend:
    """Serves `/{owner}/{repo}.git/…`; bodies pass through files in `directory`/transfers."""

    def __init__(self, hub: Hub, *, directory: Path) -> None:
        self._hub = hub
        self._transfers = directory / "transfers"
        self._pushing: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._greeting = b""
        shutil.rmtree(self._transfers, ignore_errors=True)
        self._transfers.mkdir(parents=True)
        files.spread(self._transfers)

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
        wanted = f"application/x-{service}-request"
        if path == service and request.headers.get("content-type") != wanted:
            raise ProblemError(415, f"The body must be {wanted}")
        return _Exchange(request, actor, row, service=service, path=path, folder=folder)

    async def _answer(self, exchange: _Exchange) -> Response:
        if exchange.is_greeting:
            return await self._greet(exchange)
        if exchange.path != PUSH:
            return await self._run(exchange)
        # git's own locks keep refs whole; one push at a time also tells who moved which branch.
        async with self._pushing[exchange.row.id]:
            push = _read_push(exchange.source)
            judge = Judge(self._hub, exchange.row, exchange.actor)
            refusal = judge.refusal(push)
            if refusal is not None:
                return _response(exchange, "result", refusal)
            response = await self._run(exchange, settings=judge.settings(push))
            await looking.look(self._hub, exchange.row, by=exchange.actor.login)
            return response

    async def _greet(self, exchange: _Exchange) -> Response:
        """What git can do, and nothing of the repository (gitprotocol-v2), so asked for once."""
        if self._greeting:
            return _response(exchange, "advertisement", self._greeting)
        response = await self._run(exchange)
        content = bytes(response.body)
        # A git that speaks no version 2 lists refs instead, which are not for everybody.
        if content.startswith(_GREETING):
            self._greeting = content
        return response

    async def _run(
        self, exchange: _Exchange, *, settings: Mapping[str, str] | None = None
    ) -> Response:
        variables = self._hub.git.environment(settings=settings)
        if _PROTOCOL.fullmatch(exchange.protocol):
            variables["GIT_PROTOCOL"] = exchange.protocol
        command: list[str | Path] = [
            *(self._hub.git.git, exchange.service.removeprefix("git-"), "--stateless-rpc"),
            *(["--http-backend-info-refs"] if exchange.is_listing else []),
            self._hub.git.root / f"{exchange.row.id}.git",
        ]
        with (
            exchange.source.open("rb", buffering=0) as reader,
            exchange.target.open("wb", buffering=0) as writer,
        ):
            done = await asyncio.to_thread(
                processes.run,
                command,
                env=variables,
                stdin=reader,
                stdout=writer,
                timeout_s=TIMEOUT_S,
            )
        size = exchange.target.stat().st_size
        # What git has to say against a request stands in its output, for the other side's git.
        if done.timed_out or not (done.ok or size):
            raise ProblemError(500, f"{exchange.service} failed: {done.complaint()}")
        if exchange.is_listing:
            has_begun = exchange.protocol == _NEWEST
            start = b"" if has_begun else pkt_lines.announcement(exchange.service)
            return _response(exchange, "advertisement", start + exchange.target.read_bytes())
        if size > _CHUNK:
            return FileResponse(
                exchange.target, media_type=f"application/x-{exchange.service}-result"
            )
        return _response(exchange, "result", exchange.target.read_bytes())


class _Endpoint:
    """An ASGI application, so that the files of a request outlive its answer's last byte."""

    def __init__(self, backend: GitBackend, path: str) -> None:
        self._backend = backend
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._backend.serve(self._path, scope=scope, receive=receive, send=send)


def _response(exchange: _Exchange, kind: str, content: bytes) -> Response:
    """An answer that nobody may keep: the next push makes it wrong."""
    return Response(
        content,
        media_type=f"application/x-{exchange.service}-{kind}",
        headers={"Cache-Control": "no-cache"},
    )


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
