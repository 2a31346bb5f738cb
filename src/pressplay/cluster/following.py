"""One watch over HTTP that goes on through interruptions: list, watch from there, list again.

Source: Kubernetes' page "API Concepts", section "Efficient detection of changes".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.cluster import wire
from pressplay.cluster.connection import Connection
from pressplay.cluster.picture import Picture
from pressplay.cluster.port import Change, Object
from pressplay.cluster.records import ROW_MAPS

_LOG = logging.getLogger(__name__)

_LASTS_S = 240
"""How long the server is asked to let one answer go on."""

_LATE_S = 30.0
FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
"""client-go's. Its element of chance is for fleets; this is one process."""


class _Expired(Unavailable):
    """The server has forgotten what happened since; all is to be listed again."""


class Following:
    """One reader of a collection; empty `namespace` means all of them."""

    def __init__(self, connection: Connection, kind: str, *, namespace: str) -> None:
        self._connection = connection
        self.kind = kind
        self._namespace = namespace
        self._picture = Picture(path=ROW_MAPS.get(kind, ()))
        self._version = ""
        """From where on to watch; empty where all must be listed first."""
        self._has_begun = False
        self._failures = 0
        self.trouble = "nothing was heard yet"
        """Why nothing is heard at this moment, or empty."""

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Everything as ADDED, then each change, for ever.

        Until the server has answered once this raises what it refuses. Afterwards it may refuse
        for a while (a right is taken back, a kind installed anew), and we go on trying.
        """
        while True:
            try:
                async with aclosing(self._once()) as changes:
                    async for change in changes:
                        yield change
            except PressplayError as error:
                if isinstance(error, Refused) and not self._has_begun:
                    raise Refused(f"{self.kind} cannot be watched: {error}") from error
                self._failures += 1
                self._tell(error)
            await asyncio.sleep(min(_LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._failures))

    async def _once(self) -> AsyncGenerator[Change, None]:
        """One answer of the server, from its beginning to its end."""
        listed = None
        if not self._version:
            listed, self._version = await self._connection.collect(self.kind, self._namespace)
        has_history = False
        try:
            async with self._connection.follow(
                wire.path(self.kind, self._namespace), self._query(), silence_s=_LASTS_S + _LATE_S
            ) as events:
                self._has_begun, self.trouble = True, ""
                for change in self._picture.listed(listed) if listed is not None else ():
                    yield change
                async for event in events:
                    has_history = has_history or event["type"] == "BOOKMARK"
                    for change in self._hear(event):
                        yield change
            self._failures = 0
        finally:
            if not has_history:
                # Our own server keeps no history, so what goes while nobody listens is told by a
                # list alone. Who sends bookmarks keeps one.
                self._version = ""

    def _query(self) -> dict[str, str | int]:
        return {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": _LASTS_S,
        }

    def _hear(self, event: Object) -> Iterator[Change]:
        """The changes that an event means. Raises Unavailable for one that ends the watch."""
        obj = event["object"]
        if event["type"] == "ERROR":
            self._version = ""
            message = str(obj.get("message", "the server ended the watch"))
            raise _Expired(message) if obj.get("code") == 410 else Unavailable(message)
        self._failures = 0
        self._version = obj["metadata"]["resourceVersion"]
        if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
            yield from self._picture.heard(event["type"], obj)

    def _tell(self, error: PressplayError) -> None:
        if isinstance(error, _Expired):
            _LOG.info("watch_begins_anew kind=%s why=%s", self.kind, error)
            return
        self.trouble = str(error)
        _LOG.warning("watch_interrupted kind=%s why=%s", self.kind, error)
