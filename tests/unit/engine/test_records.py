"""What a run's record says, and when it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Unavailable
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Object
from pressplay.engine.nodes import Outcome, Outputs, Phase
from pressplay.engine.records import NewNode, Records

KEY = Key("Workflow", "agents", "wf")


class Store(MemoryObjects):
    """Counts the patches, and can fail."""

    patches = 0
    fails = False

    async def patch(self, key: Key, patch: Object, *, version: str = "") -> Object:
        if self.fails:
            raise Unavailable("the disk is full")
        self.patches += 1
        return await super().patch(key, patch, version=version)


async def _begun() -> tuple[Store, Records]:
    store = Store(clock=SystemClock())
    await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}})
    workflow = await store.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "wf", "namespace": "agents"},
            "spec": {},
            "status": {"nodes": {}},
        }
    )
    return store, Records(objects=store, workflow=workflow, clock=SystemClock())


def _node(name: str, kind: str, *parents: str) -> NewNode:
    return NewNode(name=name, display=name, kind=kind, template={}, parents=parents)


async def _phases(store: Store) -> Mapping[str, str]:
    found: Any = await store.get(KEY)
    return {each["name"]: each["phase"] for each in found["status"]["nodes"].values()}


async def test_a_pod_is_written_before_it_begins_and_with_it_all_that_waited() -> None:
    store, record = await _begun()
    group = await record.begin(_node("wf", "Steps"))
    await record.begin(_node("wf[0]", "StepGroup", group))
    assert store.patches == 0
    await record.begin(_node("wf[0].a", "Pod", group))
    assert store.patches == 1
    assert set(await _phases(store)) == {"wf", "wf[0]", "wf[0].a"}
    await record.end("wf[0].a", Outcome(Phase.SUCCEEDED, "", Outputs({"x": "1"}, {})))
    await record.end("wf[0]", Outcome(Phase.SUCCEEDED))
    await record.begin(_node("wf[1].b", "Pod", group))
    assert store.patches == 2
    assert (await _phases(store))["wf[0].a"] == "Succeeded"


async def test_what_waits_is_written_soon_though_nothing_follows() -> None:
    store, record = await _begun()
    await record.begin(_node("wf.a", "Pod"))
    await record.end("wf.a", Outcome(Phase.FAILED, "no"))
    assert (await _phases(store))["wf.a"] == "Running"
    async with asyncio.timeout(5):
        while (await _phases(store))["wf.a"] != "Failed":
            await asyncio.sleep(0.002)


async def test_all_is_written_when_a_run_has_settled() -> None:
    store, record = await _begun()
    await record.begin(_node("wf.a", "Pod"))
    await record.end("wf.a", Outcome(Phase.SUCCEEDED))
    await record.settled()
    assert (await _phases(store))["wf.a"] == "Succeeded"
    before = store.patches
    await record.settled()
    assert store.patches == before


async def test_an_error_of_what_was_written_later_meets_the_next_step() -> None:
    store, record = await _begun()
    await record.begin(_node("wf.a", "Pod"))
    store.fails = True
    await record.end("wf.a", Outcome(Phase.SUCCEEDED))
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable):
        await record.begin(_node("wf.b", "Pod"))
    store.fails = False
    await record.settled()
    assert await _phases(store) == {"wf.a": "Succeeded", "wf.b": "Running"}
