"""The object port over a real Kubernetes: what of its promises holds there, and what differs.

The whole suite (tests/contract/test_objects.py) stores what no API server would take, such as a
number in a ConfigMap; here the same promises are asked with objects that are valid.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from pressplay.base.errors import PressplayError, Refused
from pressplay.cluster import access, kubeconfig
from pressplay.cluster.access import Access
from pressplay.cluster.connection import Connection
from pressplay.cluster.port import AlreadyExists, Change, Conflict, Key, NotFound, Object, is_going
from pressplay.cluster.remote import RemoteObjects
from pressplay.manifests import loading

if TYPE_CHECKING:
    from live.places import Places

_PATIENCE_S = 30.0
_REFERENCE = {"apiVersion": "v1", "kind": "ConfigMap"}
_numbers = itertools.count()


@pytest.fixture
def way(live_places: Places) -> Access:
    """The way to the cluster, as its administrator."""
    return kubeconfig.read([live_places.kubeconfig])


@pytest.fixture
async def store(way: Access) -> AsyncIterator[RemoteObjects]:
    async with RemoteObjects(way) as made:
        yield made


@pytest.fixture
async def home(store: RemoteObjects) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    name = f"objects-{secrets.token_hex(3)}-{next(_numbers)}"
    await store.create(_namespace(name))
    yield name
    await store.delete(Key("Namespace", "", name))


@pytest.fixture
async def runs(store: RemoteObjects) -> None:
    """The kinds that we bring along; they stay."""
    for obj in loading.shipped(namespace="agents"):
        if obj["kind"] != "CustomResourceDefinition":
            continue
        try:
            await store.create(obj)
        except AlreadyExists:
            await store.patch(Key(obj["kind"], "", obj["metadata"]["name"]), obj)
    for kind in ("CodeRun", "DocsRun"):
        await _served(store, kind)


async def _served(store: RemoteObjects, kind: str) -> None:
    """Return once a kind that is installed is answered for, too."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                await store.list(kind)
            except NotFound:
                await asyncio.sleep(0.2)
            else:
                return


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _config(home: str, name: str, **metadata: Any) -> Object:
    return {
        **_REFERENCE,
        "metadata": {"name": name, "namespace": home, **metadata},
        "data": {"key": "value"},
    }


def _workflow(home: str, name: str, **fields: Any) -> Object:
    """A Workflow that Argo leaves alone, because it is meant for another controller."""
    labels = {"workflows.argoproj.io/controller-instanceid": "nobody"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": home, "labels": labels},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
        **fields,
    }


def _ingress(home: str, **fields: Any) -> Object:
    backend = {"service": {"name": "x", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "x", "namespace": home},
        "spec": {"defaultBackend": backend},
        **fields,
    }


def _run(home: str) -> Object:
    return {
        "apiVersion": "taskmaster.io/v1",
        "kind": "CodeRun",
        "metadata": {"name": "x", "namespace": home},
        "spec": {"repo": "o/r", "github": {"appName": "qa"}},
    }


def _node(name: str, **fields: Any) -> Object:
    return {"id": name, "name": name, "displayName": name, "type": "Pod", **fields}


async def _until(changes: AsyncIterator[Change], last: tuple[str, str]) -> list[Change]:
    """The changes up to one of this type and name; not of what a namespace is born with."""
    told = []
    async with asyncio.timeout(_PATIENCE_S):
        async for change in changes:
            name = change.object["metadata"]["name"]
            if name == "kube-root-ca.crt":
                continue
            told.append(change)
            if (change.type, name) == last:
                break
    return told


def _words(told: list[Change]) -> list[tuple[str, str]]:
    return [(each.type, each.object["metadata"]["name"]) for each in told]


async def _gone(store: RemoteObjects, key: Key) -> None:
    async with asyncio.timeout(_PATIENCE_S * 2):
        while await store.get(key) is not None:
            await asyncio.sleep(0.1)


async def test_created_object_is_given_identity_and_none_that_is_claimed(
    store: RemoteObjects, home: str
) -> None:
    claimed = _config(home, "one", uid="mine", resourceVersion="99999", generation=7)
    made = await store.create(claimed)
    metadata = made["metadata"]
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    assert await store.get(Key("ConfigMap", home, "one")) == made
    assert "generation" not in metadata, "a ConfigMap has none, as the port says"
    workflow = await store.create(_workflow(home, "w"))
    assert workflow["metadata"]["generation"] == 1


async def test_names_are_identities(store: RemoteObjects, home: str) -> None:
    assert await store.get(Key("ConfigMap", home, "nobody")) is None
    await store.create(_config(home, "one"))
    with pytest.raises(AlreadyExists, match='configmaps "one" already exists'):
        await store.create(_config(home, "one"))
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await store.create(_config("nowhere", "one"))
    obj = _config(home, "one")
    obj["metadata"] = {"generateName": "run-", "namespace": home}
    names = {(await store.create(obj))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


async def test_list_follows_labels_and_is_oldest_first_to_the_second(
    store: RemoteObjects, home: str
) -> None:
    await store.create(_config(home, "zebra", labels={"app": "rex"}))
    await asyncio.sleep(1.1)
    await store.create(_config(home, "ant", labels={"app": "qa", "pr": "7"}))

    async def names(labels: str) -> list[str]:
        found = await store.list("ConfigMap", namespace=home, labels=labels)
        return [each["metadata"]["name"] for each in found]

    assert await names("app") == ["zebra", "ant"]
    assert await names("app in (qa,rex),pr=7") == ["ant"]
    assert await names("app,app!=qa") == ["zebra"]
    await store.patch(Key("ConfigMap", home, "zebra"), {"metadata": {"labels": {"app": None}}})
    assert await names("app") == ["ant"]
    (found,) = await store.list("ConfigMap", namespace=home, labels="pr=7")
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")


async def test_patch_merges_and_one_that_changes_nothing_keeps_the_version(
    store: RemoteObjects, home: str
) -> None:
    await store.create(_config(home, "one") | {"data": {"a": "1", "b": "2"}})
    key = Key("ConfigMap", home, "one")
    patched = await store.patch(key, {"data": {"a": None, "c": "3"}})
    assert patched["data"] == {"b": "2", "c": "3"}
    version = patched["metadata"]["resourceVersion"]
    for nothing in ({}, {"data": {"b": "2"}}, {"metadata": {"uid": "x", "resourceVersion": "1"}}):
        assert (await store.patch(key, nothing))["metadata"]["resourceVersion"] == version
    with pytest.raises(NotFound):
        await store.patch(Key("ConfigMap", home, "nobody"), {"data": {}})


async def test_patch_with_an_old_version_conflicts(store: RemoteObjects, home: str) -> None:
    made = await store.create(_config(home, "one"))
    key, first = Key("ConfigMap", home, "one"), made["metadata"]["resourceVersion"]
    await store.patch(key, {"data": {"a": "1"}}, version=first)
    with pytest.raises(Conflict, match="the object has been modified"):
        await store.patch(key, {"data": {"a": "2"}}, version=first)


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"name": "two"}},
        {"metadata": {"labels": {"a": 1}}},
        {"metadata": {"ownerReferences": [{"name": "x"}]}},
        {"data": {"a": 1}},
    ],
)
async def test_impossible_patch_is_refused_and_changes_nothing(
    store: RemoteObjects, home: str, patch: Object
) -> None:
    made = await store.create(_config(home, "one"))
    key = Key("ConfigMap", home, "one")
    with pytest.raises(Refused):
        await store.patch(key, patch)
    assert await store.get(key) == made


async def test_status_of_most_kinds_is_a_write_of_its_own(store: RemoteObjects, home: str) -> None:
    # An Ingress, because here nobody else writes its status.
    here, there = ({"loadBalancer": {"ingress": [{"hostname": n}]}} for n in ("a.org", "b.org"))
    made = await store.create(_ingress(home, status=here))
    assert (made["status"], made["metadata"]["generation"]) == (here, 1)
    key, version = Key("Ingress", home, "x"), made["metadata"]["resourceVersion"]
    patch = {"status": there, "spec": {"ingressClassName": "nobody"}}
    both = await store.patch(key, patch, version=version)
    assert (both["status"], both["spec"]["ingressClassName"]) == (there, "nobody")
    assert both["metadata"]["generation"] == 2
    alone = await store.patch(key, {"status": here})
    assert (alone["status"], alone["metadata"]["generation"]) == (here, 2)
    for old in ({"status": there}, {"spec": {"ingressClassName": "x"}}):
        with pytest.raises(Conflict):
            await store.patch(key, old, version=version)
    assert await store.get(key) == alone


@pytest.mark.usefixtures("runs")
async def test_our_kinds_are_judged_by_their_schemas(store: RemoteObjects, home: str) -> None:
    await store.create(_run(home))
    key = Key("CodeRun", home, "x")
    with pytest.raises(Refused, match="Unsupported value"):
        await store.patch(key, {"status": {"phase": "Odd"}})
    with pytest.raises(Refused, match=r"spec\.repo"):
        await store.patch(key, {"spec": {"repo": "{{=1}}"}})
    status = {"outputs": {"a": "b"}, "unknown": "field"}
    kept = (await store.patch(key, {"status": status}))["status"]
    assert kept["outputs"]["a"] == "b"
    assert "unknown" not in kept


async def test_status_of_a_workflow_is_no_write_of_its_own_and_counts_as_a_generation(
    store: RemoteObjects, home: str
) -> None:
    key = Key("Workflow", home, "w")
    nodes = {"a": _node("a", phase="Running"), "b": _node("b")}
    made = await store.create(_workflow(home, "w", status={"nodes": nodes}))
    assert set(made["status"]["nodes"]) == {"a", "b"}
    patch = {"status": {"nodes": {"a": {"phase": "Failed"}, "b": None}}, "spec": {"priority": 1}}
    patched = await store.patch(key, patch)
    assert (patched["status"]["nodes"], patched["spec"]["priority"]) == ({}, 1)
    found = await store.get(key)
    assert found is not None
    assert found["status"]["nodes"] == {"a": _node("a", phase="Failed")}
    before = found["metadata"]["generation"]
    after = await store.patch(key, {"status": {"phase": "Running"}})
    assert after["metadata"]["generation"] == before + 1


async def test_delete_is_idempotent_and_cascades_a_moment_later(
    store: RemoteObjects, home: str
) -> None:
    owners = [await store.create(_config(home, name)) for name in ("a", "b")]
    both = [
        {**_REFERENCE, "name": each["metadata"]["name"], "uid": each["metadata"]["uid"]}
        for each in owners
    ]
    await store.create(_config(home, "of-a", ownerReferences=both[:1]))
    await store.create(_config(home, "of-both", ownerReferences=both))
    key = Key("ConfigMap", home, "a")
    await store.delete(key)
    await store.delete(key)
    assert await store.get(key) is None
    again = await store.create(_config(home, "a"))
    assert again["metadata"]["uid"] != owners[0]["metadata"]["uid"]
    await _gone(store, Key("ConfigMap", home, "of-a"))
    assert await store.get(Key("ConfigMap", home, "of-both")) is not None
    await store.delete(Key("ConfigMap", home, "b"))
    await _gone(store, Key("ConfigMap", home, "of-both"))


async def test_namespace_goes_by_and_by_and_takes_nothing_new(store: RemoteObjects) -> None:
    name = f"objects-{secrets.token_hex(3)}-going"
    key = Key("Namespace", "", name)
    await store.create(_namespace(name))
    await store.create(_config(name, "in", finalizers=["example.com/holds-it"]))
    await store.delete(key)
    await store.delete(key)
    found = await store.get(key)
    assert found is not None
    assert is_going(found)
    with pytest.raises(Refused, match="being terminated"):
        await store.create(_config(name, "late"))
    held = Key("ConfigMap", name, "in")
    async with asyncio.timeout(_PATIENCE_S):
        while not is_going(await store.get(held) or _config(name, "in")):
            await asyncio.sleep(0.1)
    await store.patch(held, {"metadata": {"finalizers": None}})
    await _gone(store, key)


async def test_watch_tells_what_is_there_and_then_what_happens(
    store: RemoteObjects, home: str
) -> None:
    for name in ("one", "two"):
        await store.create(_config(home, name))
    async with aclosing(store.watch("ConfigMap", namespace=home)) as changes:
        told = await _until(changes, ("ADDED", "two"))
        assert {*_words(told)} == {("ADDED", "one"), ("ADDED", "two")}
        await store.create(_config(home, "three"))
        await store.patch(Key("ConfigMap", home, "one"), {"data": {"a": "last words"}})
        await store.delete(Key("ConfigMap", home, "one"))
        second = await store.create(_config(home, "one"))
        told = await _until(changes, ("ADDED", "one"))
    assert _words(told) == [
        ("ADDED", "three"),
        ("MODIFIED", "one"),
        ("DELETED", "one"),
        ("ADDED", "one"),
    ]
    assert told[2].object["data"]["a"] == "last words"
    assert told[3].object["metadata"]["uid"] == second["metadata"]["uid"]


async def test_watch_of_all_namespaces_tells_of_cascades(store: RemoteObjects, home: str) -> None:
    owner = await store.create(_config(home, "owner"))
    reference = {**_REFERENCE, "name": "owner", "uid": owner["metadata"]["uid"]}
    await store.create(_config(home, f"child-of-{home}", ownerReferences=[reference]))
    async with aclosing(store.watch("ConfigMap")) as changes:
        await _until(changes, ("ADDED", f"child-of-{home}"))
        await store.delete(Key("ConfigMap", home, "owner"))
        await _until(changes, ("DELETED", f"child-of-{home}"))


async def test_watch_has_rows_in_the_first_change_only(store: RemoteObjects, home: str) -> None:
    await store.create(_workflow(home, "w", status={"nodes": {"a": _node("a")}}))
    async with aclosing(store.watch("Workflow", namespace=home)) as changes:
        first = await anext(changes)
        await store.patch(Key("Workflow", home, "w"), {"status": {"nodes": {"b": _node("b")}}})
        second = await anext(changes)
    assert first.object["status"]["nodes"] == {"a": _node("a")}
    assert second.object["status"]["nodes"] == {}


async def test_many_writers_of_one_object_lose_nothing(store: RemoteObjects, home: str) -> None:
    await store.create(_config(home, "one"))
    key = Key("ConfigMap", home, "one")

    async def write(number: int) -> None:
        while True:
            try:
                await store.patch(key, {"data": {f"n{number}": str(number)}})
            except Conflict:
                continue  # the server tried five times by itself
            return

    async with asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(write(number))
    found = await store.get(key)
    assert found is not None
    assert len(found["data"]) == 41


async def test_version_that_is_forgotten_is_answered_with_410(way: Access) -> None:
    connection = Connection(way)
    query: dict[str, str | int] = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": 5}
    told: list[Any] = []
    try:
        async with connection.follow("/api/v1/configmaps", query, silence_s=10) as events:
            told += [(each["type"], each["object"]["code"]) async for each in events]
    except PressplayError as error:
        told.append(str(error))
    finally:
        await connection.aclose()
    assert told == [("ERROR", 410)] or "too old" in str(told)


async def test_watch_outlives_its_connection_and_misses_nothing(way: Access, home: str) -> None:
    parts = urlsplit(way.url)
    async with _Cutter(str(parts.hostname), int(parts.port or 443)) as cutter:
        around = Access(
            f"https://127.0.0.1:{cutter.port}", way.token, way.token_file, verify=way.verify
        )
        async with RemoteObjects(way) as direct, RemoteObjects(around) as store:
            await direct.create(_config(home, "one"))
            await direct.create(_config(home, "two"))
            async with aclosing(store.watch("ConfigMap", namespace=home)) as changes:
                await _until(changes, ("ADDED", "two"))
                cutter.cut()
                await direct.delete(Key("ConfigMap", home, "one"))
                await direct.patch(Key("ConfigMap", home, "two"), {"data": {"a": "b"}})
                await direct.create(_config(home, "zebra"))
                told = await _until(changes, ("ADDED", "zebra"))
    assert {*_words(told)} == {("DELETED", "one"), ("MODIFIED", "two"), ("ADDED", "zebra")}


async def test_pod_finds_the_cluster_and_its_rights_by_what_is_mounted(
    way: Access, store: RemoteObjects, home: str, live_places: Places, tmp_path: Path
) -> None:
    metadata = {"name": "somebody", "namespace": home}
    await store.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    connection = Connection(way)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{home}/serviceaccounts/somebody/token"
    made = await connection.ask("POST", path, body=request)
    await connection.aclose()
    (tmp_path / "token").write_text(made["status"]["token"])
    (tmp_path / "ca.crt").write_bytes(_authority(live_places.kubeconfig))
    parts = urlsplit(way.url)
    variables = {
        "KUBERNETES_SERVICE_HOST": str(parts.hostname),
        "KUBERNETES_SERVICE_PORT": str(parts.port),
    }
    mounted = access.of_pod(variables, service_account_dir=tmp_path)
    async with RemoteObjects(mounted) as somebody:
        assert (await somebody.version()).startswith("v1.")
        with pytest.raises(Refused, match=f"{home}:somebody.* cannot list resource"):
            await somebody.list("ConfigMap", namespace=home)
        (tmp_path / "token").write_text("nobody")
        with pytest.raises(Refused, match="Unauthorized"):
            await somebody.list("ConfigMap", namespace=home)


def _authority(path: Path) -> bytes:
    cluster = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
    return base64.b64decode(cluster["certificate-authority-data"])


class _Cutter:
    """Hands connections on to a server, until it cuts all of them."""

    port: int

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> _Cutter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._writers += [writer, back]
        await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
