"""`pressplay up`: the server of one state folder, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from pressplay.base.errors import Refused


@click.command(epilog="Example: pressplay up --idle 600")
@click.option("--idle", type=float, help="End after so many seconds without a run or a preview.")
@click.option("--forge", metavar="URL", help="Work for this forge, and start none: https://HOST.")
@click.option(
    "--apps",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with the keys of the GitHub Apps there; remembered after the first time.",
)
@click.pass_obj
def command(
    state: Path | None, *, idle: float | None, forge: str | None, apps: Path | None
) -> None:
    """Serve the local runtime, on loopback: API, engine, controllers, and a forge of its own."""
    # Imported here: `--help` must not wait for a server's libraries.
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415

    from pressplay.app import wiring  # noqa: PLC0415
    from pressplay.cli import endings, forges, local_server  # noqa: PLC0415
    from pressplay.server import standing  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # One line a request of our own says nothing that the answer does not.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    if apps is not None and forge is None:
        raise Refused("--apps goes with --forge URL; the local forge makes its own Apps")
    folder = local_server.folder(state)
    if forge is not None:
        server_url = forges.read_server(forge)
        folder = forges.state_folder(folder, server_url)
        forges.remember(folder, server_url, apps=apps)
    settings = wiring.Settings(state=folder, idle_s=idle, forge=standing.read_forge(folder))
    try:
        asyncio.run(wiring.serve(settings))
    except BaseExceptionGroup as group:
        raise endings.sentence(group) from None
