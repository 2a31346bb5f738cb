"""Time, as a value that is handed in.

Code that needs the time takes a `Clock`; tests hand in one that stands still.
"""

from __future__ import annotations

import re
import time as _time
from datetime import UTC, datetime
from typing import Protocol

from pressplay.base.errors import Refused

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Clock(Protocol):
    """Wall time for records, monotonic time for durations."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the one place

    def monotonic(self) -> float:
        return _time.monotonic()


def to_text(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes it: `2026-01-02T03:04:05Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    """The inverse of `to_text`; also reads fractions and offsets."""
    return datetime.fromisoformat(text)


def read_duration(text: str, *, field: str) -> int:
    """`90s`, `30m`, `24h`, `7d` in seconds. Raises Refused, naming `field`, for anything else."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None:
        raise Refused(f"{field} is {text[:40]!r}; write a whole number and one of s, m, h, d: 24h")
    return int(found[1]) * _UNITS[found[2]]


def duration_text(seconds: int) -> str:
    """The inverse of `read_duration`, in the largest unit that is exact: 86400 is `1d`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
