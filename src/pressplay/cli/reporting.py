"""What a run looks like on a terminal: a line for each step that ends, a summary at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pressplay.base import clocks
from pressplay.base.redaction import redact
from pressplay.cli import pipelines
from pressplay.cli.pipelines import Session, Summary
from pressplay.cluster.port import Object

STAGES = (
    *("preflight", "set-params", "implement", "clippy-format", "qa-testing"),
    *("deploy", "acceptance", "approve", "seal", "cleanup"),
)
_MARKS = {"Succeeded": "✓", "Failed": "✗", "Error": "✗", "Skipped": "-", "Omitted": "-"}


class Lines:
    """Prints one plain line for each stage as it ends; quiet when JSON is wanted."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._told: set[str] = set()

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
            for reason in pipelines.reasons(workflow, node["name"]):
                click.echo(f"      {reason}")


def begin(session: Session) -> None:
    """The first lines: what runs, and that asking again finds it."""
    verb = "started" if session.is_new else "is already known"
    click.echo(f"Run {session.run} {verb}: {session.repository} issue {session.issue}")


def conclude(summary: Summary, *, output: str) -> None:
    """The summary, as text or as JSON."""
    if output == "json":
        click.echo(json.dumps(asdict(summary)))
        return
    click.echo("")
    if summary.pr:
        state = "approved, not merged" if summary.exit_code == 0 else "not approved"
        pr = summary.pr
        click.echo(f"  Pull request  #{pr['number']} {pr['url']} ({pr['state']}, {state})")
    for endpoint in summary.urls.get("endpoints", ())[:1]:
        click.echo(f"  Preview       {endpoint['url']}")
    click.echo(f"  Verdict       {summary.verdict or 'none'}")
    if summary.reason and summary.exit_code != 1:
        click.echo(f"  Reason        {redact(summary.reason)}")
    if summary.bundle:
        click.echo(f"  Evidence      {short(summary.bundle)}")
        click.echo(f"                pressplay evidence verify {short(summary.bundle)}")
    if summary.branch:
        click.echo(f"  Branch        {summary.branch}")
    click.echo(f"  Time          {summary.seconds} s")
    click.echo("")
    if summary.exit_code == 0:
        click.echo("A person merges; nothing here can.")


def _line(name: str, node: Mapping[str, Any]) -> str:
    taken = ""
    if node.get("startedAt") and node.get("finishedAt"):
        begun, ended = (clocks.from_text(node[key]) for key in ("startedAt", "finishedAt"))
        taken = f"{(ended - begun).total_seconds():.0f} s"
    note = node.get("message", "") if node["phase"] in ("Skipped", "Omitted") else ""
    return f"  {_MARKS[node['phase']]} {name:<14} {taken:>6}  {redact(note)}".rstrip()


def short(path: str) -> str:
    """A path below the home folder with a tilde, so that the line can be read and pasted."""
    try:
        return f"~/{Path(path).relative_to(Path.home())}"
    except ValueError:
        return path
