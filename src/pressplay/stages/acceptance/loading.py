"""Open-loop load: requests leave at their time, whether earlier answers came or not.

A client that waits for an answer before it asks again slows down with the app it measures, and
leaves out just the requests that would have waited ("coordinated omission"). Here every request
has its moment fixed beforehand, and its latency counts from that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import aiohttp
import yarl

from pressplay.evidence.judging import Plan
from pressplay.evidence.samples import Sample
from pressplay.evidence.targets import Target
from pressplay.stages.acceptance import answers

READ_LIMIT = 1024 * 1024
"""Most bytes of an answer that are read; what follows is not waited for."""

KEEP_LIMIT = 64 * 1024
"""Most bytes of an answer that are kept, where no check wants to see all of it."""

_BURST = 16
"""Most overdue requests that leave in one go, before answers are looked at again."""

_LOOK_AGAIN_S = 0.1
_KEEP_ALIVE_S = 1.0
"""Idle connections are dropped before a server would: a race there would look like a failure."""


@dataclass(frozen=True)
class Shot:
    """One request to send: its target, its numbers, and when it is due (ms since the start)."""

    target: Target
    look: int
    n: int
    due_ms: float


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 and an error where no whole answer did."""

    status: int
    body: bytes = b""
    content_type: str = ""
    error: str = ""


@dataclass(frozen=True)
class Result:
    """A finished request: its sample, and the answer that it was judged by.

    `lag_ms` is how late this client was in sending: its own fault, and not the app's.
    """

    sample: Sample
    answer: Answer
    lag_ms: float


@dataclass(frozen=True)
class _Request:
    url: yarl.URL
    headers: dict[str, str]
    data: bytes | None
    server_name: str


def shots(plan: Plan, *, look: int, start_ms: float) -> Iterator[Shot]:
    """What to send for one look (from 1), in the order and at the rate of the plan.

    The endpoints take turns, so that each meets the whole load.
    """
    first = plan.counts[look - 2] if look > 1 else 0
    gap_ms = 1000 / plan.acceptance.load.rate
    numbers = range(first + 1, plan.counts[look - 1] + 1)
    turns = ((n, target) for n in numbers for target in plan.targets)
    for index, (n, target) in enumerate(turns):
        yield Shot(target, look=look, n=n, due_ms=start_ms + index * gap_ms)


class Client:
    """Sends the requests of one acceptance to the addresses in its plan and to no others."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._requests = {target.key: _prepared(target) for target in plan.targets}
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    async def send_look(self, look: int, observe: Callable[[Result], None]) -> None:
        """Send all requests of one look, hand each result to `observe`, wait for the last.

        It ends at most one timeout after its last request is due.
        """
        async with asyncio.TaskGroup() as group:
            planned = shots(self._plan, look=look, start_ms=self._now_ms())
            for index, shot in enumerate(planned):
                wait_s = (shot.due_ms - self._now_ms()) / 1000
                if wait_s > 0 or index % _BURST == 0:
                    await asyncio.sleep(max(0.0, wait_s))
                group.create_task(self._fire(shot, observe))

    async def _fire(self, shot: Shot, observe: Callable[[Result], None]) -> None:
        lag_ms = self._now_ms() - shot.due_ms
        answer = await self._ask(shot)
        latency_ms = round(self._now_ms() - shot.due_ms, 3)
        endpoint = shot.target.endpoint
        error = answer.error or answers.complaint(endpoint, status=answer.status, body=answer.body)
        if not error and latency_ms > self._plan.timeout_ms:
            error = "timeout"
        sample = Sample(
            endpoint=endpoint.name,
            host=shot.target.address.host,
            path=endpoint.path,
            method=endpoint.method,
            look=shot.look,
            n=shot.n,
            started_ms=round(shot.due_ms, 3),
            latency_ms=latency_ms,
            status=answer.status,
            ok=not error,
            error=error,
        )
        observe(Result(sample, answer, lag_ms))

    async def _ask(self, shot: Shot) -> Answer:
        """One request; its time runs from the moment it was due, or was sent if that was later."""
        due = self._start + shot.due_ms / 1000
        deadline = due + self._plan.timeout_ms / 1000
        request = self._requests[shot.target.key]
        method, keep = shot.target.endpoint.method, _keep(shot.target)
        try:
            async with (
                asyncio.timeout_at(deadline),
                self._session.request(
                    method,
                    request.url,
                    headers=request.headers,
                    data=request.data,
                    server_hostname=request.server_name,
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response, keep=keep)
                return Answer(response.status, body, response.content_type)
        except TimeoutError:
            return Answer(0, error="timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            return Answer(0, error=f"{type(error).__name__}: {said}")

    def _now_ms(self) -> float:
        return (self._loop.time() - self._start) * 1000


async def until_reachable(plan: Plan, *, longest_s: float) -> None:
    """Wait until somebody listens at every address of the plan, or for `longest_s` seconds."""
    addresses = sorted({target.address.connect for target in plan.targets})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            for address in addresses:
                await _until_reachable(address)


@contextlib.asynccontextmanager
async def open_client(plan: Plan) -> AsyncIterator[Client]:
    """A client with a pool of its own; without cookies, proxies or redirects."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        headers={"User-Agent": "pressplay-acceptance"},
    ) as session:
        yield Client(plan, session)


async def _until_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            await asyncio.sleep(_LOOK_AGAIN_S)
        else:
            writer.close()
            return


def _prepared(target: Target) -> _Request:
    """The request as it goes out: dialled at `connect`, asked for under `host`."""
    endpoint, address = target.endpoint, target.address
    scheme = "https" if address.url.startswith("https://") else "http"
    headers = {"Host": address.host, **endpoint.headers}
    data = None
    if endpoint.json is not None:
        data = json.dumps(endpoint.json).encode()
        if "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
    return _Request(
        url=yarl.URL(f"{scheme}://{address.connect}{endpoint.path}", encoded=True),
        headers=headers,
        data=data,
        server_name=address.host.partition(":")[0],
    )


def _keep(target: Target) -> int:
    return KEEP_LIMIT if target.endpoint.body is None else READ_LIMIT


async def _read(response: aiohttp.ClientResponse, *, keep: int) -> bytes:
    """The first `keep` bytes of the body; the rest is read too, up to the limit, and dropped."""
    kept = bytearray()
    total = 0
    async for chunk in response.content.iter_any():
        kept += chunk[: keep - len(kept)]
        total += len(chunk)
        if total >= READ_LIMIT:
            response.close()
            break
    return bytes(kept)
