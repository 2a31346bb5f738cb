"""The object port on disk: all objects in memory, SQLite as their record.

One thread writes. It takes all that waits into one transaction, and only after COMMIT with a
synced disk do the callers go on; so a kill at any moment loses only what nobody was told is kept,
and never something before what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Self

from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster import ownership, records
from pressplay.cluster.memory import MemoryObjects, Write
from pressplay.cluster.port import Key
from pressplay.cluster.records import ROW_MAPS, Record, RowPath

_BATCH_LIMIT = 1000
_SCHEMA_VERSION = 1
_DATABASE = "objects.db"


class SqliteObjects(MemoryObjects):
    """The port (`cluster.port.Objects`), durable. Made by `open`, ended by `aclose`."""

    _ledger: _Ledger
    _lock: int

    @classmethod
    async def open(
        cls, folder: Path, *, clock: Clock, row_maps: Mapping[str, RowPath] = ROW_MAPS
    ) -> Self:
        """The store in `folder`, which this process alone owns until `aclose`.

        Raises Refused where another process owns it or a newer version wrote it.
        """
        lock = _own(folder)
        try:
            connection, kept, version = await asyncio.to_thread(_load, folder, row_maps)
        except BaseException:
            os.close(lock)
            raise
        ledger = _Ledger(connection, folder=folder, loop=asyncio.get_running_loop())
        store = cls(clock=clock, row_maps=row_maps, journal=ledger, kept=kept, version=version)
        store._ledger, store._lock = ledger, lock
        ledger.tell = store._feed.fail
        return store

    @property
    def failure(self) -> str:
        """Why nothing is kept any more, so that every write and every watch raises; else empty."""
        return self._ledger.failure

    async def aclose(self) -> None:
        """Keep what still waits, close the files, give the folder free. To be called once."""
        try:
            await self._ledger.aclose()
        finally:
            os.close(self._lock)


@dataclass
class _Parcel:
    """Writes that go to the disk together, and the caller who waits for them."""

    writes: Sequence[Write]
    kept: asyncio.Future[None]
    last: bool = False


@dataclass
class _Batch:
    """Writes sorted by statement: within one object, its last values."""

    bodies: dict[int, tuple[int, str, str, str, bytes]] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    rows: dict[int, dict[str, bytes | None]] = field(default_factory=dict)
    cleared: list[tuple[int]] = field(default_factory=list)
    removed: list[tuple[int]] = field(default_factory=list)

    def add(self, write: Write) -> None:
        number, key = write.id, write.key
        if write.removed or write.cleared:
            self.cleared.append((number,))
            self.rows.pop(number, None)
        if write.removed:
            self.removed.append((number,))
            self.bodies.pop(number, None)
            self.versions.pop(number, None)
            return
        if write.body is not None:
            self.bodies[number] = (number, key.kind, key.namespace, key.name, write.body)
        self.versions[number] = write.version
        if write.rows:
            self.rows.setdefault(number, {}).update(write.rows)


class _Ledger:
    """The journal over one SQLite connection, which belongs to its thread."""

    failure = ""
    tell: Callable[[Unavailable], None]
    """Called once, on the loop, when nothing can be kept any more."""

    def __init__(
        self, connection: sqlite3.Connection, *, folder: Path, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._loop = loop
        self._parcels: queue.SimpleQueue[_Parcel] = queue.SimpleQueue()
        self._unsent: list[Write] = []
        self._under_way = 0
        self._closed = False
        # A daemon, because a process that forgot `aclose` must still be able to end.
        self._thread = threading.Thread(target=self._work, name="objects", daemon=True)
        self._thread.start()

    def check(self) -> None:
        if self.failure or self._closed:
            raise Unavailable(self.failure or "The store is closed")

    def append(self, write: Write) -> None:
        self._unsent.append(write)

    async def settled(self) -> None:
        if not self._unsent and not self._under_way:
            return
        await self._send(last=False)

    async def aclose(self) -> None:
        """Keep what waits and end the thread."""
        self._closed = True
        try:
            await self._send(last=True)
        finally:
            await asyncio.to_thread(self._thread.join)

    def _send(self, *, last: bool) -> asyncio.Future[None]:
        parcel = _Parcel(self._unsent, self._loop.create_future(), last)
        self._unsent = []
        self._under_way += 1
        self._parcels.put(parcel)
        return parcel.kept

    def _work(self) -> None:
        """The thread: until the last parcel.

        After a failure memory is ahead of the disk, so nothing is kept any more: a later write
        must not stand on one that was lost.
        """
        failure = ""
        ended = False
        with contextlib.closing(self._connection):
            while not ended:
                parcels = self._take()
                ended = any(parcel.last for parcel in parcels)
                failure = failure or self._keep(parcels)
                try:
                    self._loop.call_soon_threadsafe(self._answer, parcels, failure)
                except RuntimeError:
                    return  # The loop was closed before us: nobody waits.

    def _take(self) -> list[_Parcel]:
        parcels = [self._parcels.get()]
        while len(parcels) < _BATCH_LIMIT:
            try:
                parcels.append(self._parcels.get_nowait())
            except queue.Empty:
                break
        return parcels

    def _keep(self, parcels: Sequence[_Parcel]) -> str:
        """Write one batch; what went wrong, in words, or nothing."""
        writes = [write for parcel in parcels for write in parcel.writes]
        try:
            if writes:
                _write(self._connection, writes)
        except Exception as error:  # noqa: BLE001 - a dead thread would leave its callers waiting
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
            why = "No space left on device" if code == sqlite3.SQLITE_FULL else str(error)
            return (
                f"State cannot be written to {self._folder} ({why}): check its disk, "
                "then start again; what was not confirmed is lost"
            )
        return ""

    def _answer(self, parcels: Sequence[_Parcel], failure: str) -> None:
        """On the loop: let the callers go on."""
        if failure and not self.failure:
            self.tell(Unavailable(failure))
        self.failure = failure
        self._under_way -= len(parcels)
        for parcel in parcels:
            if parcel.kept.done():
                continue
            if failure:
                parcel.kept.set_exception(Unavailable(failure))
            else:
                parcel.kept.set_result(None)


def _write(connection: sqlite3.Connection, writes: Sequence[Write]) -> None:
    """One transaction, durable when this returns."""
    batch = _Batch()
    for write in writes:
        batch.add(write)
    rows = [(number, name, row) for number, of in batch.rows.items() for name, row in of.items()]
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Removals come first: a name may be taken again in the same batch.
        connection.executemany(_SQL["remove_rows"], batch.cleared)
        connection.executemany(_SQL["remove_version"], batch.removed)
        connection.executemany(_SQL["remove_object"], batch.removed)
        connection.executemany(_SQL["put_body"], batch.bodies.values())
        connection.executemany(_SQL["put_version"], batch.versions.items())
        connection.executemany(_SQL["put_row"], [row for row in rows if row[2] is not None])
        connection.executemany(_SQL["remove_row"], [row[:2] for row in rows if row[2] is None])
        connection.execute(_SQL["put_store_version"], (writes[-1].version,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _own(folder: Path) -> int:
    """The descriptor whose lock owns the folder; the lock ends with the process at the latest."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / ownership.LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise Refused(
            f"State folder {folder} belongs to the running process {owner}; "
            "end that one, or choose another folder"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _load(
    folder: Path, row_maps: Mapping[str, RowPath]
) -> tuple[sqlite3.Connection, list[Record], int]:
    """The connection, the records oldest first, the last version."""
    path = folder / _DATABASE
    # SQLite gives its other files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # The loading thread hands the connection to the writing one; never do two use it at a time.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
        (version,) = connection.execute(_SQL["read_store_version"]).fetchone()
        return connection, _records(connection, row_maps), version
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Refused(f"State in {path} cannot be read ({error}); use another folder") from error
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        connection.executescript(f"BEGIN; {_SQL['make_tables']} COMMIT;")
    elif found != _SCHEMA_VERSION:
        raise Refused(
            f"State in {path} has version {found} and this program knows {_SCHEMA_VERSION}; "
            "use the program that wrote it, or another folder"
        )


def _records(connection: sqlite3.Connection, row_maps: Mapping[str, RowPath]) -> list[Record]:
    rows: dict[int, dict[str, bytes]] = {}
    for number, name, body in connection.execute(_SQL["read_rows"]):
        rows.setdefault(number, {})[name] = body
    kept = []
    for number, kind, namespace, name, version, body in connection.execute(_SQL["read_objects"]):
        path = row_maps.get(kind, ())
        has_rows = number in rows or records.has_row_map(body, path)
        kept.append(
            records.restore(
                number=number,
                version=version,
                key=Key(kind, namespace, name),
                body=body,
                rows=rows.get(number, {}) if has_rows else None,
            )
        )
    return kept


def _statements(text: str) -> dict[str, str]:
    """The statements of a file by the names in its `-- name:` lines."""
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


_SQL = _statements(resources.files("pressplay.cluster").joinpath("objects.sql").read_text())
