"""Pods that are over, removed in moments in which no other one starts.

To remove what a pod wrote takes the disk, and this process, as long as to run many a step. The
steps of a run start one upon the other, until one of them works for seconds: there is time then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)

CALM_S = 0.3
"""How long no pod has started before one is removed: between two steps lie some 30 ms."""

PATIENCE_S = 10.0
MOST = 32
"""Pods that may wait. A machine on which pods start all the time would fill its disk."""


@dataclass(frozen=True)
class _Waiting:
    since: float
    remove: Callable[[], None]


class Remover:
    """Removes pods one after another, each in a thread. Belongs to one event loop."""

    def __init__(
        self, *, calm_s: float = CALM_S, patience_s: float = PATIENCE_S, most: int = MOST
    ) -> None:
        """A pod that has waited for `patience_s`, or one of more than `most`, waits no longer."""
        self._calm_s, self._patience_s, self._most = calm_s, patience_s, most
        self._disturbed = -calm_s
        self._waiting: dict[str, _Waiting] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._added = asyncio.Event()

    def disturb(self) -> None:
        """Tell that a pod starts."""
        self._disturbed = _now()

    def add(self, uid: str, remove: Callable[[], None]) -> None:
        """Call `remove` by and by. Where it fails, the log says so."""
        self._waiting[uid] = _Waiting(_now(), remove)
        self._added.set()

    async def gone(self, uid: str) -> None:
        """Back when the pod is removed: at once, if it still waits or was never added."""
        leaving = self._begin(uid) if uid in self._waiting else self._leaving.get(uid)
        if leaving is not None:
            await asyncio.wait({leaving})

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                await self._work()

    async def close(self) -> None:
        """Remove all that still wait, when `run` has ended and nobody adds any more."""
        for uid in [*self._leaving, *self._waiting]:
            await self.gone(uid)

    async def _work(self) -> None:
        uid, first = next(iter(self._waiting.items()))
        rest = min(self._disturbed + self._calm_s, first.since + self._patience_s) - _now()
        if rest > 0 and len(self._waiting) <= self._most:
            await asyncio.sleep(rest)
        else:
            await asyncio.wait({self._begin(uid)})

    def _begin(self, uid: str) -> asyncio.Future[None]:
        leaving = asyncio.ensure_future(self._remove(uid, self._waiting.pop(uid).remove))
        self._leaving[uid] = leaving
        return leaving

    async def _remove(self, uid: str, remove: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(remove)
        except OSError as error:
            _LOG.warning("pod_not_removed uid=%s error=%s", uid, error)
        finally:
            del self._leaving[uid]


def _now() -> float:
    return asyncio.get_running_loop().time()
