"""The local forge's only state besides git: one SQLite file, written durably.

Statements live in `statements.sql` and are called by name. Transactions are synchronous on
purpose: the state is tiny, one event loop owns the file, and a commit takes less than a
millisecond.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TypeVar

Value = str | int | float | None

_T = TypeVar("_T")

StorageError = sqlite3.OperationalError
"""What a statement raises where the file cannot be read or written."""


def is_full(error: Exception) -> bool:
    """Whether the disk, or the file's own limit, had no room for what was to be written."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) == sqlite3.SQLITE_FULL


class Storage:
    """Rows in, rows out; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._statements = _named("statements.sql")
        # The server's thread need not be the one that built the application.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_text("schema.sql"))
        self._add_columns()
        self._is_in_transaction = False

    def close(self) -> None:
        """Close the file; idempotent."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. The block must not await, or others' statements would fall into it.

        One inside another is part of it.
        """
        if self._is_in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._is_in_transaction = True
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        else:
            self._connection.execute("COMMIT")
        finally:
            self._is_in_transaction = False

    def find(self, shape: type[_T], statement: str, **values: Value) -> _T | None:
        """The first row that the statement answers, or None."""
        found = self.all(shape, statement, **values)
        return found[0] if found else None

    def one(self, shape: type[_T], statement: str, **values: Value) -> _T:
        """The row that the statement must answer; its absence is a bug."""
        return self.all(shape, statement, **values)[0]

    def all(self, shape: type[_T], statement: str, **values: Value) -> list[_T]:
        """Every row that the statement answers. A write is durable on return."""
        rows = self._connection.execute(self._statements[statement], values).fetchall()
        return [shape(**dict(row)) for row in rows]

    def _add_columns(self) -> None:
        """Bring a file that an earlier version wrote up to date."""
        look = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
        for name, statement in _named("columns.sql").items():
            if self._connection.execute(look, name.split(".")).fetchone() is None:
                self._connection.execute(statement)


def _named(file: str) -> dict[str, str]:
    """The statements of a file by the names above them."""
    parts = re.split(r"^-- name: ([\w.]+)$", _text(file), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _text(name: str) -> str:
    return resources.files(__package__ or __name__).joinpath(name).read_text(encoding="utf-8")
