"""`pressplay`: the table of verbs. A verb's module is imported when it is called, not before."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

import pressplay
from pressplay.base import errors
from pressplay.base.errors import PressplayError
from pressplay.cli import endings

VERBS = {
    "demo": "the whole pipeline on a sample app, no account needed",
    "run": "the pipeline on a repository of yours, or on a forge's",
    "workflow": "list, get, watch, logs and stop of runs",
    "preview": "list, open, extend and destroy what was deployed",
    "evidence": "show and verify bundles of evidence",
    "doctor": "what this machine has of what a run needs",
    "up": "the server, in the foreground",
    "down": "end the server; its previews come back with the next one",
    "controllers": "our controllers for a cluster, in the foreground",
    "completion": "the script that completes these words in your shell",
}


class Verbs(click.Group):
    """Lists every verb without importing it."""

    def __init__(self, *, verbs: Mapping[str, str], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # click's own, handed on
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._verbs:
            return None
        # What a verb's modules make lives as long as the command: to search it for garbage,
        # while they load and again at the end, would be a quarter of the time to start.
        gc.disable()
        module = importlib.import_module(f"pressplay.cli.{cmd_name}")
        gc.freeze()
        gc.enable()
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._verbs.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            # click looks for the nearest among commands that it knows by object, which are none.
            nearest = _nearest(args[0], list(self._verbs)) if args else ""
            if not nearest or "No such command" not in error.format_message():
                raise
            raise click.UsageError(
                f"No such command {args[0]!r}. Did you mean {nearest}?", ctx
            ) from None


@click.group(
    cls=Verbs,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Example: pressplay demo\n\n\b\nExit codes:\n{endings.table()}",
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
    # A terminal that cannot show a character shows another one; that is no reason to end.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a text stream here
    arguments = sys.argv[1:]
    try:
        code = cli.main(args=arguments, standalone_mode=False)
    except BrokenPipeError:
        # The reader went away; writing the rest would only raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - each ends with a code
        sys.exit(_end(error, arguments))
    sys.exit(code if isinstance(code, int) else 0)


def _end(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what went wrong, as was asked for; returns the exit code."""
    as_json = endings.wants_json(arguments)
    code, message = _told(error)
    if code == endings.BUG:
        sys.excepthook(type(error), error, error.__traceback__)
    if as_json:
        click.echo(endings.error_json(message, code=code))
    elif isinstance(error, click.ClickException):
        error.show()
    elif code != endings.BUG:
        said = message if code == endings.INTERRUPTED else f"Error: {message}"
        click.echo(f"\n{said}" if isinstance(error, KeyboardInterrupt) else said, err=True)
    return code


def _told(error: BaseException) -> tuple[int, str]:
    match error:
        case click.ClickException():
            return 2, error.format_message()
        case click.Abort() | KeyboardInterrupt():
            return endings.INTERRUPTED, "Interrupted."
        case PressplayError():
            return error.exit_code, str(error)
        case OSError() if errors.is_disk_full(error):
            return _told(errors.disk_full(error))
        case _:
            return endings.BUG, f"{type(error).__name__}: {error}"


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415 - only who mistypes pays for it

    return next(iter(difflib.get_close_matches(name, known, n=1)), "")
