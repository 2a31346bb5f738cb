"""What a run looks like: plain lines, or a picture on a terminal, and a summary at the end."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

from pressplay.base import clocks
from pressplay.cli import reasons, terminal_text
from pressplay.cli.progress import STAGES
from pressplay.cluster.port import Object
from pressplay.server import standing

if TYPE_CHECKING:
    from pressplay.cli.concluding import Summary

_MARKS = {"Succeeded": "✓", "Failed": "✗", "Error": "✗", "Skipped": "-", "Omitted": "-"}
_OFF = ("", "0", "false")


class View(Protocol):
    """Shows a run while it goes on. A context manager: at its end the terminal is as before."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def tell(self, workflow: Object) -> None:
        """Show the run's new state."""


class Lines:
    """Prints one plain line for each stage as it ends; quiet when JSON is wanted."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def tell(self, workflow: Object) -> None:
        """Print what is new in the run."""
        if self._quiet:
            return
        for node in workflow.get("status", {}).get("nodes", {}).values():
            name = node["displayName"]
            if name not in STAGES or node["id"] in self._told or node["phase"] not in _MARKS:
                continue
            self._told.add(node["id"])
            click.echo(_line(name, node))
            for reason in reasons.at(workflow, node["name"]):
                click.echo(f"      {reason}")


def is_drawable(environment: Mapping[str, str]) -> bool:
    """Whether standard output is a terminal on which lines can be drawn again."""
    if environment.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return False
    if environment.get("CI", "").lower() not in _OFF:
        return False
    return sys.stdout.isatty()


def view(state: Path, run: str, *, output: str) -> View:
    """How this run is shown here."""
    if output == "json" or not is_drawable(os.environ):  # noqa: TID251 - the command line reads it
        return Lines(quiet=output == "json")
    # Imported here: a terminal's library takes longer to load than plain lines to print.
    from pressplay.cli import drawing  # noqa: PLC0415

    return drawing.LiveView(state, run)


def begin(run: str, *, is_new: bool, about: str) -> None:
    """The first line: what runs, and that asking again finds it."""
    verb = "started" if is_new else "is already known"
    click.echo(f"Run {run} {verb}: {about}")


def left(state: Path, run: str) -> str:
    """What is said to somebody who no longer watches."""
    program = program_for(state)
    return (
        f"No longer watching. Run {run} goes on.\n"
        f"Watch again: {program} workflow watch {run}\n"
        f"Stop it:     {program} workflow stop {run}"
    )


def program_for(state: Path) -> str:
    """How the next command is to begin so that it finds this state folder."""
    usual = standing.default_state(os.environ)  # noqa: TID251 - the command line reads it
    return "pressplay" if state == usual else f"pressplay --state {shlex.quote(str(state))}"


def conclude(summary: Summary, *, output: str) -> None:
    """The summary, as text or as JSON."""
    if output == "json":
        click.echo(json.dumps(asdict(summary)))
        return
    click.echo("")
    for name, value in _rows(summary):
        click.echo(f"  {name:<13} {value}".rstrip())
    click.echo("")
    if summary.exit_code == 0:
        click.echo("A person merges; nothing here can.")


def _rows(summary: Summary) -> list[tuple[str, str]]:
    rows = []
    if summary.pr:
        judged = "approved" if summary.exit_code == 0 else "not approved"
        merged = ", not merged" if summary.exit_code == 0 and summary.pr["state"] == "open" else ""
        state = ", ".join(filter(None, (summary.pr["state"], judged))) + merged
        rows.append(("Pull request", f"#{summary.pr['number']} {summary.pr['url']} ({state})"))
    rows += [("Preview", str(each["url"])) for each in summary.urls.get("endpoints", ())[:1]]
    rows.append(("Verdict", summary.verdict or "none"))
    if summary.reason and summary.exit_code != 1:
        rows.append(("Reason", terminal_text.all_in_one(summary.reason)))
    if summary.bundle:
        rows.append(("Evidence", short(summary.bundle)))
        rows.append(("", f"pressplay evidence verify {short(summary.bundle)}"))
    if summary.branch:
        rows.append(("Branch", summary.branch))
    if summary.spend_usd is not None:
        rows.append(("Spend", f"${summary.spend_usd:.2f}"))
    rows.append(("Time", f"{summary.seconds} s"))
    return rows


def _line(name: str, node: Mapping[str, Any]) -> str:
    taken = ""
    if node.get("startedAt") and node.get("finishedAt"):
        begun, ended = (clocks.from_text(node[key]) for key in ("startedAt", "finishedAt"))
        taken = f"{(ended - begun).total_seconds():.0f} s"
    note = node.get("message", "") if node["phase"] in ("Skipped", "Omitted") else ""
    shown = terminal_text.all_in_one(note)
    return f"  {_MARKS[node['phase']]} {name:<14} {taken:>6}  {shown}".rstrip()


def short(path: str) -> str:
    """A path below the home folder with a tilde, so that the line can be read and pasted."""
    try:
        return f"~/{Path(path).relative_to(Path.home())}"
    except ValueError:
        return path
