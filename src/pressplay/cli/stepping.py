"""The words of a run's steps, one step after the other or as they come."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pressplay.base import redaction
from pressplay.base.errors import Refused
from pressplay.cli import listing, local_server, pipelines, progress, terminal_text, watching
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import NotFound, Object
from pressplay.engine import nodes
from pressplay.server.standing import NAMESPACE

_SILENCE_S = 3600.0


@dataclass(frozen=True)
class Step:
    """A step whose words can be had; `stage` is what it is a part of, its own name otherwise."""

    pod: str
    name: str
    stage: str
    is_over: bool

    @property
    def label(self) -> str:
        """How its lines begin."""
        return self.name if self.stage == self.name else f"{self.stage}/{self.name}"


def print_logs(state: Path, run: str, *, step: str, follow: bool, container: str) -> None:
    """Print the log of every step that is wanted. Raises Refused where none is."""
    with pipelines.open_kube(local_server.ensure(state)) as kube:
        workflow = listing.find(kube, run)
        name = workflow["metadata"]["name"]
        told: set[str] = set()
        while True:
            # Looked at first: what begins while the logs are printed is told in the next round.
            ended = bool(workflow.get("status", {}).get("finishedAt"))
            for each in steps(workflow, _children(kube, name)):
                wanted = step in ("", each.name, each.stage, each.label)
                if wanted and each.pod not in told:
                    spoke = _print(kube, each, container=container, follow=follow)
                    if spoke or each.is_over:
                        told.add(each.pod)
            if ended or not follow:
                break
            watching.wait_for_change(kube, workflow)
            workflow = listing.find(kube, name)
    if step and not told:
        raise Refused(
            f"Run {name} has no step {step} that began; `pressplay workflow get {name}` shows them"
        )


def steps(workflow: Object, children: list[Object]) -> Iterator[Step]:
    """Every step that began, in the order in which they did."""
    begun: list[tuple[str, Step]] = []
    for each in (workflow, *children):
        run = each["metadata"]["name"]
        task = progress.parameter(each, "task") if each is not workflow else ""
        begun += [
            (node.get("startedAt", ""), _step(run, node, task))
            for node in each.get("status", {}).get("nodes", {}).values()
            if node["type"] == "Pod"
        ]
    yield from (step for _, step in sorted(begun, key=lambda found: found[0]))


def _step(run: str, node: Mapping[str, Any], task: str) -> Step:
    template = node.get("templateName") or node.get("templateRef", {}).get("template", "")
    name = node["displayName"].partition("(")[0]
    pod = nodes.pod_name(run, node["name"], template)
    return Step(pod, name, task or name, is_over=node["phase"] in progress.OVER)


def _children(kube: KubeClient, run: str) -> list[Object]:
    return kube.list("Workflow", NAMESPACE, labels=f"{progress.RUN}={run}")


def _print(kube: KubeClient, step: Step, *, container: str, follow: bool) -> bool:
    """The lines of one step, each with its name before it, as Argo does; False for none yet."""
    try:
        if follow:
            pieces = kube.follow_logs(
                NAMESPACE, step.pod, container=container, timeout_s=_SILENCE_S
            )
        else:
            pieces = iter([kube.logs(NAMESPACE, step.pod, container=container).encode()])
        for line in _whole_lines(pieces):
            click.echo(f"{step.label}: {_shown(line)}")
    except NotFound:
        return False
    return True


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", errors="replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", errors="replace")


def _shown(line: str) -> str:
    """A line for a terminal, without what would steer it; for a file or a pipe, as it was."""
    return terminal_text.harmless(line) if sys.stdout.isatty() else redaction.redact(line)
