"""`pressplay up`: the server of one state folder, in the foreground."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import click

from pressplay import app
from pressplay.base.errors import PressplayError


@click.command(epilog="Example: pressplay up --idle 600")
@click.option("--idle", type=float, help="End after so many seconds without a run or a preview.")
@click.pass_obj
def command(state: Path | None, idle: float | None) -> None:
    """Serve the local runtime: API, engine, controllers and the local forge, on loopback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # One line a request of our own says nothing that the answer does not.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    folder = state or app.default_state(os.environ)  # noqa: TID251 - the command line reads it
    try:
        asyncio.run(app.serve(app.Settings(state=folder, idle_s=idle)))
    except BaseExceptionGroup as group:
        # A task group wraps what it raises; a user wants the sentence inside.
        first = _innermost(group)
        raise (first if isinstance(first, PressplayError) else group) from None


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
