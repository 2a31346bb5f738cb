"""`pressplay down`: end the server that lives on a state folder."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import click

from pressplay.base.errors import Unavailable
from pressplay.cli import local_server

_PATIENCE_S = 30.0


@click.command(epilog="Example: pressplay down")
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def command(state: Path | None, *, output: str) -> None:
    """End the local server, and those that work for forges elsewhere.

    Runs go on, and previews come back, at the next start.
    """
    folder = local_server.folder(state)
    ended = [pid for each in (folder, *folder.glob("forges/*")) if (pid := _end(each)) is not None]
    if output == "json":
        click.echo(json.dumps({"ended": ended}))
        return
    for pid in ended:
        click.echo(f"Server {pid} ended.")
    if not ended:
        click.echo(f"No server is running on {folder}.")


def _end(folder: Path) -> int | None:
    """End the server of a folder; its number, or None where there was none."""
    address = local_server.find(folder)
    if address is None:
        return None
    os.kill(address.pid, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE_S
    while local_server.find(folder) is not None:
        if time.monotonic() > until:
            raise Unavailable(f"Server {address.pid} did not end within {_PATIENCE_S:.0f} s")
        time.sleep(0.05)
    return address.pid
