"""What nobody needs any longer goes: previews past their expiry."""

from __future__ import annotations

import asyncio
import logging

from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.cluster.port import Objects, key_of

_LOG = logging.getLogger(__name__)
EXPIRES = "pressplay.dev/expires"
_PAUSE_S = 5.0


class ExpiryController:
    """Deletes preview namespaces whose annotated time has passed; what is in them goes too."""

    def __init__(self, *, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Delete what has expired now. A time that cannot be read counts as expired."""
        for namespace in await self._objects.list("Namespace", labels="preview=true"):
            text = namespace["metadata"].get("annotations", {}).get(EXPIRES, "")
            if self._is_past(text):
                _LOG.info("preview_expired namespace=%s", namespace["metadata"]["name"])
                await self._objects.delete(key_of(namespace))

    def _is_past(self, text: str) -> bool:
        try:
            return clocks.from_text(text) <= self._clock.now()
        except ValueError:
            return True
