"""Runs as tables and trees, with the columns of `argo list` and `argo get`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pressplay.base import clocks
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import PressplayError, Refused
from pressplay.cli import local_server, pipelines, progress, terminal_text
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import Object
from pressplay.server.standing import NAMESPACE

LATEST = "@latest"
_COLUMNS = ("NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "PR", "MESSAGE")
_MARKS = {"Succeeded": "✔", "Failed": "✖", "Error": "⚠", "Running": "●", "Pending": "◷"}
_OTHER = "○"


def names(state: Path) -> list[str]:
    """The names of all runs, newest first; none where no server runs."""
    address = local_server.find(state)
    if address is None:
        return []
    try:
        with pipelines.open_kube(address) as kube:
            return [each["metadata"]["name"] for each in runs(kube)]
    except PressplayError:
        return []


def runs(kube: KubeClient, *, everything: bool = False) -> list[Object]:
    """Workflows, newest first; those that a run made for its own work only if `everything`."""
    labels = "" if everything else f"!{progress.RUN}"
    found = kube.list("Workflow", NAMESPACE, labels=labels)
    return sorted(found, key=lambda each: each["metadata"]["creationTimestamp"], reverse=True)


def find(kube: KubeClient, run: str) -> Object:
    """A run by its name; @latest is the newest. Raises Refused."""
    if run == LATEST:
        newest = runs(kube)
        if not newest:
            raise Refused("There is no run yet; `pressplay demo` makes one")
        return newest[0]
    found = kube.get("Workflow", NAMESPACE, run)
    if found is None:
        raise Refused(f"There is no run {run}; `pressplay workflow list` shows them")
    return found


def print_list(state: Path, *, everything: bool, output: str) -> None:
    """All runs as a table, or as JSON."""
    with pipelines.open_kube(local_server.ensure(state)) as kube:
        found = runs(kube, everything=everything)
    now = SystemClock().now()
    rows = [row(each, now=now) for each in found]
    if output == "json":
        click.echo(json.dumps(rows))
    elif rows:
        shown = [[str(each[name.lower()]) for name in _COLUMNS] for each in rows]
        click.echo("\n".join(table([list(_COLUMNS), *shown])))
    else:
        click.echo("No runs yet; `pressplay demo` makes one.")


def print_one(state: Path, run: str, *, output: str) -> None:
    """One run with its steps, or its Workflow as JSON."""
    with pipelines.open_kube(local_server.ensure(state)) as kube:
        workflow = find(kube, run)
    if output == "json":
        click.echo(json.dumps(workflow))
        return
    now = SystemClock().now()
    click.echo("\n".join(_facts(workflow, now)))
    click.echo("")
    click.echo(
        "\n".join(table([["STEP", "TEMPLATE", "DURATION", "MESSAGE"], *_tree(workflow, now)]))
    )


def row(workflow: Object, *, now: datetime) -> dict[str, Any]:
    """A run's line."""
    metadata, status = workflow["metadata"], workflow.get("status", {})
    return {
        "name": metadata["name"],
        "status": status.get("phase") or "Pending",
        "age": _ago(metadata.get("creationTimestamp", ""), now),
        "duration": _lasted(status, now),
        "priority": workflow["spec"].get("priority", 0),
        "pr": metadata.get("labels", {}).get("pressplay.dev/pr", ""),
        "message": terminal_text.all_in_one(status.get("message", "")),
    }


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns below each other; on a terminal none is longer than it is wide."""
    widths = [max(len(each[at]) for each in rows) for at in range(len(rows[0]))]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    lines = ("   ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)
    return [line if len(line) <= most else f"{line[: most - 1]}…" for line in lines]


def _facts(workflow: Object, now: datetime) -> Iterator[str]:
    metadata, status = workflow["metadata"], workflow.get("status", {})
    ended = status.get("finishedAt", "")
    facts = {
        "Name": metadata["name"],
        "Namespace": metadata["namespace"],
        "Template": workflow["spec"].get("workflowTemplateRef", {}).get("name", ""),
        "Status": status.get("phase") or "Pending",
        "Message": terminal_text.all_in_one(status.get("message", "")),
        "Created": metadata.get("creationTimestamp", ""),
        "Started": status.get("startedAt", ""),
        "Finished": ended,
        "Duration": _lasted(status, now),
    }
    yield from (f"{name + ':':<20}{value}" for name, value in facts.items() if value)
    outputs = progress.outputs_of(workflow)
    if outputs:
        yield "Output Parameters:"
    for name, value in outputs.items():
        yield f"  {name + ':':<18}{terminal_text.all_in_one(value)}"


def _tree(workflow: Object, now: datetime) -> Iterator[list[str]]:
    """A line for each node, below the node that called it; in the order in which they began."""
    nodes: Mapping[str, Any] = workflow.get("status", {}).get("nodes", {})
    below: dict[str, list[Mapping[str, Any]]] = {}
    for node in nodes.values():
        below.setdefault(node.get("boundaryID", ""), []).append(node)
    yield from _branch(below, "", indent=0, now=now)


def _branch(
    below: Mapping[str, Iterable[Mapping[str, Any]]], boundary: str, *, indent: int, now: datetime
) -> Iterator[list[str]]:
    for node in below.get(boundary, ()):
        if node["id"] == boundary:
            continue
        mark = _MARKS.get(node["phase"], _OTHER)
        template = node.get("templateName") or node.get("templateRef", {}).get("template", "")
        message = terminal_text.all_in_one(node.get("message", ""))
        yield [
            f"{'  ' * indent}{mark} {node['displayName']}",
            template,
            _lasted(node, now),
            message,
        ]
        yield from _branch(below, node["id"], indent=indent + 1, now=now)


def _lasted(status: Mapping[str, Any], now: datetime) -> str:
    if not status.get("startedAt"):
        return ""
    until = clocks.from_text(status["finishedAt"]) if status.get("finishedAt") else now
    return span((until - clocks.from_text(status["startedAt"])).total_seconds())


def _ago(moment: str, now: datetime) -> str:
    return span((now - clocks.from_text(moment)).total_seconds()) if moment else ""


def span(seconds: float) -> str:
    """A time as Kubernetes' tools print ages: `7s`, `12m`, `3h`, `2d`."""
    whole = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= 2 * length:
            return f"{whole // length}{unit}"
    return f"{whole}s"
