"""Answers that go on: watches as newline-separated JSON, and logs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from pressplay.base.clocks import Clock
from pressplay.base.errors import PressplayError
from pressplay.cluster import selectors
from pressplay.cluster.port import Change, Object, Objects, key_of
from pressplay.cluster.selectors import Selector
from pressplay.server import failures
from pressplay.server.addresses import Address
from pressplay.server.failures import BadRequest

LONGEST_S = 3600.0
LOOK_S = 0.2
"""How often a followed log is looked at."""

_NOWHERE = Path("/nonexistent")
_PIECE = 64 * 1024
_FIELDS = ("metadata.name", "metadata.namespace")


class PodLogs(Protocol):
    """Where the logs of pods lie."""

    def path(
        self, namespace: str, pod: str, container: str, *, is_previous: bool = False
    ) -> Path | None:
        """The log file of a container, or None while there is none. Called often; does not wait.

        `is_previous` asks for that of the container's try before this one, complete.
        """

    def goes_on(self, namespace: str, pod: str) -> bool:
        """Whether a pod that is no object runs, as a step's; others say so in their status."""


@dataclass(frozen=True)
class Choice:
    """Which objects of a collection are wanted."""

    labels: str = ""
    fields: tuple[tuple[str, bool, str], ...] = ()
    """Each a path, whether it must be equal, and the value."""
    _selector: Selector = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_selector", selectors.parse(self.labels))

    def takes(self, obj: Object) -> bool:
        """Whether an object is wanted."""
        metadata = obj["metadata"]
        return selectors.matches(self._selector, metadata.get("labels") or {}) and all(
            (metadata.get(path.partition(".")[2], "") == value) is equal
            for path, equal, value in self.fields
        )

    @property
    def name(self) -> str:
        """The one name that is wanted; empty where several may be."""
        return next((v for p, equal, v in self.fields if equal and p == _FIELDS[0]), "")


def choice(*, labels: str, fields: str) -> Choice:
    """Read both selectors of a request. Raises Refused."""
    found = []
    for part in filter(None, (each.strip() for each in fields.split(","))):
        path, sign, value = part.partition("!=")
        if not sign:
            path, sign, value = part.partition("=")
        if not sign or path not in _FIELDS:
            raise BadRequest(f"field label not supported: {path[:80]}; use {' or '.join(_FIELDS)}")
        found.append((path, sign == "=", value.removeprefix("=")))
    return Choice(labels, tuple(found))


async def watch_lines(
    objects: Objects, address: Address, *, wanted: Choice, since: int, clock: Clock, seconds: float
) -> AsyncIterator[bytes]:
    """The changes of a collection as lines of JSON, for so many seconds.

    Objects that were there at version `since` are not told as new; 0 tells them all.
    """
    until = clock.monotonic() + min(seconds, LONGEST_S)
    lines = _watched(objects, address, wanted=wanted, since=since, clock=clock, until=until)
    try:
        async for line in lines:
            yield line
    except PressplayError as error:
        # The answer has begun, so what went wrong is told as its last line, as Kubernetes does.
        yield _encoded("ERROR", failures.status(failures.of_error(error, address)))


async def _watched(
    objects: Objects, address: Address, *, wanted: Choice, since: int, clock: Clock, until: float
) -> AsyncIterator[bytes]:
    shown: set[str] = set()
    async with aclosing(objects.watch(address.kind.name, namespace=address.namespace)) as changes:
        while (left := until - clock.monotonic()) > 0:
            change = await _next(changes, left)
            if change is None:
                return
            known = int(change.object["metadata"]["resourceVersion"]) <= since
            event = _event(change, wanted=wanted, shown=shown)
            if event is None or (known and change.type == "ADDED"):
                continue
            line = await _line(objects, event, change.object)
            if line:
                yield line


async def _next(changes: AsyncGenerator[Change, None], seconds: float) -> Change | None:
    try:
        async with asyncio.timeout(seconds):
            return await anext(changes)
    except TimeoutError:
        return None


def _event(change: Change, *, wanted: Choice, shown: set[str]) -> str | None:
    """What a change is for this reader: an object may enter and leave the choice by its labels."""
    uid = change.object["metadata"]["uid"]
    if change.type != "DELETED" and wanted.takes(change.object):
        event = "MODIFIED" if uid in shown else "ADDED"
        shown.add(uid)
        return event
    if uid not in shown:
        return None
    shown.discard(uid)
    return "DELETED"


async def _line(objects: Objects, event: str, obj: Object) -> bytes:
    """One line; the object anew where a change came without its rows, nothing where it is gone."""
    if event == "MODIFIED" and obj["kind"] == "Workflow":
        found = await objects.get(key_of(obj))
        if found is None:
            return b""
        obj = found
    return _encoded(event, obj)


def _encoded(event: str, obj: Object) -> bytes:
    return orjson.dumps({"type": event, "object": obj}) + b"\n"


async def read_log(path: Path, *, tail: int | None) -> AsyncIterator[bytes]:
    """A log's bytes, or its last lines."""
    if tail is not None:
        yield await asyncio.to_thread(_tail, path, tail)
        return
    async for piece in _pieces(path, 0):
        yield piece


async def follow_log(
    find: Callable[[], Path | None], *, tail: int | None, goes_on: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """A log's bytes as they come, until its pod has ended and all is told.

    A log that begins anew, because the pod does, is told from its beginning.
    """
    told = 0
    if tail is not None and (path := find()) is not None:
        size = await asyncio.to_thread(_size, path)
        told = size or 0
        yield await asyncio.to_thread(_tail, path, tail)
    while True:
        last_look = not await goes_on()
        path = find() or _NOWHERE
        size = await asyncio.to_thread(_size, path)
        if size is not None and size < told:
            told = 0
        async for piece in _pieces(path, told):
            told += len(piece)
            yield piece
        if last_look:
            return
        await asyncio.sleep(LOOK_S)


async def _pieces(path: Path, offset: int) -> AsyncIterator[bytes]:
    while True:
        piece = await asyncio.to_thread(_read, path, offset)
        if not piece:
            return
        offset += len(piece)
        yield piece


def _size(path: Path) -> int | None:
    """None where there is no such file: it may be on its way to where it is kept."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as source:
            source.seek(offset)
            return source.read(_PIECE)
    except FileNotFoundError:
        return b""


def _tail(path: Path, lines: int) -> bytes:
    try:
        with path.open("rb") as source:
            return b"".join(deque(source, maxlen=lines))
    except FileNotFoundError:
        return b""


def whole_number(text: str | None, *, name: str) -> int | None:
    """A query parameter that is a number, or None. Raises BadRequest."""
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise BadRequest(f"{name} must be a whole number, not {text[:40]!r}")
    return int(text)


def list_of(address: Address, items: list[Object]) -> dict[str, Any]:
    """The List object of a collection; its version is that of its newest item."""
    versions = (int(item["metadata"]["resourceVersion"]) for item in items)
    return {
        "kind": f"{address.kind.name}List",
        "apiVersion": address.kind.api_version,
        "metadata": {"resourceVersion": str(max(versions, default=0))},
        "items": items,
    }
