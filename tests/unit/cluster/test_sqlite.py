from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Object, Objects
from pressplay.cluster.sqlite import SqliteObjects

CLOCK = SystemClock()
WORKFLOW = Key("Workflow", "agents", "wf")


def _object(kind: str, name: str, *, namespace: str = "agents", **fields: Any) -> Object:
    version = "argoproj.io/v1alpha1" if kind == "Workflow" else "v1"
    metadata = {"name": name} if kind == "Namespace" else {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


async def _filled(folder: Path) -> SqliteObjects:
    store = await SqliteObjects.open(folder, clock=CLOCK)
    await store.create(_object("Namespace", "agents"))
    await store.create(_object("Workflow", "wf", status={"nodes": {"a": {"n": 1}}}))
    return store


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    await store.patch(WORKFLOW, {"status": {"nodes": {"b": {"n": 2}, "a": None}}})
    before = await store.get(WORKFLOW)
    await store.aclose()
    again = await SqliteObjects.open(tmp_path, clock=CLOCK)
    assert await again.get(WORKFLOW) == before
    await again.aclose()


async def test_versions_go_on_after_a_restart_even_when_the_newest_object_is_gone(
    tmp_path: Path,
) -> None:
    store = await _filled(tmp_path)
    made = await store.create(_object("ConfigMap", "one"))
    await store.delete(Key("ConfigMap", "agents", "one"))
    await store.aclose()
    again = await SqliteObjects.open(tmp_path, clock=CLOCK)
    new = await again.create(_object("ConfigMap", "one"))
    await again.aclose()
    assert int(new["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"]) + 1


async def test_an_empty_row_map_survives_a_restart(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    await store.patch(WORKFLOW, {"status": {"nodes": {"a": None}}})
    await store.aclose()
    again = await SqliteObjects.open(tmp_path, clock=CLOCK)
    await again.patch(WORKFLOW, {"status": {"nodes": {"c": {"n": 3}}}})
    read = await again.get(WORKFLOW)
    await again.aclose()
    assert read is not None
    assert read["status"] == {"nodes": {"c": {"n": 3}}}


async def test_cascades_reach_the_disk(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    await store.delete(Key("Namespace", "", "agents"))
    await store.aclose()
    with sqlite3.connect(tmp_path / "objects.db") as connection:
        left = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - constants
            for table in ("objects", "versions", "object_rows")
        ]
    connection.close()
    assert left == [0, 0, 0]


async def test_name_that_is_deleted_and_taken_again_at_once_is_kept(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(store.delete(WORKFLOW))
            group.create_task(store.create(_object("Workflow", "wf", status={"nodes": {"z": {}}})))
    before = await store.get(WORKFLOW)
    await store.aclose()
    again = await SqliteObjects.open(tmp_path, clock=CLOCK)
    assert await again.get(WORKFLOW) == before
    await again.aclose()


async def test_second_owner_is_refused_and_told_the_first(tmp_path: Path) -> None:
    store = await SqliteObjects.open(tmp_path, clock=CLOCK)
    with pytest.raises(Refused, match=f"belongs to the running process {os.getpid()}"):
        await SqliteObjects.open(tmp_path, clock=CLOCK)
    await store.aclose()
    again = await SqliteObjects.open(tmp_path, clock=CLOCK)
    await again.aclose()


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    store = await _filled(tmp_path / "state")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    await store.aclose()
    assert set(modes) == {"lock", "objects.db", "objects.db-wal", "objects.db-shm"}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no database, just words" * 50, "cannot be read"), (None, "version 99")],
)
async def test_foreign_file_is_refused_and_the_folder_given_free(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "objects.db"
    if content is None:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(Refused, match=message):
            await SqliteObjects.open(tmp_path, clock=CLOCK)


async def test_write_waits_for_the_disk(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    blocker = sqlite3.connect(tmp_path / "objects.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(store.create(_object("ConfigMap", "one")))
        asking = group.create_task(store.patch(WORKFLOW, {}))
        await asyncio.sleep(0.1)
        # Others see it a moment earlier; neither the writer nor who asks behind it goes on yet.
        assert await store.get(Key("ConfigMap", "agents", "one")) is not None
        assert not writing.done()
        assert not asking.done()
        blocker.execute("ROLLBACK")
    blocker.close()
    assert writing.result()["metadata"]["name"] == "one"
    await store.aclose()


async def test_after_a_failed_write_nothing_is_kept_any_more(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    breaker = sqlite3.connect(tmp_path / "objects.db", isolation_level=None)
    breaker.execute(
        "CREATE TRIGGER full BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(Unavailable, match="disk full"):
        await store.create(_object("ConfigMap", "lost"))
    breaker.execute("DROP TRIGGER full")
    breaker.close()
    with pytest.raises(Unavailable, match="disk full"):
        await store.patch(WORKFLOW, {"status": {"nodes": {"a": {"n": 2}}}})
    with pytest.raises(Unavailable, match="disk full"):
        await store.aclose()
    again = await SqliteObjects.open(tmp_path, clock=CLOCK)
    assert await again.get(Key("ConfigMap", "agents", "lost")) is None
    read = await again.get(WORKFLOW)
    await again.aclose()
    assert read is not None
    assert read["status"]["nodes"] == {"a": {"n": 1}}


async def test_full_disk_is_told_to_who_writes_and_to_who_watches(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    async with aclosing(store.watch("Secret")) as changes:
        hearing = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        # SQLite's own limit ends a write in the same way as the disk's.
        store._ledger._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(Unavailable, match="No space left on device") as told:
            await store.create(_object("ConfigMap", "big", data={"x": "y" * 100_000}))
        assert str(tmp_path) in str(told.value)
        with pytest.raises(Unavailable, match="No space left on device"):
            await hearing
    assert "No space left" in store.failure
    with pytest.raises(Unavailable):
        await anext(store.watch("ConfigMap"))
    with pytest.raises(Unavailable):
        await store.aclose()


async def test_closed_store_says_so(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    await store.aclose()
    with pytest.raises(Unavailable, match="closed"):
        await store.create(_object("ConfigMap", "one"))
    assert not [thread for thread in threading.enumerate() if thread.name == "objects"]


async def test_write_behind_the_closing_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    store = await _filled(tmp_path)
    async with asyncio.TaskGroup() as group:
        before = group.create_task(store.create(_object("ConfigMap", "before")))
        await asyncio.sleep(0)
        group.create_task(store.aclose())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="closed"):
            await store.create(_object("ConfigMap", "after"))
    assert before.result()["metadata"]["name"] == "before"


_WRITER = """
import asyncio, sys
from pathlib import Path
from pressplay.base.clocks import SystemClock
from pressplay.cluster.port import Key
from pressplay.cluster.sqlite import SqliteObjects

async def main():
    store = await SqliteObjects.open(Path(sys.argv[1]), clock=SystemClock())
    await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}})
    metadata = {"name": "wf", "namespace": "agents"}
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    await store.create({**kind, "metadata": metadata})

    async def write(writer):
        for number in range(1_000_000):
            await store.patch(
                Key("Workflow", "agents", "wf"),
                {"status": {"nodes": {f"{writer}": {"n": number}, f"{writer}-{number}": {}}}},
            )
            sys.stdout.write(f"{writer} {number}\\n")
            sys.stdout.flush()

    await asyncio.gather(*(write(writer) for writer in range(8)))

asyncio.run(main())
"""


def _write_until_killed(folder: Path, *, lines: int) -> dict[str, int]:
    """Start a writing process, kill it after it confirmed so many writes; the last one of each."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    words = [line.split() for line in said if line.endswith("\n")]
    return {writer: int(number) for writer, number in words}


@pytest.mark.parametrize("lines", [40, 333, 1500])
async def test_killed_writer_loses_nothing_that_was_confirmed(tmp_path: Path, lines: int) -> None:
    confirmed = _write_until_killed(tmp_path, lines=lines)
    store = await SqliteObjects.open(tmp_path, clock=CLOCK)
    workflow = await store.get(WORKFLOW)
    await store.aclose()
    assert workflow is not None
    nodes = workflow["status"]["nodes"]
    for writer, number in confirmed.items():
        assert nodes[writer]["n"] >= number
        # No gap: whatever came before the last one that is there is there too.
        assert {f"{writer}-{n}" for n in range(nodes[writer]["n"] + 1)} <= nodes.keys()


_NAMES = st.sampled_from(["a", "b", "c"])
_KINDS = st.sampled_from(["ConfigMap", "Workflow"])
_LEAVES = st.none() | st.integers(0, 2) | st.just("x")
_ROWS = st.dictionaries(
    st.sampled_from(["n1", "n2", "n3"]),
    _LEAVES | st.dictionaries(st.sampled_from("pq"), _LEAVES, max_size=2),
    max_size=3,
)
_PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.dictionaries(st.sampled_from("pq"), _LEAVES, max_size=2) | st.none(),
        "status": st.none()
        | st.just("odd")
        | st.fixed_dictionaries({}, optional={"phase": _LEAVES, "nodes": _ROWS | _LEAVES}),
        "metadata": st.fixed_dictionaries(
            {},
            optional={"labels": st.none() | st.dictionaries(st.sampled_from("pq"), st.just("v"))},
        ),
    },
)


class Restarting(RuleBasedStateMachine):
    """A durable store that is closed, or dies, at any moment, beside one that only remembers."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp()) / "0"
        self.lives = 0
        self.runner = asyncio.Runner()
        self.model = MemoryObjects(clock=CLOCK)
        self.store = self._open()
        self._both("create", _object("Namespace", "agents"))

    @rule(kind=_KINDS, name=_NAMES, patch=_PATCHES)
    def create(self, kind: str, name: str, patch: Object) -> None:
        self._both("create", {**patch, **_object(kind, name)})

    @rule(kind=_KINDS, name=_NAMES, owner=_NAMES)
    def adopt(self, kind: str, name: str, owner: str) -> None:
        for store in (self.model, self.store):
            found = self.runner.run(store.get(Key("Workflow", "agents", owner)))
            if found is None or (kind, name) == ("Workflow", owner):
                return
            patch = {"metadata": {"ownerReferences": [{"uid": found["metadata"]["uid"]}]}}
            self._one(store, "patch", Key(kind, "agents", name), patch)

    @rule(kind=_KINDS, name=_NAMES, patch=_PATCHES)
    def patch(self, kind: str, name: str, patch: Object) -> None:
        self._both("patch", Key(kind, "agents", name), patch)

    @rule(kind=_KINDS, name=_NAMES)
    def delete(self, kind: str, name: str) -> None:
        self._both("delete", Key(kind, "agents", name))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.aclose())
        self.store = self._open()

    @rule()
    def crash(self) -> None:
        """Go on from a copy of the files as they lie there now."""
        self.lives += 1
        old, self.folder = self.folder, self.folder.parent / str(self.lives)
        shutil.copytree(old, self.folder)
        self.runner.run(self.store.aclose())
        self.store = self._open()

    @invariant()
    def both_tell_the_same(self) -> None:
        for kind in ("Namespace", "ConfigMap", "Workflow"):
            kept = self.runner.run(self.store.list(kind))
            assert [_plain(o) for o in kept] == [
                _plain(o) for o in self.runner.run(self.model.list(kind))
            ]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.aclose())
            self.runner.close()
            shutil.rmtree(self.folder.parent)

    def _open(self) -> SqliteObjects:
        return self.runner.run(SqliteObjects.open(self.folder, clock=CLOCK))

    def _both(self, verb: str, *arguments: Any) -> None:
        expected = self._one(self.model, verb, *arguments)
        assert self._one(self.store, verb, *arguments) == expected

    def _one(self, store: Objects, verb: str, *arguments: Any) -> Any:
        try:
            answer = self.runner.run(getattr(store, verb)(*arguments))
        except Refused as refusal:
            return type(refusal)
        return answer and _plain(answer)


def _plain(obj: Object) -> Object:
    """An object without what is drawn by lot or by the hour."""
    metadata = dict(obj["metadata"])
    metadata["ownerReferences"] = len(metadata.get("ownerReferences", ()))
    for name in ("uid", "creationTimestamp"):
        del metadata[name]
    return {**obj, "metadata": metadata}


Restarting.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestRestarting = Restarting.TestCase
