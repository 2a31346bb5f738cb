"""The load keeps its schedule whatever the app does, and goes nowhere else."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

from aiohttp import web

from pressplay.api.policy import Acceptance, Endpoint, Load
from pressplay.evidence import judging
from pressplay.evidence.judging import Plan
from pressplay.evidence.targets import Urls
from pressplay.stages.acceptance import loading
from pressplay.stages.acceptance.loading import Result
from pressplay.stages.environment import StageEnvironment

TWO = (Endpoint("/a"), Endpoint("/b"))


def plan_of(env: StageEnvironment, acceptance: Acceptance) -> Plan:
    return judging.plan(acceptance, Urls.from_json(json.loads(env.require("URLS"))))


def test_requests_are_due_at_the_rate_and_the_endpoints_take_turns(
    stage: Callable[..., StageEnvironment],
) -> None:
    acceptance = Acceptance(load=Load(rate=100, samples=8), endpoints=TWO)
    plan = plan_of(stage("127.0.0.1:1", acceptance), acceptance)
    first = list(loading.shots(plan, look=1, start_ms=0))
    assert [(shot.target.endpoint.path, shot.n, shot.due_ms) for shot in first] == [
        ("/a", 1, 0),
        ("/b", 1, 10),
        ("/a", 2, 20),
        ("/b", 2, 30),
    ]
    last = list(loading.shots(plan, look=3, start_ms=1000))
    assert [shot.n for shot in last] == [5, 5, 6, 6, 7, 7, 8, 8]
    assert last[-1].due_ms == 1070


def test_a_stalled_app_is_asked_on_and_every_request_counts_its_wait(
    serve: Callable[[Any], Any], stage: Callable[..., StageEnvironment]
) -> None:
    stalled = math.inf

    async def stall(_request: web.BaseRequest) -> web.Response:
        nonlocal stalled
        now = asyncio.get_running_loop().time()
        if stalled == math.inf:
            stalled = now + 0.5
        await asyncio.sleep(max(0.0, stalled - now))
        return web.Response()

    app = serve(stall)
    acceptance = Acceptance(load=Load(rate=100, samples=40, timeout_s=2), looks=(1.0,))
    results: list[Result] = []

    async def probe() -> None:
        async with loading.open_client(
            plan_of(stage(app.connect, acceptance), acceptance)
        ) as client:
            await client.send_look(1, results.append)

    asyncio.run(probe())
    assert len(results) == 40
    assert all(result.sample.ok for result in results)
    by_number = sorted(results, key=lambda result: result.sample.n)
    # All forty were sent while the first one was still waiting; none waited for another's answer.
    assert by_number[0].sample.latency_ms > 450
    assert by_number[30].sample.latency_ms > 100
    assert by_number[30].sample.started_ms - by_number[0].sample.started_ms == 300


def test_a_redirect_is_not_followed_and_cookies_are_not_sent_back(
    serve: Callable[[Any], Any], stage: Callable[..., StageEnvironment]
) -> None:
    cookies: list[str] = []

    async def redirect(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie", ""))
        headers = {"Location": "/elsewhere", "Set-Cookie": "session=1"}
        return web.Response(status=302, headers=headers)

    app = serve(redirect)
    acceptance = Acceptance(
        load=Load(rate=200, samples=5), endpoints=(Endpoint("/", expect=(302,)),), looks=(1.0,)
    )
    results: list[Result] = []

    async def probe() -> None:
        async with loading.open_client(
            plan_of(stage(app.connect, acceptance), acceptance)
        ) as client:
            await client.send_look(1, results.append)

    asyncio.run(probe())
    assert [result.sample.status for result in results] == [302] * 5
    assert {path for _, path, _ in app.asked} == {"/"}
    assert cookies == [""] * 5


def test_a_request_that_cannot_be_made_is_a_failed_one(
    stage: Callable[..., StageEnvironment],
) -> None:
    acceptance = Acceptance(load=Load(rate=200, samples=2), looks=(1.0,))
    env = stage("a..b.invalid:80", acceptance)
    results: list[Result] = []

    async def probe() -> None:
        async with loading.open_client(plan_of(env, acceptance)) as client:
            await client.send_look(1, results.append)

    asyncio.run(probe())
    assert [result.sample.status for result in results] == [0, 0]
    assert all(result.sample.error for result in results)
