"""A queue of names to reconcile: each at most once, never two workers on one, retries with a pause.

The contract is controller-runtime's: a reconciler gets a name, reads the world, and is repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pressplay.base.errors import PressplayError
from pressplay.cluster.port import Key

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 10.0

Reconcile = Callable[[Key], Awaitable[float | None]]
"""Does what is to be done; answers the seconds after which to look again, or None."""


class WorkQueue:
    """Runs one reconciler over names that others add."""

    def __init__(self, reconcile: Reconcile, *, name: str) -> None:
        self._reconcile = reconcile
        self._name = name
        self._waiting: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Ask for a reconcile; asking twice before it begins is asking once."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.put_nowait(key)

    async def run(self) -> None:
        """Work until cancelled; different names run beside each other."""
        async with asyncio.TaskGroup() as group:
            while True:
                key = await self._waiting.get()
                self._queued.discard(key)
                self._busy.add(key)
                group.create_task(self._work(key))

    async def _work(self, key: Key) -> None:
        pause = await self._once(key)
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif pause is not None:
            asyncio.get_running_loop().call_later(pause, self.add, key)

    async def _once(self, key: Key) -> float | None:
        try:
            pause = await self._reconcile(key)
        except PressplayError as error:
            _LOG.warning("reconcile_failed queue=%s key=%s error=%s", self._name, key, error)
        except Exception:  # noqa: BLE001 - one object that breaks us must not stop the others
            _LOG.exception("reconcile_broken queue=%s key=%s", self._name, key)
        else:
            self._failures.pop(key, None)
            return pause
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**failures))
