"""`pressplay preview`: what stands, for how long, and where; longer, or gone at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from pressplay.base.errors import Refused


def _known_pulls(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The numbers of pull requests with a preview, asked of servers that run anyway."""
    from pressplay.cli import local_server, previewing  # noqa: PLC0415 - as below

    state = ctx.find_root().params.get("state")
    found = previewing.numbers(local_server.folder(state.absolute() if state else None))
    return [CompletionItem(number) for number in found if number.startswith(incomplete)]


def _number(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    digits = value.removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise click.BadParameter(f"{value!r} is no pull request's number; write 7")
    return int(digits)


_PULL = click.argument("pr", callback=_number, shell_complete=_known_pulls)
_REPO = click.option(
    "--repo", default="", metavar="OWNER/NAME", help="Of this repository, or of its address."
)
_OUTPUT = click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text")


# The imports inside: `--help` and completion must not wait for the client of the server.


@click.group(epilog="Example: pressplay preview list")
def command() -> None:
    """List, open, extend and remove previews. PR is the number of a pull request."""


@command.command("list", epilog="Example: pressplay preview list --output json")
@_REPO
@_OUTPUT
@click.pass_obj
def list_(state: Path | None, *, repo: str, output: str) -> None:
    """List what stands: where, since when, until when, of which commit and by which run."""
    from pressplay.cli import local_server, previewing  # noqa: PLC0415

    previewing.print_list(local_server.folder(state), repo=repo, output=output)


@command.command("open", epilog="Example: pressplay preview open 7 --browser")
@_PULL
@_REPO
@click.option("--browser", is_flag=True, help="Start a browser on it.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait until it answers.",
)
@_OUTPUT
@click.pass_obj
def open_(
    state: Path | None, *, pr: int, repo: str, browser: bool, timeout: float, output: str
) -> None:
    """Wait until a preview answers and print its address, which a browser here can open."""
    from pressplay.cli import local_server, previewing  # noqa: PLC0415

    found = previewing.find(local_server.folder(state), pr, repo=repo)
    previewing.wait(found, timeout_s=timeout)
    previewing.say(found, found.url, output=output)
    if browser and not previewing.browse(found.url):
        click.echo("No browser was found here; open the address yourself.", err=True)


@command.command(epilog="Example: pressplay preview extend 7 24h")
@_PULL
@click.argument("duration")
@_REPO
@_OUTPUT
@click.pass_obj
def extend(state: Path | None, *, pr: int, duration: str, repo: str, output: str) -> None:
    """Let a preview stand for DURATION (30m, 24h, 2d) longer; at most 30 days from now."""
    from pressplay.cli import local_server, previewing  # noqa: PLC0415

    found = previewing.find(local_server.folder(state), pr, repo=repo)
    longer = previewing.extend(found, duration)
    previewing.say(longer, f"{longer.title} stands until {longer.expires}.", output=output)


@command.command(epilog="Example: pressplay preview destroy 7 --yes")
@_PULL
@_REPO
@click.option("--yes", is_flag=True, help="Do not ask.")
@_OUTPUT
@click.pass_obj
def destroy(state: Path | None, *, pr: int, repo: str, yes: bool, output: str) -> None:
    """Remove a preview now. The pull request and the proof of its run stay."""
    from pressplay.cli import local_server, previewing  # noqa: PLC0415

    found = previewing.find(local_server.folder(state), pr, repo=repo)
    if not yes:
        if not sys.stdin.isatty():
            raise Refused(f"{found.title} would be removed; say so with --yes")
        click.confirm(f"Remove {found.title} ({found.url})?", abort=True, err=True)
    previewing.destroy(found)
    previewing.say(found, f"{found.title} is gone.", output=output)
