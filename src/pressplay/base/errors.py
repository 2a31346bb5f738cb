"""The three families of error.

    PressplayError
    ├── Refused       the input is wrong: nothing helps but other input        exit code 2
    └── Unavailable   something outside does not answer: a retry can help      exit code 3

Everything else that is raised is a bug of ours (exit code 70). A failed step is a result and not
an error: it has no class here.
"""

from __future__ import annotations


class PressplayError(Exception):
    """A sentence for the user: what, where, and what to do next."""

    exit_code = 70


class Refused(PressplayError):
    """The input is wrong; the message names the field and the remedy."""

    exit_code = 2


class Unavailable(PressplayError):
    """Something outside does not answer; the same call may succeed later."""

    exit_code = 3
