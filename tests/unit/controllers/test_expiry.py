"""What nobody needs any longer goes."""

from __future__ import annotations

from datetime import UTC, datetime

from pressplay.cluster.memory import MemoryObjects
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
