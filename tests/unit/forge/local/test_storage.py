"""A file that an earlier version wrote, and transactions inside transactions."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pressplay.forge.local.rows import ProtectedRow, UserRow
from pressplay.forge.local.storage import Storage

if TYPE_CHECKING:
    from pathlib import Path


def test_column_that_came_later_is_added_to_a_table_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "forge.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE protected_branches (repository_id INTEGER, branch TEXT) STRICT")
        old.execute("INSERT INTO protected_branches VALUES (1, 'main')")
        old.commit()

    for _ in range(2):
        with closing(Storage(path)) as store:
            rows = store.all(ProtectedRow, "list_protected_branches", repository_id=1)
            assert [it.branch for it in rows] == ["main"]
            assert json.loads(rows[0].settings) == {"required_pull_request_reviews": {}}


def test_transaction_inside_another_is_part_of_it(tmp_path: Path) -> None:
    with closing(Storage(tmp_path / "forge.sqlite")) as store:
        with pytest.raises(ValueError, match="late"):
            _fail_late(store)
        assert store.find(UserRow, "find_user", login="a") is None
        with store.transaction(), store.transaction():
            store.one(UserRow, "add_user", login="a")
        assert store.find(UserRow, "find_user", login="a") is not None


def _fail_late(store: Storage) -> None:
    with store.transaction():
        with store.transaction():
            store.one(UserRow, "add_user", login="a")
        raise ValueError("too late")
