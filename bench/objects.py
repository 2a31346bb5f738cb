"""How fast the object store is: durable patches of nodes, and what ten thousand nodes change.

    python bench/objects.py [FOLDER]

FOLDER lies on the disk that is to be measured; by default the place for temporary files.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pressplay.base.clocks import SystemClock
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Objects
from pressplay.cluster.sqlite import SqliteObjects

FEW, MANY = 100, 10_000
WRITERS = 64
ROUNDS = 3


def node(number: int) -> dict[str, Any]:
    """A finished node as Argo records one."""
    return {
        "id": f"wf-{number}",
        "name": f"wf.step({number}:item-{number})",
        "displayName": f"step({number}:item-{number})",
        "type": "Pod",
        "phase": "Succeeded",
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:01Z",
        "templateName": "work",
        "templateScope": "local/wf",
        "boundaryID": "wf",
        "outputs": {"parameters": [{"name": "result", "value": "x" * 50}], "exitCode": "0"},
    }


async def make(store: Objects, count: int) -> Key:
    """A Workflow of so many nodes."""
    key = Key("Workflow", "agents", f"wf-{count}")
    await store.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"workflowTemplateRef": {"name": "implementation-dag"}},
            "status": {"nodes": {f"wf-{number}": node(number) for number in range(count)}},
        }
    )
    return key


async def rate(store: Objects, key: Key, *, nodes: int, patches: int, writers: int) -> float:
    """Patches of one node each, a second."""
    begun = time.perf_counter()

    async def write(writer: int) -> None:
        for number in range(patches // writers):
            name = f"wf-{(number * writers + writer) % nodes}"
            await store.patch(key, {"status": {"nodes": {name: {"message": f"{begun}-{number}"}}}})

    await asyncio.gather(*(write(writer) for writer in range(writers)))
    return patches / (time.perf_counter() - begun)


async def compare(name: str, store: Objects, *, patches: int, writers: int) -> None:
    """Print the best of some rounds with few nodes and with many."""
    few = many = 0.0
    for _ in range(ROUNDS):
        few = max(few, await rate(store, FEW_KEY, nodes=FEW, patches=patches, writers=writers))
        many = max(many, await rate(store, MANY_KEY, nodes=MANY, patches=patches, writers=writers))
    print(
        f"{name:7} {writers:2} writers: {few:9,.0f}/s at {FEW} nodes, {many:9,.0f}/s at {MANY}, "
        f"time ratio {few / many:.2f}"
    )


FEW_KEY = Key("Workflow", "agents", f"wf-{FEW}")
MANY_KEY = Key("Workflow", "agents", f"wf-{MANY}")


async def measure(name: str, store: Objects, *, alone: int, together: int) -> None:
    """All figures of one store."""
    await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}})
    for count in (FEW, MANY):
        await make(store, count)
    await compare(name, store, patches=alone, writers=1)
    await compare(name, store, patches=together, writers=WRITERS)
    begun = time.perf_counter()
    await store.get(MANY_KEY)
    print(f"{name:7} reading {MANY} nodes: {(time.perf_counter() - begun) * 1e3:.0f} ms")


async def main(folder: str | None) -> None:
    """Memory, then disk, then how long a start takes."""
    await measure("memory", MemoryObjects(clock=SystemClock()), alone=20_000, together=19_200)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        store = await SqliteObjects.open(Path(scratch), clock=SystemClock())
        await measure("sqlite", store, alone=2_000, together=19_200)
        await store.aclose()
        begun = time.perf_counter()
        store = await SqliteObjects.open(Path(scratch), clock=SystemClock())
        print(f"sqlite  start with {MANY} nodes: {(time.perf_counter() - begun) * 1e3:.0f} ms")
        await store.aclose()
    print(f"largest resident set: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
