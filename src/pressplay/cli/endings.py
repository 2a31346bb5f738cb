"""How a command ends: its exit code, and its error as a sentence or as JSON.

The codes are a stage's own (contracts, section 5); scripts may rely on them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from pressplay.base.errors import PressplayError

INTERRUPTED = 130
BUG = 70

CODES = {
    0: "done; for a run: approved, or already covered",
    1: "a gate said no, or what was checked does not hold",
    2: "refused: the input is wrong, and the message says what to change",
    3: "something outside is unavailable: the same command may succeed later",
    4: "inconclusive: too little was measured for a verdict",
    BUG: "a bug of pressplay's own",
    INTERRUPTED: "interrupted by Ctrl-C; a run that was started goes on",
}
_KINDS = {
    1: "failed",
    2: "refused",
    3: "unavailable",
    4: "inconclusive",
    INTERRUPTED: "interrupted",
}


class Interrupted(PressplayError):
    """The user no longer wants to wait; the message says what goes on."""

    exit_code = INTERRUPTED


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--output json` stands among a command's own arguments, before any `--`."""
    own = list(arguments)
    if "--" in own:
        own = own[: own.index("--")]
    return "--output=json" in own or ("--output", "json") in itertools.pairwise(own)


def error_json(message: str, *, code: int) -> str:
    """An error as the one JSON object on standard output."""
    return json.dumps({"error": {"kind": _KINDS.get(code, "bug"), "message": message}})


def table() -> str:
    """The codes for a command's help, one a line."""
    return "\n".join(f"  {code:>3}  {meaning}" for code, meaning in CODES.items())


def sentence(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to raise for the error of a task group: the sentence for the user inside of it."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first if isinstance(first, PressplayError) else group
