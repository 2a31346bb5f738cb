"""Sends what waits to webhooks, as GitHub does: in order, ten seconds each, once.

GitHub does not try again by itself; whoever missed a delivery asks for it. So a delivery that was
on its way when the forge stopped has failed, and one that still waited is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.forge.local.rows import DeliveryRow, HookRow, IdRow
from pressplay.forge.local.storage import Storage

TIMEOUT_S = 10.0
KEPT_BODY = 64 * 1024
"""What is kept of a receiver's answer."""

AGENT = "GitHub-Hookshot/0000000"
INTERRUPTED = "interrupted: the forge stopped while this was sent"
_HIDDEN = ("set-cookie", "authorization")


@dataclass(frozen=True)
class Answer:
    """How a delivery ended; `code` is 0 where no answer came."""

    status: str
    code: int = 0
    headers: str = "{}"
    body: str = ""


@asynccontextmanager
async def sender(
    *, store: Storage, clock: Clock, waiting: asyncio.Event, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[None]:
    """Send while the block runs; `waiting` is set by whoever wrote a delivery."""
    store.all(DeliveryRow, "fail_interrupted_deliveries", status=INTERRUPTED)
    async with asyncio.TaskGroup() as group:
        sending = _Sender(group, store=store, clock=clock, waiting=waiting, timeout_s=timeout_s)
        loop = group.create_task(sending.run())
        try:
            yield
        finally:
            loop.cancel()
            sending.stop()


class _Sender:
    """One task for each hook that has something to be told, so that a slow one delays no other."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        store: Storage,
        clock: Clock,
        waiting: asyncio.Event,
        timeout_s: float,
    ) -> None:
        self._group = group
        self._store = store
        self._clock = clock
        self._waiting = waiting
        self._timeout_s = timeout_s
        self._busy: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        while True:
            self._waiting.clear()
            for row in self._store.all(IdRow, "list_waiting_hooks"):
                if row.id not in self._busy:
                    self._busy[row.id] = self._group.create_task(self._drain(row.id))
            await self._waiting.wait()

    def stop(self) -> None:
        """End every task; what was on its way has failed."""
        for task in self._busy.values():
            task.cancel()

    async def _drain(self, hook_id: int) -> None:
        try:
            while True:
                row = self._store.find(DeliveryRow, "next_delivery", hook_id=hook_id)
                if row is None:
                    return
                await self._deliver(row)
        finally:
            del self._busy[hook_id]

    async def _deliver(self, row: DeliveryRow) -> None:
        hook = self._store.find(HookRow, "find_hook", id=row.hook_id)
        now = clocks.to_text(self._clock.now())
        headers = {} if hook is None else _headers(row, hook)
        self._store.one(
            DeliveryRow,
            "begin_delivery",
            id=row.id,
            now=now,
            request_headers=json.dumps(headers),
        )
        started = self._clock.monotonic()
        answer = Answer(INTERRUPTED)
        try:
            if hook is None or not hook.active:
                answer = Answer("the webhook is gone")
            else:
                answer = await self._post(row, hook, headers)
        finally:
            self._store.one(
                DeliveryRow,
                "end_delivery",
                id=row.id,
                duration=round(self._clock.monotonic() - started, 2),
                status=answer.status,
                status_code=answer.code,
                response_headers=answer.headers,
                response_body=answer.body,
            )

    async def _post(self, row: DeliveryRow, hook: HookRow, headers: dict[str, str]) -> Answer:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx2.AsyncClient(
                    trust_env=False, timeout=self._timeout_s, verify=not hook.insecure_ssl
                ) as http,
                http.stream("POST", hook.url, content=row.payload, headers=headers) as response,
            ):
                body = await _read(response)
        except (TimeoutError, httpx2.TimeoutException):
            return Answer("timed out")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return Answer(f"failed to connect to host: {type(error).__name__}")
        shown = {key: it for key, it in response.headers.items() if key not in _HIDDEN}
        status = response.reason_phrase or str(response.status_code)
        if not response.is_success:
            status = f"Invalid HTTP Response: {response.status_code}"
        return Answer(status, response.status_code, json.dumps(shown), body)


async def _read(response: httpx2.Response) -> str:
    """The start of the answer's body."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= KEPT_BODY:
            break
    return body[:KEPT_BODY].decode(errors="replace")


def _headers(row: DeliveryRow, hook: HookRow) -> dict[str, str]:
    """GitHub's own, with a signature where the hook has a secret."""
    kind = "repository" if hook.app_id is None else "integration"
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "X-GitHub-Delivery": row.guid,
        "X-GitHub-Event": row.event,
        "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-ID": str(hook.app_id or hook.repository_id),
        "X-GitHub-Hook-Installation-Target-Type": kind,
    }
    if hook.secret:
        for name, method in (("X-Hub-Signature", "sha1"), ("X-Hub-Signature-256", "sha256")):
            digest = hmac.new(hook.secret.encode(), row.payload.encode(), getattr(hashlib, method))
            headers[name] = f"{method}={digest.hexdigest()}"
    return headers
