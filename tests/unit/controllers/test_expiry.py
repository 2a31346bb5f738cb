"""What nobody needs any longer goes."""

from __future__ import annotations

from datetime import UTC, datetime

from pressplay.base.errors import Refused
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key
from pressplay.controllers.expiry import ExpiryController


class _Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


async def test_only_previews_past_their_time_are_removed_with_what_is_in_them() -> None:
    objects = MemoryObjects(clock=_Still())
    times = {
        "impl-pr-1": "2026-01-01T11:59:59Z",
        "impl-pr-2": "2026-01-01T12:00:01Z",
        "impl-pr-3": "soon",
        "impl-pr-4": "2026-01-02T00:00:00",
    }
    for name, expires in times.items():
        annotations = {"pressplay.dev/expires": expires}
        metadata = {"name": name, "labels": {"preview": "true"}, "annotations": annotations}
        await objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        await objects.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": name},
            }
        )
    await objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}})
    await ExpiryController(objects=objects, clock=_Still()).look()
    left = {each["metadata"]["name"] for each in await objects.list("Namespace")}
    assert left == {"impl-pr-2", "agents"}
    assert len(await objects.list("ConfigMap")) == 1


class _Stubborn(MemoryObjects):
    """A cluster that refuses to delete one Namespace, and deletes the others by and by."""

    def __init__(self) -> None:
        super().__init__(clock=_Still())
        self.asked: list[str] = []

    async def delete(self, key: Key) -> None:
        self.asked.append(key.name)
        if key.name == "impl-pr-1":
            raise Refused("only previews")
        await self.patch(key, {"metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z"}})


async def test_one_that_may_not_be_removed_keeps_no_other_and_none_is_removed_twice() -> None:
    objects = _Stubborn()
    for number in (1, 2):
        annotations = {"pressplay.dev/expires": "2026-01-01T11:00:00Z"}
        metadata = {"name": f"impl-pr-{number}", "labels": {"preview": "true"}}
        await objects.create(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {**metadata, "annotations": annotations},
            }
        )
    controller = ExpiryController(objects=objects, clock=_Still())
    await controller.look()
    await controller.look()
    assert objects.asked == ["impl-pr-1", "impl-pr-2", "impl-pr-1"]
