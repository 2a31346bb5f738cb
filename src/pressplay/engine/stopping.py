"""Stopping a run early: what begins no more, what is cut short, and what still runs to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class CutShort(Exception):
    """The run was stopped before the work had ended."""


class Stop:
    """Whether one run was stopped. Exit handlers go on, unless it was terminated.

    `message` becomes the run's, `node_message` that of the nodes that were cut short.
    """

    def __init__(self) -> None:
        self.message = ""
        self.node_message = ""
        self._stopped = asyncio.Event()
        self._terminated = asyncio.Event()

    def ask(self, message: str, *, node_message: str, terminate: bool = False) -> None:
        """Stop the run; the first message stays."""
        self.message = self.message or message
        self.node_message = self.node_message or node_message
        self._stopped.set()
        if terminate:
            self._terminated.set()

    def is_asked(self, *, exiting: bool = False) -> bool:
        """Whether a node, of the exit handler if `exiting`, is to begin no more."""
        return self._event(exiting=exiting).is_set()

    async def ends_first(self, work: asyncio.Future[Any], *, exiting: bool) -> bool:
        """Wait for `work` or for the stop; True if the work has ended.

        Cancels the work when it is cancelled itself.
        """
        stopping = asyncio.ensure_future(self._event(exiting=exiting).wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return work.done()
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise
        finally:
            stopping.cancel()

    async def unless_asked(self, work: Coroutine[Any, Any, T], *, exiting: bool) -> T:
        """What the work answers or raises; where the stop comes first it is cancelled: CutShort."""
        task = asyncio.ensure_future(work)
        if await self.ends_first(task, exiting=exiting):
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise CutShort

    async def pause(self, seconds: float, *, exiting: bool) -> None:
        """Sleep, but not past the stop."""
        try:
            await asyncio.wait_for(self._event(exiting=exiting).wait(), timeout=seconds)
        except TimeoutError:
            return

    def _event(self, *, exiting: bool) -> asyncio.Event:
        return self._terminated if exiting else self._stopped
