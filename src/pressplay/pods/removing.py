"""Pods that are over, removed in moments in which no other one starts.

To remove what a pod wrote takes the disk, and this process, as long as to run many a step. The
steps of a run start one upon the other, until one of them works for seconds: there is time then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
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
    name: str
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
        self._waiting: deque[_Waiting] = deque()
        self._added = asyncio.Event()

    def disturb(self) -> None:
        """Tell that a pod starts."""
        self._disturbed = _now()

    def add(self, name: str, remove: Callable[[], None]) -> None:
        """Call `remove` by and by. Where it fails, the log says so."""
        self._waiting.append(_Waiting(name, _now(), remove))
        self._added.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                rest = self._rest_s()
                if rest > 0:
                    await asyncio.sleep(rest)
                else:
                    await self._remove_first()

    async def close(self) -> None:
        """Remove all that still wait, when `run` has ended and nobody adds any more."""
        while self._waiting:
            await self._remove_first()

    def _rest_s(self) -> float:
        """Seconds for which the first one still has to wait; no more than 0 where it has not."""
        if len(self._waiting) > self._most:
            return 0.0
        calm = self._disturbed + self._calm_s
        return min(calm, self._waiting[0].since + self._patience_s) - _now()

    async def _remove_first(self) -> None:
        first = self._waiting.popleft()
        try:
            await asyncio.to_thread(first.remove)
        except OSError as error:
            _LOG.warning("pod_not_removed name=%s error=%s", first.name, error)


def _now() -> float:
    return asyncio.get_running_loop().time()
