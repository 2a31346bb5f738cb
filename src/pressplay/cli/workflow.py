"""`pressplay workflow`: runs, with the words that Argo's own command line has for them.

Thin over the server's API: nothing here knows more than any other client could.
"""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

LATEST = "@latest"


def _known_runs(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of runs, asked of a server that runs anyway; none is started for it."""
    from pressplay.cli import listing, local_server  # noqa: PLC0415 - as below

    state = ctx.find_root().params.get("state")
    found = listing.names(local_server.folder(state.absolute() if state else None))
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


_RUN = click.argument("run", shell_complete=_known_runs)
_NEWEST = click.argument("run", default=LATEST, shell_complete=_known_runs)
_OUTPUT = click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text")


# The imports inside: `--help` and completion must not wait for the client of the server.


@click.group(epilog="Example: pressplay workflow list")
def command() -> None:
    """List, show, watch and stop runs. RUN is a run's name; @latest is the newest one."""


@command.command("list", epilog="Example: pressplay workflow list --output json")
@click.option("--all", "everything", is_flag=True, help="Also the Workflows of agents and deploys.")
@_OUTPUT
@click.pass_obj
def list_(state: Path | None, *, everything: bool, output: str) -> None:
    """List runs, the newest first."""
    from pressplay.cli import listing, local_server  # noqa: PLC0415

    listing.print_list(local_server.folder(state), everything=everything, output=output)


@command.command(epilog="Example: pressplay workflow get @latest")
@_NEWEST
@_OUTPUT
@click.pass_obj
def get(state: Path | None, *, run: str, output: str) -> None:
    """Show one run: its steps, how long each took, what each said."""
    from pressplay.cli import listing, local_server  # noqa: PLC0415

    listing.print_one(local_server.folder(state), run, output=output)


@command.command(epilog="Example: pressplay workflow watch @latest")
@_NEWEST
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    help="Seconds to watch.",
)
@_OUTPUT
@click.pass_context
def watch(ctx: click.Context, *, run: str, timeout: float, output: str) -> None:
    """Watch a run until it ends. Exit code 0 where it ended well; else that of its stage."""
    from pressplay.cli import attending, local_server  # noqa: PLC0415

    folder = local_server.folder(ctx.obj)
    ctx.exit(attending.watch(folder, run, timeout_s=timeout, output=output))


@command.command(epilog="Example: pressplay workflow logs @latest implement --follow")
@_NEWEST
@click.argument("step", default="")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.option("--container", "-c", default="main", show_default=True, help="Whose words.")
@click.pass_obj
def logs(state: Path | None, *, run: str, step: str, follow: bool, container: str) -> None:
    """Print what a run's steps printed: of STEP (a stage, or a step in it), or of all."""
    from pressplay.cli import local_server, stepping  # noqa: PLC0415

    folder = local_server.folder(state)
    stepping.print_logs(folder, run, step=step, follow=follow, container=container)


@command.command(epilog="Example: pressplay workflow stop implement-r1-i1")
@_RUN
@_OUTPUT
@click.pass_obj
def stop(state: Path | None, *, run: str, output: str) -> None:
    """Stop a run: steps end, then its proof is sealed and what it made is cleaned up."""
    from pressplay.cli import attending, local_server  # noqa: PLC0415

    attending.stop(local_server.folder(state), run, output=output)
