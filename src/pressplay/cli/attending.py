"""Coming back to a run that goes on: watching it again, or stopping it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pressplay.base import clocks
from pressplay.cli import (
    concluding,
    endings,
    listing,
    local_server,
    pipelines,
    reporting,
    watching,
)
from pressplay.server.standing import NAMESPACE


def watch(state: Path, run: str, *, timeout_s: float, output: str) -> int:
    """Show a run until it ends, and then what it came to; returns the exit code."""
    with pipelines.open_kube(local_server.ensure(state)) as kube:
        name = listing.find(kube, run)["metadata"]["name"]
    try:
        if output == "text":
            click.echo(f"Run {name}")
        with reporting.view(state, name, output=output) as view:
            workflow = watching.follow(state, name, tell=view.tell, timeout_s=timeout_s)
    except KeyboardInterrupt:
        raise endings.Interrupted(reporting.left(state, name)) from None
    with pipelines.open_kube(local_server.ensure(state)) as kube:
        status = workflow["status"]
        begun, ended = (clocks.from_text(status[key]) for key in ("startedAt", "finishedAt"))
        lasted = (ended - begun).total_seconds()
        summary = concluding.summarize(kube, workflow, state=state, seconds=lasted)
    reporting.conclude(summary, output=output)
    return summary.exit_code


def stop(state: Path, run: str, *, output: str) -> None:
    """Ask a run to stop; its exit handlers still run, as with Argo's `stop`."""
    with pipelines.open_kube(local_server.ensure(state)) as kube:
        workflow = listing.find(kube, run)
        name, status = workflow["metadata"]["name"], workflow.get("status", {})
        ended = bool(status.get("finishedAt"))
        if not ended:
            kube.patch("Workflow", NAMESPACE, name, {"spec": {"shutdown": "Stop"}})
    if output == "json":
        click.echo(
            json.dumps({"run": name, "stopped": not ended, "phase": status.get("phase", "")})
        )
    elif ended:
        click.echo(f"Run {name} has ended already: {status['phase']}.")
    else:
        program = reporting.program_for(state)
        click.echo(f"Run {name} stops and cleans up. Watch it: {program} workflow watch {name}")
