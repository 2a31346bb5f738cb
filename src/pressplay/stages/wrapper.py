"""One frame around every stage: what it returns or raises becomes an exit code and a reason.

The exit codes are the contract between a step and the engine, so exactly one place makes them.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

from pressplay.base import errors
from pressplay.base.errors import PressplayError
from pressplay.stages.environment import Ending, Outcome, StageEnvironment

REASON_LIMIT = 1000
"""Longest reason in characters: it travels in a Workflow's status."""

STOPPING = (signal.SIGTERM, signal.SIGINT)
"""The signals that ask a stage to end."""

Stage = Callable[[StageEnvironment], Outcome]


class Stopped(SystemExit):
    """A signal asked the process to end; a SystemExit, so that asyncio lets it through."""


def run(name: str, function: Stage, env: StageEnvironment) -> int:
    """Run one stage; return its exit code, write `reason`, tell the user what went wrong."""
    try:
        outcome = function(env)
    except PressplayError as error:
        return _end(env, error.exit_code, str(error))
    except Stopped as stop:
        return _end(env, int(str(stop.code)), f"Stage {name} was stopped from outside")
    except Exception as error:  # noqa: BLE001 - whatever is not ours is a bug, with its trace
        if isinstance(error, OSError) and errors.is_disk_full(error):
            return _end(env, Ending.UNAVAILABLE, str(errors.disk_full(error)))
        sys.stdout.write(env.redact(traceback.format_exc()))
        sys.stdout.flush()
        kind = type(error).__name__
        return _end(env, Ending.BUG, f"Stage {name} met a bug of its own ({kind}); see its log")
    return _end(env, outcome.ending, outcome.reason)


def stop_on_signals() -> None:
    """From here on SIGTERM and SIGINT end the process with 128 + their number, after clean-up."""
    for number in STOPPING:
        signal.signal(number, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the clean-up of the first.
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(128 + number)


def _end(env: StageEnvironment, code: int, reason: str) -> int:
    line = env.redact(" ".join(reason.split()))[:REASON_LIMIT]
    if not line and code:
        line = f"Ended with exit code {int(code)} and gave no reason"
    if code:
        prefix = "" if line.startswith("Error: ") else "Error: "
        sys.stderr.write(f"{prefix}{line}\n")
    if line:
        try:
            env.write_output("reason", line)
        except (OSError, PressplayError) as error:
            sys.stderr.write(f"The reason could not be written: {error}\n")
    return int(code)
