"""What an API server may do that our own never does: forget, page, end, and refuse for a while."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.cluster import kube
from pressplay.cluster.access import Access
from pressplay.cluster.port import Change, Conflict, Key, Object
from pressplay.cluster.remote import RemoteObjects
from pressplay.server import serving

_ENDLESS: Object = {"type": "…and no end"}


@dataclass
class Script:
    """An API server that answers what a test has written down, in its order."""

    url: str = ""
    lists: list[Any] = field(default_factory=list)
    watches: list[Any] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        query = dict(request.query_params)
        body = await request.body()
        self.tokens.append(request.headers.get("authorization", ""))
        self.asked.append(
            (request.method, request.url.path, query, json.loads(body) if body else None)
        )
        if query.get("watch"):
            return self._watch(self.watches.pop(0))
        answers = self.lists if "limit" in query else self.others
        answer = answers.pop(0)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def _watch(self, events: Any) -> Response:
        if isinstance(events, Response):
            return events

        async def lines() -> AsyncIterator[bytes]:
            for event in events:
                if event is _ENDLESS:
                    await asyncio.sleep(60)
                yield json.dumps(event, ensure_ascii=False).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/json")

    def versions(self) -> list[str]:
        """From where each watch was to go on; `list` for a list."""
        return [query.get("resourceVersion", "list") for _, _, query, _ in self.asked]


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    made = Script()
    route = Route("/{path:path}", made.answer, methods=["GET", "POST", "PATCH", "DELETE"])
    server = serving.http(Starlette(routes=[route]))
    with serving.listen(0) as listener:
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            yield made
            server.should_exit = True


@pytest.fixture
async def objects(script: Script) -> AsyncIterator[RemoteObjects]:
    async with RemoteObjects(Access(script.url, token=Secret("first"))) as made:
        yield made


def _config(name: str, version: int, **data: str) -> Object:
    metadata = {"name": name, "namespace": "agents", "uid": name, "resourceVersion": str(version)}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}


def _list(version: int, *items: Object, more: str = "") -> Object:
    metadata = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return {"kind": "ConfigMapList", "metadata": metadata, "items": list(items)}


def _event(kind: str, obj: Object) -> Object:
    return {"type": kind, "object": obj}


def _bookmark(version: int) -> Object:
    return _event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": str(version)}})


def _status(code: int, message: str = "no", reason: str = "") -> Object:
    return {"kind": "Status", "code": code, "message": message, "reason": reason}


def _failed(code: int, message: str = "no", reason: str = "") -> Response:
    return JSONResponse(_status(code, message, reason), status_code=code)


async def _told(objects: RemoteObjects, count: int) -> list[tuple[str, str, str]]:
    told = []
    async with asyncio.timeout(10), aclosing(objects.watch("ConfigMap")) as changes:
        async for change in changes:
            told.append(_words(change))
            if len(told) == count:
                return told
    raise AssertionError(f"the watch ended after {told}")


def _words(change: Change) -> tuple[str, str, str]:
    metadata = change.object["metadata"]
    return change.type, metadata["name"], metadata["resourceVersion"]


async def test_watch_goes_on_where_a_bookmark_stands(
    script: Script, objects: RemoteObjects
) -> None:
    script.lists = [_list(5, _config("a", 1))]
    script.watches = [
        [_event("MODIFIED", _config("a", 6)), _bookmark(9)],
        [_event("DELETED", _config("a", 10)), _ENDLESS],
    ]
    assert await _told(objects, 3) == [
        ("ADDED", "a", "1"),
        ("MODIFIED", "a", "6"),
        ("DELETED", "a", "10"),
    ]
    assert script.versions() == ["list", "5", "9"]
    assert script.asked[1][2]["allowWatchBookmarks"] == "true"


async def test_server_without_bookmarks_is_listed_again(
    script: Script, objects: RemoteObjects
) -> None:
    script.lists = [_list(5, _config("a", 1), _config("b", 2)), _list(8, _config("a", 7))]
    script.watches = [[], [_ENDLESS]]
    assert await _told(objects, 4) == [
        ("ADDED", "a", "1"),
        ("ADDED", "b", "2"),
        ("DELETED", "b", "2"),
        ("MODIFIED", "a", "7"),
    ]
    assert script.versions() == ["list", "5", "list", "8"]


@pytest.mark.parametrize(
    "gone", [[_bookmark(6), _event("ERROR", _status(410, "too old"))], _failed(410, "too old")]
)
async def test_what_the_server_has_forgotten_is_listed(
    script: Script, objects: RemoteObjects, gone: Any
) -> None:
    script.lists = [_list(5, _config("a", 1)), _list(20, _config("a", 12))]
    script.watches = [[_bookmark(6)], gone, [_ENDLESS]]
    assert await _told(objects, 2) == [("ADDED", "a", "1"), ("MODIFIED", "a", "12")]
    assert script.versions() == ["list", "5", "6", "list", "20"]


async def test_watch_outlives_a_server_that_fails_and_refuses_for_a_while(
    script: Script, objects: RemoteObjects, caplog: pytest.LogCaptureFixture
) -> None:
    script.lists = [
        _failed(503, "not yet"),
        _list(5, _config("a", 1)),
        _failed(403, "forbidden for now"),
        _list(6, _config("a", 6)),
    ]
    script.watches = [[_event("ERROR", _status(500, "etcd"))], [_ENDLESS]]
    with caplog.at_level(logging.WARNING, logger="pressplay"):
        assert await _told(objects, 2) == [("ADDED", "a", "1"), ("MODIFIED", "a", "6")]
    assert [each.getMessage().partition("why=")[2] for each in caplog.records] == [
        "not yet",
        "etcd",
        "forbidden for now",
    ]
    assert objects.watching() == {}


async def test_it_is_known_what_is_heard_and_what_is_not(
    script: Script, objects: RemoteObjects
) -> None:
    script.lists = [_list(5, _config("a", 1)), *[_failed(503, "down")] * 9]
    script.watches = [[_event("ADDED", _config("b", 6))]]
    async with aclosing(objects.watch("ConfigMap")) as changes, asyncio.TaskGroup() as group:
        await anext(changes)
        assert objects.watching() == {"ConfigMap": ""}
        await anext(changes)
        waiting = group.create_task(anext(changes))
        while objects.watching()["ConfigMap"] != "down":
            await asyncio.sleep(0.01)
        waiting.cancel()


@pytest.mark.parametrize(("code", "message"), [(403, "cannot list"), (404, "no such resource")])
async def test_who_may_never_watch_is_told_at_once(
    script: Script, objects: RemoteObjects, code: int, message: str
) -> None:
    script.lists = [_failed(code, message)]
    with pytest.raises(Refused, match=f"ConfigMap cannot be watched: {message}"):
        await _told(objects, 1)


async def test_text_that_ends_lines_elsewhere_ends_none_here(
    script: Script, objects: RemoteObjects
) -> None:
    odd = "a\u2028b\u0085c\u000bd"
    event = _event("ADDED", _config("a", 6, text=odd))
    script.lists, script.watches = [_list(5)], [[event, _ENDLESS], [event]]
    async with aclosing(objects.watch("ConfigMap")) as changes:
        assert (await anext(changes)).object["data"] == {"text": odd}
    with kube.KubeClient(url=script.url, token=Secret("x")) as client:
        told = await asyncio.to_thread(next, client.watch("ConfigMap", timeout_s=5))
    assert told.object["data"] == {"text": odd}


async def test_long_list_comes_in_pages_oldest_first(
    script: Script, objects: RemoteObjects
) -> None:
    made = [_config(name, number) for number, name in enumerate("abc")]
    for obj, second in zip(made, (3, 1, 2), strict=True):
        obj["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{second}Z"
        del obj["kind"], obj["apiVersion"]
    script.lists = [_list(5, *made[:2], more="next"), _list(5, made[2])]
    found = await objects.list("ConfigMap", namespace="agents", labels="a=b")
    assert [each["metadata"]["name"] for each in found] == ["b", "c", "a"]
    assert {(each["apiVersion"], each["kind"]) for each in found} == {("v1", "ConfigMap")}
    assert [query.get("continue") for _, _, query, _ in script.asked] == [None, "next"]
    assert {query["labelSelector"] for _, _, query, _ in script.asked} == {"a=b"}


async def test_status_that_is_a_resource_of_its_own_is_written_last(
    script: Script, objects: RemoteObjects
) -> None:
    answer = _config("x", 8) | {"kind": "CodeRun"}
    script.others = [answer, answer]
    patch = {"spec": {"cancel": True}, "status": {"phase": "Running"}}
    await objects.patch(Key("CodeRun", "agents", "x"), patch, version="7")
    path = "/apis/taskmaster.io/v1/namespaces/agents/coderuns/x"
    assert [(path, body) for _, path, _, body in script.asked] == [
        (path, {"spec": {"cancel": True}, "metadata": {"resourceVersion": "7"}}),
        (f"{path}/status", {"status": {"phase": "Running"}, "metadata": {"resourceVersion": "8"}}),
    ]


async def test_status_alone_is_one_write_and_that_of_a_workflow_is_no_resource(
    script: Script, objects: RemoteObjects
) -> None:
    script.others = [_config("x", 8)] * 2
    patch = {"status": {"phase": "Running"}}
    await objects.patch(Key("CodeRun", "agents", "x"), patch)
    await objects.patch(Key("Workflow", "agents", "x"), {"spec": {}} | patch)
    assert [path.rpartition("/agents/")[2] for _, path, _, _ in script.asked] == [
        "coderuns/x/status",
        "workflows/x",
    ]


async def test_new_object_gets_its_status_by_a_second_write(
    script: Script, objects: RemoteObjects
) -> None:
    script.others = [_config("x-1", 1), _config("x-1", 2)]
    metadata = {"generateName": "x-", "namespace": "agents", "uid": "claimed"}
    obj = {"apiVersion": "taskmaster.io/v1", "kind": "CodeRun", "metadata": metadata}
    made = await objects.create(obj | {"status": {"phase": "Pending"}})
    assert made["metadata"]["resourceVersion"] == "2"
    (_, _, _, first), (verb, path, _, second) = script.asked
    assert first["metadata"] == {"generateName": "x-", "namespace": "agents"}
    assert (verb, path.rpartition("/agents/")[2]) == ("PATCH", "coderuns/x-1/status")
    assert second == {"status": {"phase": "Pending"}}


async def test_deleting_what_is_on_its_way_is_no_conflict(
    script: Script, objects: RemoteObjects
) -> None:
    going = _config("x", 1)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    script.others = [_failed(409, "ensuring", "Conflict"), going]
    await objects.delete(Key("Namespace", "", "x"))
    script.others = [_failed(409, "ensuring", "Conflict"), _failed(404)]
    await objects.delete(Key("Namespace", "", "x"))
    script.others = [_failed(409, "ensuring", "Conflict"), _config("x", 1)]
    with pytest.raises(Conflict, match="ensuring"):
        await objects.delete(Key("Namespace", "", "x"))


async def test_token_is_read_anew_for_every_question(script: Script, tmp_path: Path) -> None:
    token = tmp_path / "token"
    script.others = [_config("x", 1)] * 2
    async with RemoteObjects(Access(script.url, token_file=token)) as objects:
        for text in ("first", "second\n"):
            token.write_text(text)
            await objects.get(Key("ConfigMap", "agents", "x"))
        token.unlink()
        with pytest.raises(Unavailable, match="token in"):
            await objects.get(Key("ConfigMap", "agents", "x"))
    assert script.tokens == ["Bearer first", "Bearer second"]


async def test_without_a_token_none_is_shown(script: Script) -> None:
    script.others = [{"gitVersion": "v1.34.4"}]
    async with RemoteObjects(Access(script.url)) as objects:
        assert await objects.version() == "v1.34.4"
    assert script.tokens == [""]


async def test_server_that_is_not_there_is_unavailable() -> None:
    with serving.listen(0) as listener:
        port = listener.getsockname()[1]
    async with RemoteObjects(Access(f"http://127.0.0.1:{port}")) as objects:
        with pytest.raises(Unavailable, match="does not answer"):
            await objects.list("ConfigMap")


async def test_name_leads_to_one_object_only(script: Script, objects: RemoteObjects) -> None:
    for name in ("../x", "..", ""):
        with pytest.raises(Refused, match="name"):
            await objects.delete(Key("ConfigMap", "agents", name))
    assert script.asked == []
