"""`pressplay`: the table of verbs. A verb's module is imported when it is called, not before."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

import pressplay
from pressplay.base.errors import PressplayError

VERBS = {
    "demo": "the whole pipeline on a sample app, no account needed",
    "run": "the pipeline on a repository of yours",
    "up": "the server, in the foreground",
    "down": "end the server; previews go with it, records stay",
    "evidence": "show and verify bundles of evidence",
}


class _Verbs(click.Group):
    """Lists every verb without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"pressplay.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: pressplay demo",
)
@click.version_option(pressplay.__version__, prog_name="pressplay")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the local server's state. [default: $PRESSPLAY_STATE or the XDG state folder]",
)
@click.pass_context
def cli(ctx: click.Context, state: Path | None) -> None:
    """Press play on an issue; get a reviewed, deployed, acceptance-tested pull request.

    A person merges; nothing here can.
    """
    ctx.obj = state.absolute() if state is not None else None


def main() -> None:
    """The command's entry point: runs a verb and maps what it raises to an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Aborted.", err=True)
        sys.exit(130)
    except PressplayError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader went away; writing the rest would only raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
