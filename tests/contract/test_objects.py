"""What every store of objects must do, asked of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.cluster.access import Access
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import AlreadyExists, Change, Conflict, Key, NotFound, Object, Objects
from pressplay.cluster.remote import RemoteObjects
from pressplay.cluster.sqlite import SqliteObjects
from pressplay.server import app, serving
from pressplay.server.auth import Accounts


@asynccontextmanager
async def _memory(_folder: Path) -> AsyncIterator[Objects]:
    yield MemoryObjects(clock=SystemClock())


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[Objects]:
    kept = await SqliteObjects.open(folder / "state", clock=SystemClock())
    try:
        yield kept
    finally:
        await kept.aclose()


class _Nothing:
    """A server without logs and without artifacts."""

    def path(self, *_parts: str, is_previous: bool = False) -> Path | None:
        return None

    def goes_on(self, namespace: str, pod: str) -> bool:
        return False


@asynccontextmanager
async def _remote(_folder: Path) -> AsyncIterator[Objects]:
    """A client of our own server's API, over loopback."""
    server = serving.http(
        app.build(
            objects=MemoryObjects(clock=SystemClock()),
            accounts=Accounts(server_key="key", operator_token="token"),
            pod_logs=_Nothing(),
            artifacts=_Nothing(),
            clock=SystemClock(),
        )
    )
    with serving.listen(0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            async with RemoteObjects(Access(url, token=Secret("token"))) as store:
                yield store
            server.should_exit = True


_STORES = {"memory": _memory, "sqlite": _sqlite, "remote": _remote}
_at_once = pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
"""For promises of which a reader over HTTP hears a moment later than they are kept."""


@pytest.fixture(params=list(_STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Objects]:
    async with _STORES[request.param](tmp_path) as made:
        await made.create(_namespace("agents"))
        yield made


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _config(name: str, *, namespace: str = "agents", **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"key": "value"},
    }


def _workflow(name: str, **fields: Any) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": "agents"},
        "spec": {"entrypoint": "main"},
        **fields,
    }


def _key(name: str, kind: str = "ConfigMap", namespace: str = "agents") -> Key:
    return Key(kind, namespace, name)


async def _names(store: Objects, kind: str = "ConfigMap", **selection: str) -> list[str]:
    return [obj["metadata"]["name"] for obj in await store.list(kind, **selection)]


async def _take(changes: AsyncIterator[Change], count: int) -> list[tuple[str, str]]:
    async with asyncio.timeout(5):
        taken = [await anext(changes) for _ in range(count)]
    return [(change.type, change.object["metadata"]["name"]) for change in taken]


async def _until(changes: AsyncIterator[Change], last: tuple[str, str]) -> list[Change]:
    """The changes up to one of this type and name."""
    told = []
    async with asyncio.timeout(5):
        async for change in changes:
            told.append(change)
            if (change.type, change.object["metadata"]["name"]) == last:
                break
    return told


async def test_created_object_is_given_identity(store: Objects) -> None:
    made = await store.create(_config("one"))
    metadata = made["metadata"]
    assert metadata["generation"] == 1
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    assert await store.get(_key("one")) == made


async def test_identity_that_a_caller_claims_is_not_believed(store: Objects) -> None:
    claimed = _config("one", uid="mine", resourceVersion="99999", generation=7)
    made = await store.create(claimed)
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["resourceVersion"] != "99999"


async def test_absent_object_reads_as_none(store: Objects) -> None:
    assert await store.get(_key("nobody")) is None


async def test_taken_name_is_refused(store: Objects) -> None:
    await store.create(_config("one"))
    with pytest.raises(AlreadyExists, match="already exists"):
        await store.create(_config("one"))


async def test_same_name_lives_in_two_namespaces(store: Objects) -> None:
    await store.create(_namespace("other"))
    await store.create(_config("one"))
    await store.create(_config("one", namespace="other"))
    assert await _names(store) == ["one", "one"]
    assert await _names(store, namespace="other") == ["one"]


async def test_generated_names_differ(store: Objects) -> None:
    obj = _config("")
    obj["metadata"] = {"generateName": "run-", "namespace": "agents"}
    names = {(await store.create(obj))["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


async def test_object_needs_its_namespace_to_exist(store: Objects) -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await store.create(_config("one", namespace="nowhere"))


@pytest.mark.parametrize(
    "broken",
    [
        {"apiVersion": "v1", "kind": "Toaster", "metadata": {"name": "x"}},
        {"apiVersion": "v2", "kind": "Namespace", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "namespace": "agents"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {}},
        {"apiVersion": "v1", "kind": "Namespace"},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "labels": {"a": 1}}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "spec": {1: 2}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "spec": "\ud800"},
    ],
)
async def test_broken_object_is_refused_and_leaves_nothing(store: Objects, broken: Object) -> None:
    with pytest.raises(Refused):
        await store.create(broken)
    assert await _names(store, "Namespace") == ["agents"]


async def test_what_a_caller_changes_in_an_answer_changes_nothing(store: Objects) -> None:
    made = await store.create(_workflow("wf", status={"nodes": {"a": {"phase": "Running"}}}))
    key = _key("wf", "Workflow")
    made["spec"]["entrypoint"] = "other"
    made["status"]["nodes"]["a"]["phase"] = "Failed"
    read = await store.get(key)
    assert read is not None
    read["status"]["nodes"]["a"]["phase"] = "Failed"
    (listed,) = await store.list("Workflow")
    assert listed["spec"]["entrypoint"] == "main"
    assert listed["status"]["nodes"]["a"]["phase"] == "Running"


async def test_what_a_caller_changes_in_a_request_changes_nothing(store: Objects) -> None:
    patch = {"data": {"list": [1, {"a": 2}]}}
    await store.create(_config("one"))
    await store.patch(_key("one"), patch)
    patch["data"]["list"].append(3)
    read = await store.get(_key("one"))
    assert read is not None
    assert read["data"]["list"] == [1, {"a": 2}]


async def test_list_is_oldest_first_and_follows_labels(store: Objects) -> None:
    await store.create(_config("zebra", labels={"app": "rex"}))
    await store.create(_config("ant", labels={"app": "qa", "pr": "7"}))
    await store.create(_config("cow"))
    assert await _names(store) == ["zebra", "ant", "cow"]
    assert await _names(store, labels="app") == ["zebra", "ant"]
    assert await _names(store, labels="app in (qa,rex),pr=7") == ["ant"]
    assert await _names(store, labels="app!=qa") == ["zebra", "cow"]


async def test_list_follows_labels_as_patched(store: Objects) -> None:
    await store.create(_config("one", labels={"app": "rex"}))
    await store.patch(_key("one"), {"metadata": {"labels": {"app": None, "pr": "8"}}})
    assert await _names(store, labels="app") == []
    assert await _names(store, labels="pr=8") == ["one"]


async def test_patch_merges_removes_and_replaces(store: Objects) -> None:
    await store.create(_config("one") | {"data": {"a": {"b": 1, "c": 2}, "l": [1, 2], "x": "y"}})
    patched = await store.patch(
        _key("one"), {"data": {"a": {"b": None, "d": {"e": None, "f": 3}}, "l": [9], "x": {"z": 1}}}
    )
    assert patched["data"] == {"a": {"c": 2, "d": {"f": 3}}, "l": [9], "x": {"z": 1}}
    assert await store.get(_key("one")) == patched


async def test_generation_counts_changes_outside_metadata_and_status(store: Objects) -> None:
    await store.create(_workflow("wf"))
    key = _key("wf", "Workflow")
    patches: list[Object] = [
        {"status": {"phase": "Running"}},
        {"metadata": {"labels": {"a": "b"}}},
        {"spec": {"shutdown": "Stop"}},
        {"status": {"phase": "Failed"}, "spec": {"shutdown": None}},
    ]
    answers = [await store.patch(key, patch) for patch in patches]
    assert [answer["metadata"]["generation"] for answer in answers] == [1, 1, 2, 3]


async def test_resource_versions_grow(store: Objects) -> None:
    await store.create(_config("one"))
    await store.create(_config("two"))
    seen = [
        int((await store.patch(_key(name), {"data": {"n": n}}))["metadata"]["resourceVersion"])
        for n, name in enumerate(["one", "two", "one", "one"])
    ]
    assert seen == sorted(set(seen))


async def test_patch_that_changes_nothing_keeps_the_version(store: Objects) -> None:
    made = await store.create(
        _workflow("wf", status={"phase": "Running", "nodes": {"a": {"n": 1}}})
    )
    version = made["metadata"]["resourceVersion"]
    patches: list[Object] = [
        {},
        {"spec": {"entrypoint": "main"}},
        {"status": {"nodes": {"a": {"n": 1}, "b": None}}},
        {"status": {"nodes": {}}},
        {"metadata": {"uid": "other", "resourceVersion": "1"}},
    ]
    for patch in patches:
        patched = await store.patch(_key("wf", "Workflow"), patch)
        assert patched["metadata"]["resourceVersion"] == version, patch


async def test_true_and_one_are_different_values(store: Objects) -> None:
    await store.create(_config("one") | {"data": {"a": 1, "l": [0]}})
    patched = await store.patch(_key("one"), {"data": {"a": True, "l": [False]}})
    assert patched["data"]["a"] is True
    assert patched["data"]["l"][0] is False


async def test_patch_of_an_absent_object_is_not_found(store: Objects) -> None:
    with pytest.raises(NotFound):
        await store.patch(_key("nobody"), {"data": {}})


async def test_patch_with_an_old_version_conflicts(store: Objects) -> None:
    made = await store.create(_config("one"))
    first = made["metadata"]["resourceVersion"]
    await store.patch(_key("one"), {"data": {"a": "1"}}, version=first)
    with pytest.raises(Conflict):
        await store.patch(_key("one"), {"data": {"a": "2"}}, version=first)
    read = await store.get(_key("one"))
    assert read is not None
    assert read["data"]["a"] == "1"


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"name": "two"}},
        {"kind": "Secret"},
        {"metadata": None},
        {"metadata": {"labels": {"a": 1}}},
        {"metadata": {"ownerReferences": [{"name": "x"}]}},
        {"data": {"a": {1, 2}}},
    ],
)
async def test_impossible_patch_is_refused_and_changes_nothing(
    store: Objects, patch: Object
) -> None:
    made = await store.create(_config("one"))
    with pytest.raises(Refused):
        await store.patch(_key("one"), patch)
    assert await store.get(_key("one")) == made


async def test_nodes_are_patched_one_by_one(store: Objects) -> None:
    key = _key("wf", "Workflow")
    await store.create(_workflow("wf"))
    await store.patch(key, {"status": {"phase": "Running", "nodes": {"a": {"phase": "Running"}}}})
    await store.patch(key, {"status": {"nodes": {"b": {"phase": "Running", "x": None}}}})
    await store.patch(key, {"status": {"nodes": {"a": {"phase": "Failed", "message": "no"}}}})
    read = await store.get(key)
    assert read is not None
    assert read["status"] == {
        "phase": "Running",
        "nodes": {"a": {"phase": "Failed", "message": "no"}, "b": {"phase": "Running"}},
    }


async def test_answer_of_a_patch_has_an_empty_row_map(store: Objects) -> None:
    await store.create(_workflow("wf", status={"nodes": {"a": {}, "b": {}}}))
    patched = await store.patch(_key("wf", "Workflow"), {"status": {"nodes": {"a": {"n": 1}}}})
    assert patched["status"]["nodes"] == {}


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"status": {"nodes": {"a": None}}}, {"phase": "Running", "nodes": {"b": {}}}),
        ({"status": {"nodes": {"a": None, "b": None}}}, {"phase": "Running", "nodes": {}}),
        ({"status": {"nodes": None}}, {"phase": "Running"}),
        ({"status": {"nodes": "gone"}}, {"phase": "Running", "nodes": "gone"}),
        ({"status": {"nodes": {"a": 5}}}, {"phase": "Running", "nodes": {"a": 5, "b": {}}}),
        ({"status": None}, None),
        ({"status": "odd"}, "odd"),
    ],
)
async def test_row_map_follows_the_rules_of_merge_patch(
    store: Objects, patch: Object, status: Any
) -> None:
    key = _key("wf", "Workflow")
    await store.create(
        _workflow("wf", status={"phase": "Running", "nodes": {"a": {"n": 1}, "b": {}}})
    )
    await store.patch(key, patch)
    read = await store.get(key)
    assert read is not None
    assert read.get("status") == status


async def test_row_map_comes_back_after_it_was_removed(store: Objects) -> None:
    key = _key("wf", "Workflow")
    await store.create(_workflow("wf", status={"nodes": {"a": {"n": 1}}}))
    await store.patch(key, {"status": None})
    await store.patch(key, {"status": {"nodes": {"b": {"n": 2}}}})
    read = await store.get(key)
    assert read is not None
    assert read["status"] == {"nodes": {"b": {"n": 2}}}


async def test_delete_is_idempotent_and_frees_the_name(store: Objects) -> None:
    first = await store.create(_config("one"))
    await store.delete(_key("one"))
    await store.delete(_key("one"))
    assert await store.get(_key("one")) is None
    second = await store.create(_config("one"))
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


async def test_deleting_an_owner_deletes_what_it_owns(store: Objects) -> None:
    owner = await store.create(_workflow("wf"))
    reference = {"kind": "Workflow", "name": "wf", "uid": owner["metadata"]["uid"]}
    child = await store.create(_config("child", ownerReferences=[reference]))
    await store.create(
        _config("grandchild", ownerReferences=[{"uid": child["metadata"]["uid"], "name": "child"}])
    )
    await store.create(_config("free"))
    await store.delete(_key("wf", "Workflow"))
    assert await _names(store) == ["free"]


async def test_object_with_two_owners_goes_with_the_last(store: Objects) -> None:
    owners = [await store.create(_workflow(name)) for name in ("a", "b")]
    references = [{"uid": owner["metadata"]["uid"]} for owner in owners]
    await store.create(_config("child"))
    await store.patch(_key("child"), {"metadata": {"ownerReferences": references}})
    await store.delete(_key("a", "Workflow"))
    assert await _names(store) == ["child"]
    await store.delete(_key("b", "Workflow"))
    assert await _names(store) == []


async def test_disowned_object_outlives_its_former_owner(store: Objects) -> None:
    owner = await store.create(_workflow("wf"))
    await store.create(_config("child", ownerReferences=[{"uid": owner["metadata"]["uid"]}]))
    await store.patch(_key("child"), {"metadata": {"ownerReferences": None}})
    await store.delete(_key("wf", "Workflow"))
    assert await _names(store) == ["child"]


async def test_deleting_a_namespace_empties_it(store: Objects) -> None:
    await store.create(_namespace("impl-pr-7"))
    await store.create(_config("in", namespace="impl-pr-7"))
    await store.create(_config("out"))
    await store.delete(Key("Namespace", "", "impl-pr-7"))
    assert await _names(store) == ["out"]
    with pytest.raises(NotFound):
        await store.create(_config("in", namespace="impl-pr-7"))


async def test_watch_tells_what_is_there_and_then_what_happens(store: Objects) -> None:
    await store.create(_config("one"))
    await store.create(_config("two"))
    async with aclosing(store.watch("ConfigMap")) as changes:
        assert await _take(changes, 2) == [("ADDED", "one"), ("ADDED", "two")]
        await store.create(_config("three"))
        await store.patch(_key("one"), {"data": {"a": "b"}})
        await store.delete(_key("two"))
        assert await _take(changes, 3) == [
            ("ADDED", "three"),
            ("MODIFIED", "one"),
            ("DELETED", "two"),
        ]


async def test_watch_wakes_a_waiting_reader(store: Objects) -> None:
    async with aclosing(store.watch("ConfigMap")) as changes, asyncio.TaskGroup() as group:
        reading = group.create_task(_take(changes, 1))
        await asyncio.sleep(0.01)
        await store.create(_config("one"))
        assert await reading == [("ADDED", "one")]


async def test_watch_of_a_namespace_hears_of_no_other(store: Objects) -> None:
    await store.create(_namespace("other"))
    await store.create(_config("far", namespace="other"))
    async with aclosing(store.watch("ConfigMap", namespace="agents")) as changes:
        await store.create(_config("farther", namespace="other"))
        await store.create(_config("near"))
        assert await _take(changes, 1) == [("ADDED", "near")]


@_at_once
async def test_slow_reader_hears_one_change_with_the_last_state(store: Objects) -> None:
    await store.create(_config("one"))
    async with aclosing(store.watch("ConfigMap")) as changes:
        await _take(changes, 1)
        for number in range(5):
            await store.patch(_key("one"), {"data": {"n": number}})
        await store.create(_config("brief"))
        await store.delete(_key("brief"))
        await store.create(_config("end"))
        change = await anext(changes)
        assert (change.type, change.object["data"]["n"]) == ("MODIFIED", 4)
        assert await _take(changes, 1) == [("ADDED", "end")]


async def test_slow_reader_hears_the_last_state_in_the_end(store: Objects) -> None:
    await store.create(_config("one"))
    async with aclosing(store.watch("ConfigMap")) as changes:
        await _take(changes, 1)
        for number in range(5):
            await store.patch(_key("one"), {"data": {"n": number}})
        await store.create(_config("end"))
        told = await _until(changes, ("ADDED", "end"))
    numbers = [each.object["data"]["n"] for each in told[:-1]]
    assert {each.type for each in told[:-1]} == {"MODIFIED"}
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 4


async def test_object_made_anew_is_told_as_gone_and_as_new(store: Objects) -> None:
    first = await store.create(_config("one"))
    async with aclosing(store.watch("ConfigMap")) as changes:
        await _take(changes, 1)
        await store.patch(_key("one"), {"data": {"a": "last words"}})
        await store.delete(_key("one"))
        second = await store.create(_config("one"))
        *_, gone, new = await _until(changes, ("ADDED", "one"))
    assert (gone.type, gone.object["metadata"]["uid"]) == ("DELETED", first["metadata"]["uid"])
    assert gone.object["data"]["a"] == "last words"
    assert (new.type, new.object["metadata"]["uid"]) == ("ADDED", second["metadata"]["uid"])


async def test_watch_tells_of_cascades(store: Objects) -> None:
    owner = await store.create(_workflow("wf"))
    await store.create(_config("child", ownerReferences=[{"uid": owner["metadata"]["uid"]}]))
    async with aclosing(store.watch("ConfigMap")) as changes:
        await _take(changes, 1)
        await store.delete(_key("wf", "Workflow"))
        assert await _take(changes, 1) == [("DELETED", "child")]


async def test_watch_has_rows_in_the_first_change_only(store: Objects) -> None:
    await store.create(_workflow("wf", status={"phase": "Running", "nodes": {"a": {}}}))
    async with aclosing(store.watch("Workflow")) as changes:
        first = await anext(changes)
        await store.patch(_key("wf", "Workflow"), {"status": {"nodes": {"b": {}}}})
        second = await anext(changes)
    assert first.object["status"] == {"phase": "Running", "nodes": {"a": {}}}
    assert second.object["status"] == {"phase": "Running", "nodes": {}}


async def test_many_writers_of_one_object_lose_nothing(store: Objects) -> None:
    key = _key("wf", "Workflow")
    await store.create(_workflow("wf"))
    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(
                store.patch(key, {"status": {"nodes": {f"n{number}": {"n": number}}}})
            )
    read = await store.get(key)
    assert read is not None
    assert read["status"]["nodes"] == {f"n{number}": {"n": number} for number in range(200)}


async def test_cancelled_writer_harms_nobody(store: Objects) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(store.create(_config("one"))).cancel()
        writing = group.create_task(store.create(_config("two")))
        await asyncio.sleep(0)
        writing.cancel()
    await store.create(_config("three"))
    assert set(await _names(store)) >= {"three"}
    assert "one" not in await _names(store)
