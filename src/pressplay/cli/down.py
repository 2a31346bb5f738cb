"""`pressplay down`: end the server that lives on a state folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from pressplay import app
from pressplay.base.errors import Unavailable

_PATIENCE_S = 30.0


@click.command(epilog="Example: pressplay down")
@click.pass_obj
def command(state: Path | None) -> None:
    """End the local server. Runs go on, and previews come back, at the next start."""
    folder = state or app.default_state(os.environ)  # noqa: TID251 - the command line reads it
    address = app.read_address(folder)
    if address is None:
        click.echo(f"No server is running on {folder}.")
        return
    os.kill(address.pid, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE_S
    while app.read_address(folder) is not None:
        if time.monotonic() > until:
            raise Unavailable(f"Server {address.pid} did not end within {_PATIENCE_S:.0f} s")
        time.sleep(0.05)
    click.echo(f"Server {address.pid} ended.")
