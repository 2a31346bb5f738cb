from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Unavailable
from pressplay.cluster.port import Change, Key
from pressplay.server import addresses, streaming

if TYPE_CHECKING:
    from tests.unit.server.conftest import Api  # only a name here: pytest hands the object in

CONFIGMAPS = "/api/v1/namespaces/agents/configmaps"
LOG = "/api/v1/namespaces/agents/pods/p/log"


async def _config(api: Api, name: str, **labels: str) -> int:
    """Create a ConfigMap; its version."""
    metadata = {"name": name, "namespace": "agents", "labels": labels}
    made = await api.store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    return int(made["metadata"]["resourceVersion"])


def _watch(
    api: Api,
    *,
    path: str = CONFIGMAPS,
    labels: str = "",
    fields: str = "",
    since: int = 0,
    seconds: float = 5,
) -> AsyncIterator[bytes]:
    address = addresses.parse(path)
    assert address is not None
    return streaming.watch_lines(
        api.store,
        address,
        wanted=streaming.choice(labels=labels, fields=fields),
        since=since,
        clock=SystemClock(),
        seconds=seconds,
    )


async def _take(lines: AsyncIterator[bytes], count: int) -> list[tuple[str, str]]:
    events = [json.loads(await anext(lines)) for _ in range(count)]
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def _labels(**labels: str | None) -> dict[str, Any]:
    return {"metadata": {"labels": labels}}


async def test_watch_tells_what_happens_as_lines_of_json(api: Api) -> None:
    await _config(api, "one")
    lines = _watch(api)
    assert await _take(lines, 1) == [("ADDED", "one")]
    await api.store.patch(Key("ConfigMap", "agents", "one"), _labels(a="b"))
    assert await _take(lines, 1) == [("MODIFIED", "one")]
    await api.store.delete(Key("ConfigMap", "agents", "one"))
    assert await _take(lines, 1) == [("DELETED", "one")]


async def test_watch_of_one_name_hears_of_no_other(api: Api) -> None:
    lines = _watch(api, fields="metadata.name=two")
    await _config(api, "one")
    await _config(api, "two")
    assert await _take(lines, 1) == [("ADDED", "two")]


async def test_object_enters_and_leaves_a_choice_by_its_labels(api: Api) -> None:
    key = Key("ConfigMap", "agents", "one")
    await _config(api, "one")
    lines = _watch(api, labels="a=b")
    await api.store.patch(key, _labels(a="b"))
    assert await _take(lines, 1) == [("ADDED", "one")]
    await api.store.patch(key, _labels(a="c"))
    assert await _take(lines, 1) == [("DELETED", "one")]
    await api.store.delete(key)
    await _config(api, "end", a="b")
    assert await _take(lines, 1) == [("ADDED", "end")]


async def test_what_a_client_has_listed_is_not_told_again(api: Api) -> None:
    version = await _config(api, "known")
    await _config(api, "new")
    lines = _watch(api, since=version)
    await api.store.patch(Key("ConfigMap", "agents", "new"), _labels(a="b"))
    assert await _take(lines, 1) == [("ADDED", "new")]
    await api.store.patch(Key("ConfigMap", "agents", "known"), _labels(a="b"))
    assert await _take(lines, 1) == [("MODIFIED", "known")]


async def test_changed_workflow_is_told_with_its_nodes(api: Api) -> None:
    version, kind = "argoproj.io/v1alpha1", "Workflow"
    metadata = {"name": "wf", "namespace": "agents"}
    await api.store.create({"apiVersion": version, "kind": kind, "metadata": metadata})
    lines = _watch(api, path=f"/apis/{version}/namespaces/agents/workflows")
    await anext(lines)
    await api.store.patch(Key(kind, "agents", "wf"), {"status": {"nodes": {"a": {"n": 1}}}})
    event = json.loads(await anext(lines))
    assert event["object"]["status"]["nodes"] == {"a": {"n": 1}}


async def test_watch_ends_when_its_time_is_up(api: Api) -> None:
    await _config(api, "one")
    answer = await api.ask("GET", CONFIGMAPS, watch="true", timeoutSeconds="1")
    assert [json.loads(line)["type"] for line in answer.text.splitlines()] == ["ADDED"]


async def test_what_ends_a_watch_early_is_its_last_line(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> AsyncIterator[Change]:
        await asyncio.sleep(0)
        for change in list[Change]():
            yield change
        raise Unavailable("State cannot be written")

    monkeypatch.setattr(api.store, "watch", broken)
    (line,) = [json.loads(each) async for each in _watch(api)]
    assert (line["type"], line["object"]["code"]) == ("ERROR", 503)
    assert line["object"]["message"] == "State cannot be written"


async def test_log_is_told_whole_or_by_its_last_lines(api: Api) -> None:
    file = api.logs / "agents" / "p" / "main.log"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"".join(b"line %d\n" % n for n in range(30_000)))
    assert (await api.ask("GET", LOG)).content == file.read_bytes()
    assert (await api.ask("GET", LOG, tailLines="2")).text == "line 29998\nline 29999\n"
    assert (await api.ask("GET", LOG, tailLines="0")).text == ""


async def test_log_of_the_try_before_is_told_or_said_to_be_missing(api: Api) -> None:
    metadata = {"name": "p", "namespace": "agents"}
    await api.store.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    folder = api.logs / "agents" / "p"
    folder.mkdir(parents=True)
    (folder / "main.log").write_text("now\n")
    asked = await api.ask("GET", LOG, container="main", previous="true")
    assert asked.status_code == 400
    assert "previous terminated container 'main' in pod 'p' not found" in asked.json()["message"]
    (folder / "main.previous.log").write_text("before\n")
    asked = await api.ask("GET", LOG, container="main", previous="true", follow="true")
    assert asked.text == "before\n"


async def test_first_container_of_a_pod_is_the_default(api: Api) -> None:
    for name in ("app", "side"):
        file = api.logs / "agents" / "p" / f"{name}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    containers = [{"name": "app"}, {"name": "side"}]
    await api.store.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "agents"},
            "spec": {"containers": containers},
        }
    )
    assert (await api.ask("GET", LOG)).text == "app"
    assert (await api.ask("GET", LOG, container="side")).text == "side"
    # It is there and has said nothing yet.
    assert (await api.ask("GET", LOG, container="later")).text == ""


@pytest.mark.parametrize(
    ("container", "code"), [("main", 404), ("../../x", 400), ("a/b", 400), ("X", 400)]
)
async def test_log_of_nothing_is_not_found(api: Api, container: str, code: int) -> None:
    assert (await api.ask("GET", LOG, container=container)).status_code == code


async def test_followed_log_is_told_as_it_grows_until_its_pod_ends(tmp_path: Path) -> None:
    log = tmp_path / "main.log"
    log.write_text("old\nnew\n")
    lives = True

    async def goes_on() -> bool:
        return lives

    pieces = streaming.follow_log(lambda: log, tail=1, goes_on=goes_on)
    assert await anext(pieces) == b"new\n"
    with log.open("a") as file:
        file.write("more\n")
    async with asyncio.timeout(5):
        assert await anext(pieces) == b"more\n"
        log.write_text("anew\n")
        assert await anext(pieces) == b"anew\n"
        lives = False
        assert [piece async for piece in pieces] == []


async def test_followed_log_that_vanishes_ends_quietly(tmp_path: Path) -> None:
    async def goes_on() -> bool:
        return False

    pieces = streaming.follow_log(lambda: tmp_path / "none.log", tail=None, goes_on=goes_on)
    assert [piece async for piece in pieces] == []
