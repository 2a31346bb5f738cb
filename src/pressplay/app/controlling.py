"""The controllers on a cluster: the other wiring, beside that of the local server.

Agent runs become Workflows of the cluster's Argo; previews end by their expiry or with their pull
request. Deployments are the cluster's own business here.

One process is meant to run, and no leader is elected: everything that is done carries its identity
(a Workflow its run's name, a status what the Workflow says), so that two of them, as while one is
replaced, do the same twice and each thing once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pressplay.base.clocks import Clock, SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster.access import Access
from pressplay.cluster.port import Key
from pressplay.cluster.remote import RemoteObjects
from pressplay.controllers.closing import ClosingController, ForgePulls, MountedForge
from pressplay.controllers.expiry import ExpiryController
from pressplay.controllers.runs import RunController

_LOG = logging.getLogger(__name__)

_FORGE_PAUSE_S = 60.0
"""How often the forge, which counts our requests, is asked for closed pull requests."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_LOOK_S = 0.2

Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Settings:
    """What the controllers of one cluster are told.

    Agent runs are looked for in `namespace` alone. Without a folder that holds an App's key,
    previews end by their expiry only. Every `report_s` the log says how it stands.
    """

    access: Access
    namespace: str
    forge_api_url: str
    app_key: Path
    report_s: float = 60.0


async def serve(settings: Settings) -> None:
    """Control until SIGTERM or SIGINT.

    Raises Refused for what no waiting helps against: a missing right, a kind that is not installed.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with RemoteObjects(settings.access) as objects:
        # Whatever fails for good ends the others; their half-done work is done again by name.
        working = asyncio.ensure_future(_control(settings, objects))
        waiting = asyncio.ensure_future(ending.wait())
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        for task in (working, waiting):
            task.cancel()
        said, _ = await asyncio.gather(working, waiting, return_exceptions=True)
    if isinstance(said, Exception):
        raise said
    _LOG.info("controllers_ended")


async def _control(settings: Settings, objects: RemoteObjects) -> None:
    await _tirelessly(lambda: _greet(settings, objects), name="start")
    works = dict(_works(settings, objects, clock=SystemClock()))
    async with asyncio.TaskGroup() as group:
        for name, work in works.items():
            group.create_task(_tirelessly(work, name=name))
        group.create_task(_report(objects, names=list(works), every_s=settings.report_s))


def _works(
    settings: Settings, objects: RemoteObjects, *, clock: Clock
) -> Iterator[tuple[str, Work]]:
    """The controllers by name."""
    yield "runs", RunController(objects=objects, clock=clock, namespace=settings.namespace).run
    yield "expiry", ExpiryController(objects=objects, clock=clock).run
    if not settings.app_key.is_dir():
        _LOG.warning("closing_is_off why=no App's key at %s", settings.app_key)
        return
    forge = MountedForge(api_url=settings.forge_api_url, folder=settings.app_key)
    pulls = ForgePulls(forge=forge, clock=clock)
    yield "closing", ClosingController(objects=objects, pulls=pulls, pause_s=_FORGE_PAUSE_S).run


async def _greet(settings: Settings, objects: RemoteObjects) -> None:
    """Say where we are. Raises Refused where that can be no place of ours."""
    version = await objects.version()
    if await objects.get(Key("Namespace", "", settings.namespace)) is None:
        raise Refused(f"There is no namespace {settings.namespace!r}; name another by --namespace")
    _LOG.info(
        "controllers_started server=%s version=%s namespace=%s",
        *(settings.access.url, version, settings.namespace),
    )


async def _tirelessly(work: Work, *, name: str) -> None:
    """Do it again, with growing pauses, as long as only the server is not there."""
    pause = _FIRST_PAUSE_S
    while True:
        begun = asyncio.get_running_loop().time()
        try:
            return await work()
        except Unavailable as error:
            _LOG.warning("server_unavailable while=%s why=%s", name, error)
        if asyncio.get_running_loop().time() - begun > _LONGEST_PAUSE_S:
            pause = _FIRST_PAUSE_S
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, pause * 2)


async def _report(objects: RemoteObjects, *, names: list[str], every_s: float) -> None:
    """One line in the log when all is heard for the first time, then one now and then."""
    while not (watched := objects.watching()) or any(watched.values()):  # noqa: ASYNC110 - seldom
        await asyncio.sleep(_LOOK_S)
    _LOG.info("controllers_ready controllers=%s", ",".join(names))
    while True:
        await asyncio.sleep(every_s)
        watched = objects.watching()
        for kind, trouble in watched.items():
            if trouble:
                _LOG.warning("controllers_ailing kind=%s why=%s", kind, trouble)
        if not any(watched.values()):
            _LOG.info("controllers_healthy watching=%s", ",".join(sorted(watched)))
