"""The three families of error.

    PressplayError
    ├── Refused       the input is wrong: nothing helps but other input        exit code 2
    └── Unavailable   something outside does not answer: a retry can help      exit code 3

Everything else that is raised is a bug of ours (exit code 70). A failed step is a result and not
an error: it has no class here.
"""

from __future__ import annotations

import errno

INTERNAL = "internal error of the engine; see the server's log"
"""The message of a run that a bug of ours ended."""


class PressplayError(Exception):
    """A sentence for the user: what, where, and what to do next."""

    exit_code = 70


class Refused(PressplayError):
    """The input is wrong; the message names the field and the remedy."""

    exit_code = 2


class Unavailable(PressplayError):
    """Something outside does not answer; the same call may succeed later."""

    exit_code = 3


def is_disk_full(error: BaseException) -> bool:
    """Whether the system had no room, or no quota, for what was to be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(error: OSError) -> Unavailable:
    """What to say then: free some space, and the same call may succeed."""
    at = f" at {error.filename}" if error.filename else ""
    return Unavailable(f"No space left on device{at}: free some (df shows where), then try again")
