from __future__ import annotations

import asyncio
from contextlib import aclosing

from pressplay.base.clocks import SystemClock
from pressplay.cluster import watching
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key
from pressplay.cluster.records import Record


def _record(number: int) -> Record:
    return Record(
        id=number,
        key=Key("ConfigMap", "agents", f"c{number}"),
        uid=f"u{number}",
        version=number,
        body=b"{}",
        labels={},
        owners=frozenset(),
        rows=None,
    )


def test_reader_who_stands_still_costs_one_entry_an_object() -> None:
    records = [_record(number) for number in range(10)]
    reader = watching.Subscription(namespace="", present=records)
    for _ in range(100):
        for record in records:
            reader.note("MODIFIED", record)
    for number in range(100, 1100):
        passing = _record(number)
        reader.note("ADDED", passing)
        reader.note("MODIFIED", passing)
        reader.note("DELETED", passing)
    assert reader.waiting == 10


async def test_reader_who_leaves_is_forgotten() -> None:
    feed = watching.Feed()
    with feed.subscribe("ConfigMap", namespace="", present=[]) as reader:
        feed.publish("ADDED", _record(1))
    feed.publish("ADDED", _record(2))
    assert reader.waiting == 1


async def test_reader_with_much_to_hear_lets_others_run() -> None:
    store = MemoryObjects(clock=SystemClock())
    for number in range(200):
        await store.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"n{number}"}}
        )
    turns: list[str] = []

    async def read() -> None:
        async with aclosing(store.watch("Namespace")) as changes:
            for _ in range(200):
                await anext(changes)
        turns.append("read")

    async def other() -> None:
        turns.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(other())
    assert turns == ["other", "read"]
