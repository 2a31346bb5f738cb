"""What nobody needs any longer goes: previews past their expiry."""

from __future__ import annotations

import asyncio
import logging

from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.base.errors import PressplayError
from pressplay.cluster.port import Key, Object, Objects, is_going, key_of

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
        for listed in await self._objects.list("Namespace", labels="preview=true"):
            try:
                await self._judge(key_of(listed))
            except PressplayError as error:
                _LOG.warning("preview_stays namespace=%s why=%s", listed["metadata"]["name"], error)

    async def _judge(self, key: Key) -> None:
        # Asked again just before: deleting the one before took a moment, and people extend.
        namespace = await self._objects.get(key)
        if namespace is None or is_going(namespace) or not self._is_past(namespace):
            return
        _LOG.info("preview_expired namespace=%s", key.name)
        await self._objects.delete(key)

    def _is_past(self, namespace: Object) -> bool:
        text = (namespace["metadata"].get("annotations") or {}).get(EXPIRES, "")
        try:
            return clocks.from_text(text) <= self._clock.now()
        except (ValueError, TypeError):
            # No time at all, or one without a zone, which no moment can be compared with.
            return True
