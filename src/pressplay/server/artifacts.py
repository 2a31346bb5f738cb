"""Artifacts over HTTP: a file as it is, a folder as a tar archive of its content.

Artifacts are written by code that is not ours: only plain files and folders leave, no link.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pressplay.base.errors import PressplayError
from pressplay.cluster.port import Objects
from pressplay.server import failures
from pressplay.server.auth import Identity
from pressplay.server.failures import BadRequest, Failure, Forbidden
from pressplay.server.rights import Action, Rights, denial

GROUP, RESOURCE = "argoproj.io", "workflowartifacts"
"""A resource that no cluster has: whoever may `get` it may read artifacts."""

_PIECE = 64 * 1024


class Artifacts(Protocol):
    """Where artifacts lie."""

    def path(self, key: str) -> Path | None:
        """The file or folder of a key, or None. Raises Refused for a key that leaves the store."""


class ArtifactsApi:
    """Answers GET /artifacts/{namespace}/{key}."""

    def __init__(self, *, objects: Objects, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._rights = Rights(objects=objects)

    async def answer(self, request: Request) -> Response:
        """The response; failures become Status objects."""
        try:
            return await self._send(request)
        except PressplayError as error:
            return failures.answer(failures.of_error(error))

    async def _send(self, request: Request) -> Response:
        namespace, key = request.path_params["namespace"], request.path_params["key"].strip("/")
        identity: Identity = request.state.identity
        action = Action("get", GROUP, RESOURCE, namespace=namespace, name=key)
        if not await self._rights.allow(identity, action):
            raise Forbidden(denial(identity, action))
        if not key or ".." in key.split("/"):
            raise BadRequest(f"{key[:200]!r} is no artifact's key")
        path = self._artifacts.path(key)
        if path is None or path.is_symlink() or not path.exists():
            message = f'{RESOURCE}.{GROUP} "{key}" not found'
            raise Failure(message, code=404, reason="NotFound")
        if path.is_dir():
            return StreamingResponse(_gathered(tar_of(path)), media_type="application/x-tar")
        return StreamingResponse(_pieces(path), media_type="application/octet-stream")


def tar_of(folder: Path) -> Iterator[bytes]:
    """A tar archive of what a folder holds, in pieces, in the order of names."""
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            info = tarfile.TarInfo(f"{name}/")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            yield info.tobuf(tarfile.PAX_FORMAT)
        else:
            yield from _member(path, name)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _gathered(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer parts: each is handed from thread to thread, which takes its time."""
    waiting = bytearray()
    for part in parts:
        waiting += part
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            yield path
            yield from _walk(path)
        elif path.is_file():
            yield path


def _member(path: Path, name: str) -> Iterator[bytes]:
    """One file with its header, padded to whole blocks."""
    with _open(path) as source:
        state = os.fstat(source.fileno())
        info = tarfile.TarInfo(name)
        info.size, info.mtime = state.st_size, int(state.st_mtime)
        info.mode = 0o755 if state.st_mode & 0o111 else 0o644
        yield info.tobuf(tarfile.PAX_FORMAT)
        left = info.size
        while left and (piece := source.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
    # A file that shrank meanwhile is filled up: the header already said its size.
    yield bytes(left + -info.size % tarfile.BLOCKSIZE)


def _pieces(path: Path) -> Iterator[bytes]:
    with _open(path) as source:
        while piece := source.read(_PIECE):
            yield piece


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
