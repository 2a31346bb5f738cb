"""Previews of closed pull requests go; what cannot be asked stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Object
from pressplay.controllers.closing import ClosingController, ForgePulls, MountedForge, StoredForge


class _Pulls:
    """A forge with one closed pull request, and one that it does not know."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.meanwhile: Any = None

    async def is_closed(self, owner: str, repo: str, number: int) -> bool:
        self.asked.append((owner, repo, number))
        if self.meanwhile is not None:
            await self.meanwhile()
        if number == 404:
            raise Unavailable("the forge does not answer")
        return number == 7


class _Listed(MemoryObjects):
    """A cluster with one Namespace, which may be on its way out."""

    def __init__(self, namespace: Any) -> None:
        super().__init__(clock=SystemClock())
        self.deleted: list[str] = []
        self._only = {"apiVersion": "v1", "kind": "Namespace", **namespace}

    async def get(self, key: Key) -> Object | None:
        return self._only

    async def list(self, kind: str, *, namespace: str = "", labels: str = "") -> list[Object]:
        return [self._only]

    async def delete(self, key: Key) -> None:
        if key.name == "impl-pr-403":
            raise Refused("only previews")
        self.deleted.append(key.name)


async def _preview(objects: MemoryObjects, name: str, *, pr: str, of: str = "acme/todo") -> Object:
    labels = {"preview": "true", "pr": pr}
    annotations = {"pressplay.dev/repository": of} if of else {}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return await objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects(clock=SystemClock())


async def _names(objects: MemoryObjects) -> set[str]:
    return {each["metadata"]["name"] for each in await objects.list("Namespace")}


async def test_only_the_previews_of_closed_pull_requests_go(objects: MemoryObjects) -> None:
    for pr in ("404", "7", "8"):
        await _preview(objects, f"impl-pr-{pr}", pr=pr)
    pulls = _Pulls()
    await ClosingController(objects=objects, pulls=pulls, pause_s=1).look()
    assert await _names(objects) == {"impl-pr-404", "impl-pr-8"}
    assert set(pulls.asked) == {("acme", "todo", n) for n in (404, 7, 8)}


@pytest.mark.parametrize(("pr", "of"), [("7", ""), ("7", "acme"), ("", "acme/todo"), ("x", "a/b")])
async def test_a_preview_that_does_not_say_whose_it_is_stays(
    objects: MemoryObjects, pr: str, of: str
) -> None:
    await _preview(objects, "impl-pr-7", pr=pr, of=of)
    pulls = _Pulls()
    await ClosingController(objects=objects, pulls=pulls, pause_s=1).look()
    assert (await _names(objects), pulls.asked) == ({"impl-pr-7"}, [])


async def test_one_that_was_made_anew_while_the_forge_was_asked_stays(
    objects: MemoryObjects,
) -> None:
    await _preview(objects, "impl-pr-7", pr="7")
    pulls = _Pulls()

    async def renew() -> None:
        await objects.delete(Key("Namespace", "", "impl-pr-7"))
        await _preview(objects, "impl-pr-7", pr="7")

    pulls.meanwhile = renew
    await ClosingController(objects=objects, pulls=pulls, pause_s=1).look()
    assert await _names(objects) == {"impl-pr-7"}


async def test_without_the_apps_key_it_is_said_which_secret_is_missing(
    objects: MemoryObjects,
) -> None:
    forge = StoredForge(objects=objects, namespace="agents")
    pulls = ForgePulls(forge=forge, clock=SystemClock())
    with pytest.raises(Refused, match="github-app-rex needs the keys app-id and private-key"):
        await pulls.is_closed("acme", "todo", 7)


async def test_a_mounted_key_is_read_anew_each_time(tmp_path: Path) -> None:
    forge = MountedForge(api_url="https://forge.example/api/v3", folder=tmp_path)
    with pytest.raises(Refused, match="No App id in"):
        await forge.read()
    for number in ("1", "2"):
        (tmp_path / "app-id").write_text(number)
        (tmp_path / "private-key").write_text("PEM")
        url, app = await forge.read()
        assert (url, app.app_id) == ("https://forge.example/api/v3", number)


async def test_what_is_on_its_way_out_is_asked_about_no_more() -> None:
    listed = {"metadata": {"name": "impl-pr-7", "uid": "u", "labels": {"pr": "7"}}}
    listed["metadata"]["annotations"] = {"pressplay.dev/repository": "acme/todo"}
    pulls = _Pulls()
    for going in (True, False):
        listed["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z" if going else ""
        store = _Listed(listed)
        await ClosingController(objects=store, pulls=pulls, pause_s=1).look()
        assert store.deleted == ([] if going else ["impl-pr-7"])
    assert len(pulls.asked) == 1
