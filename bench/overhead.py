"""What a demo run costs beside the work that it is for, and what a warm cache saves.

    python bench/overhead.py [SAMPLE] [ROUNDS]

The pipeline's own time is what is left of a run's wall time without the moments in which an agent,
tests, tools, a build, the start of the app or the load were at work: each step logs those itself
(`took what=…`). The first run starts with an empty folder and no server, all others find both. A
last run is watched, and says in which step the own time goes. The reference, in the same run: the
same sandboxes and the same git work without a pipeline (see _by_hand.py).
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _by_hand

from pressplay.base.errors import PressplayError
from pressplay.cli import demo, pipelines
from pressplay.server import standing

PRESSPLAY = str(Path(sys.executable).parent / "pressplay")
LIMIT_S = 2.0
"""What a run may cost beside the work that it is for."""

EMPTY_STEPS = 31
"""As many as a demo run has steps in a row: what their mere starting costs is the floor."""

OF_A_RUN = ("", "-implement", "-clippy-format", "-qa-testing", "-deploy")
"""What follows on a run's name in the names of the runs that it asks for."""

TOOK = re.compile(r"took what=(\w+) seconds=([\d.]+) ended=([\d.]+)")


@dataclass(frozen=True)
class Span:
    """From one Unix time to another."""

    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    def within(self, other: Span) -> Span:
        """The part of this one that lies in the other."""
        begun = max(self.begun, other.begun)
        return Span(begun, max(begun, min(self.ended, other.ended)))


@dataclass
class Round:
    """One run: when, and what in it was not the pipeline's."""

    run: str
    wall: Span
    foreign: list[tuple[str, Span]] = field(default_factory=list)

    @property
    def own_s(self) -> float:
        return own_part(self.wall, self.foreign)


def union_s(spans: Iterable[Span]) -> float:
    """Seconds that lie in at least one of the spans."""
    total, until = 0.0, 0.0
    for span in sorted(spans, key=lambda each: each.begun):
        total += max(0.0, span.ended - max(until, span.begun))
        until = max(until, span.ended)
    return total


def own_part(whole: Span, foreign: Iterable[tuple[str, Span]]) -> float:
    """Seconds of `whole` in which nothing foreign was at work."""
    return whole.seconds - union_s(span.within(whole) for _, span in foreign)


def play(state: Path, sample: str) -> Round:
    """One demo run; ends the program where it does not pass."""
    begun = time.time()
    command = [PRESSPLAY, "--state", str(state), "demo", "--sample", sample, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = Span(begun, time.time())
    if done.returncode:
        sys.exit(f"the demo ended with {done.returncode}: {done.stdout}{done.stderr}")
    run = json.loads(done.stdout)["run"]
    return Round(run, wall, list(foreign_of(state, run)))


def foreign_of(state: Path, run: str) -> Iterator[tuple[str, Span]]:
    """What the steps of a run, and of the runs that it asked for, say was not theirs."""
    for folder in OF_A_RUN:
        for log in (state / "logs" / f"{run}{folder}").rglob("main.log"):
            for what, seconds, ended in TOOK.findall(log.read_text(errors="replace")):
                yield what, Span(float(ended) - float(seconds), float(ended))


def containers_of(state: Path, run: str) -> int:
    """How many containers a run had, with those of the runs that it asked for."""
    folders = (state / "logs" / f"{run}{each}" for each in OF_A_RUN)
    return sum(1 for folder in folders for _ in folder.rglob("*.log"))


class Watch:
    """When each step of all runs began and ended, as the server told it."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._over = threading.Event()
        self.steps: dict[tuple[str, str], list[float]] = {}

    @contextmanager
    def listening(self) -> Iterator[Watch]:
        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        yield self
        self._over.set()

    def _listen(self) -> None:
        address = standing.read_address(self._state)
        if address is None:
            sys.exit("the server has gone")
        with pipelines.open_kube(address) as kube:
            try:
                for change in kube.watch("Workflow", standing.NAMESPACE, timeout_s=600):
                    if self._over.is_set():
                        return
                    self._note(change.object, time.time())
            except PressplayError:
                return

    def _note(self, workflow: dict[str, Any], now: float) -> None:
        for node in workflow.get("status", {}).get("nodes", {}).values():
            if node["type"] not in ("Pod", "Steps", "DAG"):
                continue
            seen = self.steps.setdefault((workflow["metadata"]["name"], node["name"]), [now, 0.0])
            if node.get("finishedAt") and not seen[1]:
                seen[1] = now

    def spans(self, run: str) -> Iterator[tuple[str, Span]]:
        for (workflow, name), (begun, ended) in self.steps.items():
            if workflow == run or workflow.startswith(f"{run}-"):
                yield name.removeprefix(f"{run}"), Span(begun, ended)


def floor(state: Path) -> float:
    """Seconds for as many steps as a run has, one after another, that do nothing."""
    address = standing.read_address(state)
    if address is None:
        sys.exit("the server has gone")
    empty = {
        "name": "step",
        "container": {
            "image": "pressplay/runner:0.1.0",
            "command": ["python3", "-m", "pressplay.stages", "nothing"],
        },
    }
    steps = [[{"name": f"s{number}", "template": "step"}] for number in range(EMPTY_STEPS)]
    for group in steps:
        group[0]["continueOn"] = {"failed": True}  # type: ignore[assignment]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": f"empty-{os.getpid()}-{time.time_ns()}", "namespace": "agents"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "steps": steps}, empty]},
    }
    begun = time.time()
    with pipelines.open_kube(address) as kube:
        name = kube.create(workflow)["metadata"]["name"]
        for change in kube.watch("Workflow", standing.NAMESPACE, name=name, timeout_s=120):
            if change.object.get("status", {}).get("finishedAt"):
                break
    return time.time() - begun


def by_kind(played: Round) -> str:
    kinds = sorted({what for what, _ in played.foreign})
    parts = (
        f"{kind} {union_s(span for what, span in played.foreign if what == kind):.2f}"
        for kind in kinds
    )
    return ", ".join(parts)


def show(label: str, played: Round) -> None:
    print(
        f"{label:7} wall {played.wall.seconds:6.2f} s, own {played.own_s:5.2f} s "
        f"({played.own_s / LIMIT_S:.2f} x the limit), not ours: {by_kind(played)}"
    )


def table(played: Round, watch: Watch) -> None:
    """Own seconds of each step of a run, and what lies between them."""
    print(f"\n{'step':60} {'wall':>7} {'own':>7} {'at':>7}")
    for name, span in sorted(watch.spans(played.run), key=lambda each: each[1].begun):
        own = own_part(span, played.foreign)
        at = span.begun - played.wall.begun
        print(f"{name:60} {span.seconds:7.3f} {own:7.3f} {at:7.3f}")


def main(sample: str, rounds: int) -> None:
    """Print a line for each run, then the ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        try:
            cold = play(state, sample)
            show("cold", cold)
            warm = [play(state, sample) for _ in range(rounds)]
            for played in warm:
                show("warm", played)
            empty = min(floor(state) for _ in range(3))
            sandboxes = containers_of(state, warm[-1].run)
            hand = statistics.median(
                _by_hand.seconds(state, repository=f"operator/sample-{sample}", sandboxes=sandboxes)
                for _ in range(3)
            )
            with Watch(state).listening() as watch:
                watched = play(state, sample)
            show("watched", watched)
            table(watched, watch)
        finally:
            subprocess.run([PRESSPLAY, "--state", str(state), "down"], check=False)
    own = [played.own_s for played in warm]
    walls = [played.wall.seconds for played in warm]
    print(
        f"\n{sample}: own time best {min(own):.2f} s, median {statistics.median(own):.2f} s, "
        f"{min(own) / LIMIT_S:.2f} of the limit of {LIMIT_S:.0f} s; "
        f"{EMPTY_STEPS} empty steps take {empty:.2f} s"
    )
    print(
        f"{sample}: own time {statistics.median(own) / hand:.2f} times that of the same work by "
        f"hand, {hand:.2f} s for {sandboxes} sandboxes and what git does"
    )
    print(
        f"{sample}: second run against the first: {walls[0] / cold.wall.seconds:.2f} of its wall "
        f"time, {own[0] / cold.own_s:.2f} of its own time"
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    wanted = given[:1] or list(demo.SAMPLES)
    for each in wanted:
        missing = demo.missing_for_rust(dict(os.environ)) if each == "rust" else ""
        if missing:
            print(f"rust: left out, because {missing}")
        else:
            main(each, int(given[1]) if len(given) > 1 else 3)
