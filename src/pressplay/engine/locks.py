"""Mutexes and semaphores between runs: who holds them, and who is next.

Whoever asks for several locks gets all of them at once or none. It stands in the line of each, and
goes on when it is first in all of them and each has room. The lines have one common order (higher
priority, then the older run), so the first of all is never kept by somebody behind it: there is no
ring of waiters, and nobody is passed by a later one.
Source of the order: Argo's documentation, "Synchronization", "Queuing".
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pressplay.engine import synchronizing


@dataclass(frozen=True)
class Turn:
    """Who asks, and its place in a line: `created` is the run's own creation, RFC 3339."""

    holder: str
    created: str
    priority: int = 0


@dataclass(order=True)
class Request:
    """Locks that were asked for; `ready` is done once they are all had."""

    urgency: int
    created: str
    number: int
    holder: str = field(compare=False)
    names: tuple[str, ...] = field(compare=False)
    ready: asyncio.Future[None] = field(compare=False)

    @property
    def is_granted(self) -> bool:
        """Whether its holder has the locks."""
        return self.ready.done() and not self.ready.cancelled()


class Locks:
    """All locks of one engine, by full name; see `synchronizing.Lock.full_name`.

    For one event loop: nothing here waits, save whoever awaits a request.
    """

    def __init__(self) -> None:
        self._holders: dict[str, list[str]] = {}
        self._lines: dict[str, list[Request]] = {}
        self._limits: dict[str, int | None] = {}
        self._numbers = itertools.count()

    def restore(self, name: str, *, holder: str) -> None:
        """Record a holder from before a restart, whatever a semaphore's limit says by now."""
        holders = self._holders.setdefault(name, [])
        taken = holders and synchronizing.kind_of(name) == synchronizing.MUTEX
        if holder not in holders and not taken:
            holders.append(holder)

    def knows(self, name: str) -> bool:
        """Whether the limit of a semaphore was told."""
        return name in self._limits

    def semaphores(self) -> tuple[str, ...]:
        """The names of those whose limit was told."""
        return tuple(self._limits)

    def resize(self, name: str, limit: int | None) -> None:
        """The limit of a semaphore from now on; None where nobody can say: then none gets in.

        Whoever holds it keeps it, also beyond a smaller limit.
        """
        self._limits[name] = limit
        self._settle([name])

    def forget(self, name: str) -> None:
        """The limit of this semaphore is to be asked for again."""
        self._limits.pop(name, None)

    def ask(self, names: Iterable[str], *, turn: Turn) -> Request:
        """Stand in line for all of these; what the holder already has is not asked for again."""
        wanted = [each for each in names if turn.holder not in self._holders.get(each, ())]
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = Request(
            -turn.priority, turn.created, next(self._numbers), turn.holder, tuple(wanted), ready
        )
        for name in wanted:
            bisect.insort(self._lines.setdefault(name, []), request)
        self._settle(wanted)
        if not wanted:
            ready.set_result(None)
        return request

    def withdraw(self, request: Request) -> None:
        """Leave the lines; what was had by this request is given back."""
        if request.is_granted:
            self.release(request.names, holder=request.holder)
            return
        request.ready.cancel()
        for name in request.names:
            self._leave(name, request)
        self._settle(request.names)

    def release(self, names: Iterable[str], *, holder: str) -> None:
        """Let the next in line have them; quiet for what `holder` does not have."""
        freed = [name for name in names if holder in self._holders.get(name, ())]
        for name in freed:
            self._holders[name].remove(holder)
            if not self._holders[name]:
                del self._holders[name]
        self._settle(freed)

    def holders(self, name: str) -> tuple[str, ...]:
        """Who has it, in the order in which they got it."""
        return tuple(self._holders.get(name, ()))

    def obstacle(self, request: Request) -> str:
        """The first of its locks that a waiting request cannot have now."""
        for name in request.names:
            if not self._has_room(name) or self._lines[name][0] is not request:
                return name
        return ""

    def describe(self, name: str) -> str:
        """Why somebody waits for this lock, in Argo's words."""
        limit = self._limit(name)
        if limit is None:
            return f"Failed to get semaphore limit for {name}"
        free = limit - len(self._holders.get(name, ()))
        return f"Waiting for {name} lock. Lock status: {free}/{limit}"

    def _limit(self, name: str) -> int | None:
        if synchronizing.kind_of(name) == synchronizing.MUTEX:
            return 1
        return self._limits.get(name)

    def _has_room(self, name: str) -> bool:
        return len(self._holders.get(name, ())) < (self._limit(name) or 0)

    def _settle(self, names: Sequence[str]) -> None:
        """Give what can be given, after something changed about these locks."""
        changed = deque(names)
        while changed:
            line = self._lines.get(changed.popleft())
            if line and not self.obstacle(line[0]):
                first = line[0]
                self._grant(first)
                # There may be room for the next one, and others may be first by now.
                changed.extend(first.names)

    def _grant(self, request: Request) -> None:
        for name in request.names:
            self._leave(name, request)
            self._holders.setdefault(name, []).append(request.holder)
        request.ready.set_result(None)

    def _leave(self, name: str, request: Request) -> None:
        line = self._lines[name]
        del line[bisect.bisect_left(line, request)]
        if not line:
            del self._lines[name]
