from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.cluster.kube import KubeClient, ServerFailed
from pressplay.cluster.port import AlreadyExists, Conflict, NotFound, Object

if TYPE_CHECKING:
    from tests.unit.cluster.conftest import Served  # only a name here: pytest hands the object in

_NUMBERS = itertools.count()


@pytest.fixture
def kube(served: Served) -> Iterator[KubeClient]:
    with served.client() as client:
        yield client


@pytest.fixture
def holder(kube: KubeClient) -> str:
    """A namespace of the test's own."""
    name = f"space-{next(_NUMBERS)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def _config(holder: str, name: str = "one", **data: str) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": holder}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_object_lives_from_creation_to_deletion(kube: KubeClient, holder: str) -> None:
    made = kube.create(_config(holder, a="1"))
    assert kube.get("ConfigMap", holder, "one") == made
    assert kube.patch("ConfigMap", holder, "one", {"data": {"b": "2"}})["data"] == {
        "a": "1",
        "b": "2",
    }
    kube.delete("ConfigMap", holder, "one")
    kube.delete("ConfigMap", holder, "one")
    assert kube.get("ConfigMap", holder, "one") is None


def test_taken_name_is_told_apart_from_a_conflict(kube: KubeClient, holder: str) -> None:
    old = kube.create(_config(holder))
    with pytest.raises(AlreadyExists, match='configmaps "one" already exists'):
        kube.create(_config(holder))
    kube.patch("ConfigMap", holder, "one", {"data": {"a": "1"}})
    with pytest.raises(Conflict, match="the object has been modified"):
        kube.patch("ConfigMap", holder, "one", old)


def test_patch_of_nothing_is_not_found(kube: KubeClient, holder: str) -> None:
    with pytest.raises(NotFound, match='configmaps "one" not found'):
        kube.patch("ConfigMap", holder, "one", {"data": {}})


def test_apply_creates_and_then_merges(kube: KubeClient, holder: str) -> None:
    kube.apply(_config(holder, a="1"))
    assert kube.apply(_config(holder, b="2"))["data"] == {"a": "1", "b": "2"}


def test_items_of_a_list_say_what_they_are(kube: KubeClient, holder: str) -> None:
    for name, app in (("a", "x"), ("b", "y")):
        obj = _config(holder, name)
        obj["metadata"]["labels"] = {"app": app}
        kube.create(obj)
    found = kube.list("ConfigMap", holder, labels="app in (y)")
    assert [(o["kind"], o["apiVersion"], o["metadata"]["name"]) for o in found] == [
        ("ConfigMap", "v1", "b")
    ]
    assert len(kube.list("ConfigMap", holder)) == 2
    assert holder in [each["metadata"]["name"] for each in kube.list("Namespace")]


def test_status_is_patched_by_its_own_path(kube: KubeClient, holder: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": holder}}
    kube.create(pod)
    patch = {"status": {"phase": "Running"}}
    assert "status" not in kube.patch("Pod", holder, "p", patch)
    assert kube.patch("Pod", holder, "p", patch, subresource="status")["status"] == patch["status"]


def test_identity_without_rights_is_refused_in_the_servers_words(
    kube: KubeClient, served: Served, holder: str
) -> None:
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}})
    account = {"name": "sealer", "namespace": "agents"}
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    with (
        served.client("sealer") as sealer,
        pytest.raises(Refused, match='cannot list resource "po'),
    ):
        sealer.list("Pod", holder)
    with served.client("nobody") as nobody, pytest.raises(Refused, match="Unauthorized"):
        nobody.list("Pod", holder)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../namespaces/agents"])
def test_name_cannot_lead_to_another_path(kube: KubeClient, holder: str, name: str) -> None:
    with pytest.raises(Refused, match="is no name"):
        kube.delete("ConfigMap", holder, name)


def test_name_with_signs_of_a_url_is_only_a_name(kube: KubeClient, holder: str) -> None:
    assert kube.get("ConfigMap", holder, "a?watch=true#x") is None


def test_logs_are_read_whole_or_by_their_last_lines(
    kube: KubeClient, served: Served, holder: str
) -> None:
    file = served.folder / holder / "p" / "app"
    file.parent.mkdir(parents=True)
    file.write_text("one\ntwo\n")
    assert kube.logs(holder, "p", container="app") == "one\ntwo\n"
    assert kube.logs(holder, "p", container="app", tail=1) == "two\n"
    with pytest.raises(NotFound):
        kube.logs(holder, "q")


def test_logs_are_followed_until_their_pod_has_ended(
    kube: KubeClient, served: Served, holder: str
) -> None:
    folder = served.folder / holder / "p"
    folder.mkdir(parents=True)
    (folder / "app").write_text("one\ntwo\n")
    (folder / "runs").touch()

    def go_on() -> None:
        time.sleep(0.3)
        with (folder / "app").open("a") as log:
            log.write("three\n")
        (folder / "runs").unlink()

    thread = threading.Thread(target=go_on)
    thread.start()
    heard = b"".join(kube.follow_logs(holder, "p", container="app", tail=1, timeout_s=5))
    thread.join()
    assert heard == b"two\nthree\n"
    (folder / "runs").touch()
    begun = time.monotonic()
    assert list(kube.follow_logs(holder, "p", container="app", tail=1, timeout_s=0.5)) == [
        b"three\n"
    ]
    assert time.monotonic() - begun < 3, "silence ends it"
    with pytest.raises(NotFound):
        list(kube.follow_logs(holder, "none", timeout_s=1))


def test_watch_tells_only_what_has_the_labels(kube: KubeClient, holder: str) -> None:
    for name in ("one", "other"):
        obj = _config(holder, name)
        obj["metadata"]["labels"] = {"which": name}
        kube.create(obj)
    told = kube.watch("ConfigMap", holder, labels="which=one", timeout_s=0.5)
    assert [each.object["metadata"]["name"] for each in told] == ["one"]


def test_artifact_comes_in_pieces_or_not_at_all(kube: KubeClient, served: Served) -> None:
    (served.folder / "run").mkdir()
    (served.folder / "run" / "a b").write_bytes(b"x" * 200_000)
    assert b"".join(kube.artifact("agents", "run/a b")) == b"x" * 200_000
    assert b"".join(kube.artifact("agents", "run/none")) == b""
    with pytest.raises(Refused, match="no artifact's key"):
        list(kube.artifact("agents", "run/../x/../.."))


def test_watch_tells_changes_until_its_time_is_up(
    kube: KubeClient, served: Served, holder: str
) -> None:
    kube.create(_config(holder, "other"))
    kube.create(_config(holder))

    def change() -> None:
        with served.client() as writer:
            time.sleep(0.2)
            writer.patch("ConfigMap", holder, "one", {"data": {"a": "1"}})
            writer.delete("ConfigMap", holder, "one")

    thread = threading.Thread(target=change)
    thread.start()
    begun = time.monotonic()
    told = [
        (each.type, each.object["metadata"]["name"])
        for each in kube.watch("ConfigMap", holder, name="one", timeout_s=1)
    ]
    thread.join()
    assert told[0] == ("ADDED", "one")
    assert told[-1] == ("DELETED", "one")
    assert 0.9 < time.monotonic() - begun < 3


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(("code", "count"), [(410, 1), (503, 0)])
def test_what_a_server_says_at_the_end_of_a_watch_counts(code: int, count: int) -> None:
    told = {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "disk full"}}
    added = {"type": "ADDED", "object": {"metadata": {"name": "n"}}}
    lines = [json.dumps(each).encode() + b"\n" for each in (told, added)]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for line in lines[: count + 1]:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(_HEAD + line)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with KubeClient(url=url, token=Secret("x")) as kube:
            changes = kube.watch("Pod", "agents", timeout_s=5)
            if count:
                assert next(changes).type == "ADDED"
            else:
                with pytest.raises(ServerFailed, match="disk full"):
                    next(changes)
        thread.join()


def test_broken_stream_is_taken_up_again() -> None:
    line = b'{"type":"ADDED","object":{"metadata":{"name":"n"}}}\n'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(_HEAD + line)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with KubeClient(url=url, token=Secret("x")) as kube:
            changes = kube.watch("Pod", "agents", timeout_s=5)
            assert [next(changes).type for _ in range(2)] == ["ADDED", "ADDED"]
        thread.join()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy", Unavailable),
        (b"HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n", Unavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhtml", Unavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", Unavailable),
        (b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\n[]", Refused),
        (b"", Unavailable),
    ],
)
def test_odd_answer_is_told_as_ours_or_as_the_servers_fault(
    answer: bytes, error: type[Exception]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with KubeClient(url=url, token=Secret("x")) as kube, pytest.raises(error):
            kube.get("Pod", "agents", "p")
        thread.join()


def test_silent_server_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        KubeClient(url=f"http://127.0.0.1:{port}", token=Secret("x")) as kube,
        pytest.raises(Unavailable, match="does not answer"),
    ):
        kube.get("Pod", "agents", "p")


def test_pod_finds_its_server_and_its_token(served: Served, tmp_path: Path, holder: str) -> None:
    (tmp_path / "token").write_text("operator-token\n")
    variables = {"PRESSPLAY_KUBE_URL": served.url, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    with KubeClient.from_pod(variables, service_account_dir=tmp_path) as kube:
        assert kube.get("Namespace", "", holder) is not None


@pytest.mark.parametrize(
    ("token", "variables", "message"),
    [
        (None, {"PRESSPLAY_KUBE_URL": "http://x"}, "No service account token"),
        ("t", {}, "Neither PRESSPLAY_KUBE_URL nor KUBERNETES_SERVICE_HOST"),
    ],
)
def test_process_outside_of_a_pod_is_told_what_is_missing(
    tmp_path: Path, token: str | None, variables: dict[str, str], message: str
) -> None:
    if token is not None:
        (tmp_path / "token").write_text(token)
    with pytest.raises(Refused, match=message):
        KubeClient.from_pod(variables, service_account_dir=tmp_path)
