"""Deliveries that hang, and those that a crash left on their way."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.forge.local import sending
from pressplay.forge.local.rows import DeliveryRow, HookRow
from pressplay.forge.local.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path / "forge.sqlite")
    yield made
    made.close()


def _hook(store: Storage, url: str) -> HookRow:
    return store.one(
        HookRow,
        "add_hook",
        app_id=None,
        repository_id=None,
        url=url,
        secret="",
        insecure_ssl=0,
        events='["*"]',
        active=1,
        now="2026-01-02T03:04:05Z",
    )


def _delivery(store: Storage, hook: HookRow) -> DeliveryRow:
    return store.one(
        DeliveryRow,
        "add_delivery",
        hook_id=hook.id,
        guid="g",
        event="push",
        action=None,
        repository_id=None,
        installation_id=None,
        payload="{}",
        redelivery=0,
        now="2026-01-02T03:04:05Z",
    )


async def _settled(store: Storage, row: DeliveryRow) -> DeliveryRow:
    while True:
        found = store.one(DeliveryRow, "find_delivery", id=row.id, hook_id=row.hook_id)
        if found.state == "done":
            return found
        await asyncio.sleep(0.01)


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: b\r\nSet-Cookie: no\r\n\r\n")
    try:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
    except OSError:
        writer.close()


async def test_receiver_that_never_answers_is_given_up(store: Storage) -> None:
    server = await asyncio.start_server(_silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        row = _delivery(store, _hook(store, f"http://127.0.0.1:{port}/"))
        async with sending.sender(
            store=store, clock=SystemClock(), waiting=asyncio.Event(), timeout_s=0.3
        ):
            found = await _settled(store, row)
    assert (found.status, found.status_code) == ("timed out", 0)
    assert found.duration >= 0.3


async def test_endless_answer_is_kept_in_part(store: Storage) -> None:
    server = await asyncio.start_server(_endless, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        row = _delivery(store, _hook(store, f"http://127.0.0.1:{port}/"))
        async with sending.sender(store=store, clock=SystemClock(), waiting=asyncio.Event()):
            found = await _settled(store, row)
    assert (found.status, found.status_code) == ("OK", 200)
    assert len(found.response_body) == sending.KEPT_BODY
    assert json.loads(found.response_headers) == {"x-a": "b"}


async def test_delivery_that_a_crash_left_on_its_way_has_failed(store: Storage) -> None:
    row = _delivery(store, _hook(store, "http://127.0.0.1:9/"))
    store.one(
        DeliveryRow, "begin_delivery", id=row.id, now="2026-01-02T03:04:05Z", request_headers="{}"
    )

    async with sending.sender(store=store, clock=SystemClock(), waiting=asyncio.Event()):
        found = await _settled(store, row)

    assert (found.status, found.status_code) == (sending.INTERRUPTED, 0)


async def test_delivery_to_a_hook_that_is_gone_is_not_sent(store: Storage) -> None:
    hook = _hook(store, "http://127.0.0.1:9/")
    row = _delivery(store, hook)
    store.all(HookRow, "drop_hook", id=hook.id)

    async with sending.sender(store=store, clock=SystemClock(), waiting=asyncio.Event()):
        assert (await _settled(store, row)).status == "the webhook is gone"
