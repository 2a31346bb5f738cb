"""What a forge's answer can raise.

Refused
└── RefusedByForge    the forge answered 3xx or 4xx; `status` is its code
Unavailable           429, 5xx, a spent rate limit, no connection, no answer in time
"""

from __future__ import annotations

from pressplay.base.errors import Refused


class RefusedByForge(Refused):
    """The forge understood and said no; its own words are in the message."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
