"""kill -9 at any moment, and a restart: the world ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.base.errors import Unavailable
from pressplay.pods.sandboxing import MARKER
from pressplay.server import standing

if TYPE_CHECKING:
    from tests.flows.conftest import Machine, Step, Walk

RUNS, KILLS = 4, 5
"""Twenty kills at moments that the seed alone decides."""

PIPELINE, RUN = "implementation-dag", "implement-r1-i1"
"""The first run of a machine is always called so."""

STEPS = (
    "preflight",
    "look-again",
    "set-params",
    "implement/context",
    "implement/validate-prompt",
    "implement/create-coderun",
    "implement/prepare",
    "implement/agent",
    "implement/warm",
    "implement/verify",
    "implement/publish",
    "clippy-format/context",
    "clippy-format/validate-prompt",
    "clippy-format/create-coderun",
    "clippy-format/prepare",
    "clippy-format/agent",
    "clippy-format/verify",
    "clippy-format/publish",
    "qa-testing/context",
    "qa-testing/validate-prompt",
    "qa-testing/create-coderun",
    "qa-testing/prepare",
    "qa-testing/agent",
    "qa-testing/verify",
    "qa-testing/publish",
    "deploy",
    "deploy/source",
    "deploy/build",
    "deploy/deploy",
    "acceptance",
    "approve",
    "seal",
    "cleanup",
)
NEVER_RUN = {"clippy-format/warm", "qa-testing/warm"}
"""Shipped, and skipped by their `when`: who only judges saves no cache."""

GROUPS = 6
"""Runs among which the kills are shared out: each is killed in every sixth step."""

MIDDLE = (0.6, 0.2, 0.05, 0.0)
"""The latest moment of a kill, as a part of the time that the step takes undisturbed.

A step that was over before is hit in a further run, and earlier: a machine is not always as busy
as it was when the time was taken.
"""

ENDS = (0, 3)
"""Of a command whose server was killed: it goes on, or, killed while it started the run, says that
the same command may succeed later.
"""

DYING_S = 10.0
"""How long a killed process may take to be gone altogether on a busy machine."""

COMMANDS = 6
"""How often the command itself is killed."""

LONGEST_PAUSE_S = 1.2
PATIENCE_S = 60.0
ISSUE = "# Greet with a wave\n\nSay hello, and a wave.\n"
TEST = (
    "import greeter\n\n\ndef test_it_waves():\n"
    '    assert greeter.answer("/")[1] == "hello, and a wave"\n'
)
AGENT = f"""#!/usr/bin/env python3
import os, pathlib, time
time.sleep(0.1)
path = pathlib.Path("greeter.py")
if os.environ["PRESSPLAY_ROLE"] == "rex":
    path.write_text(path.read_text().replace("hello", "hello, and a wave"))
else:
    pathlib.Path("tests/test_wave.py").write_text({TEST!r})
"""


# Each step


@dataclass
class Play:
    """One run of one machine, as a user's command plays it."""

    machine: Machine
    repository: Path
    folder: Path

    def arguments(self) -> tuple[str | Path, ...]:
        """The command; always the same."""
        issue, program = self.folder / "issue.md", self.folder / "agent"
        issue.write_text(ISSUE)
        if not program.exists():
            program.write_text(AGENT)
            program.chmod(0o755)
        return (
            "run",
            "--repo",
            self.repository,
            "--issue",
            issue,
            "--output",
            "json",
            "--",
            program,
        )

    @contextmanager
    def begun(self) -> Iterator[subprocess.Popen[str]]:
        """The command, running beside the test."""
        command = [sys.executable, "-m", "pressplay.cli", "--state", str(self.machine.state)]
        with subprocess.Popen(
            [*command, *map(str, self.arguments())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def pods(self) -> list[str]:
        """The folders of pods that are there now."""
        return [each.name for each in (self.machine.state / "pods").glob("implement-*")]

    def ends_well(self) -> None:
        """The same command once more: it finds the run at its good end, with its proof."""
        again = self.machine.call(*self.arguments())
        assert again.code == 0, again.out + again.err
        summary = again.json()
        assert (summary["run"], summary["verdict"]) == (RUN, "pass")
        verified = self.machine.call("evidence", "verify", summary["bundle"], "--output", "json")
        assert (verified.code, verified.json()["verdict"]) == (0, "pass"), verified.out
        assert self.pods() == []


@pytest.fixture
def new_play(
    tmp_path_factory: pytest.TempPathFactory,
    new_machine: Callable[[Path], Machine],
    new_repository: Callable[[Path], Path],
) -> Iterator[Callable[[], Play]]:
    """Makes a machine and a repository with every step that there is; afterwards all are gone."""
    plays: list[Play] = []

    def make() -> Play:
        plays.append(_new_play(tmp_path_factory.mktemp("play"), new_machine, new_repository))
        return plays[-1]

    yield make
    alarms = [alarm for play in plays for alarm in _end(play)]
    assert alarms == []


def _new_play(
    folder: Path,
    new_machine: Callable[[Path], Machine],
    new_repository: Callable[[Path], Path],
) -> Play:
    repository = new_repository(folder / "greeter")
    policy = repository / ".pressplay.yaml"
    building = "    build: [python3, -c, 'import time; time.sleep(0.1)']\n    ready: /\n"
    policy.write_text(policy.read_text().replace("    ready: /\n", building))
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    command: list[str] = ["git", "-C", str(repository), *identity, "commit", "-qam", "build"]
    subprocess.run(command, check=True)
    return Play(new_machine(folder / "state"), repository, folder)


def _end(play: Play) -> list[str]:
    machine = play.machine
    alarms: list[str] = (
        machine.world()["alarms"] if standing.read_address(machine.state) is not None else []
    )
    machine.kill()
    return alarms


@dataclass
class Spans:
    """How long each pod of an undisturbed run was there, by its uid, in seconds."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def look(self, play: Play) -> None:
        for uid in play.pods():
            self.first.setdefault(uid, time.monotonic())
            self.last[uid] = time.monotonic()

    def of(self, step: Step) -> float:
        return self.last.get(step.uid, 0.0) - self.first.get(step.uid, 0.0)


@dataclass(frozen=True)
class Quiet:
    """What is known from a run that nobody disturbed."""

    world: dict[str, Any]
    spans: Spans
    phases: dict[str, str]
    """Of its nodes and of those of its requests' Workflows, by name."""


@pytest.fixture(scope="module")
def quiet(
    tmp_path_factory: pytest.TempPathFactory,
    new_machine: Callable[[Path], Machine],
    new_repository: Callable[[Path], Path],
) -> Quiet:
    """The same run as those that are killed, undisturbed."""
    play = _new_play(tmp_path_factory.mktemp("quiet"), new_machine, new_repository)
    spans, over = Spans(), threading.Event()

    def look() -> None:
        while not over.wait(0.002):
            spans.look(play)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        done = play.machine.call(*play.arguments())
        assert done.code == 0, done.out + done.err
        with play.machine.kube() as kube:
            found = kube.list("Workflow", "agents")
        phases = {
            node["name"]: node["phase"]
            for each in found
            for node in each["status"]["nodes"].values()
        }
        return Quiet(play.machine.world(), spans, phases)
    finally:
        over.set()
        looking.join()
        play.machine.kill()


def test_every_shipped_step_is_one_that_is_killed_below(walk: Walk, quiet: Quiet) -> None:
    shipped = {step.label: step for step in walk.steps(PIPELINE, RUN)}
    assert set(shipped) == {*STEPS, *NEVER_RUN}
    ran = {label for label, step in shipped.items() if quiet.phases[step.node] == "Succeeded"}
    assert ran == set(STEPS)
    assert {quiet.phases[shipped[label].node] for label in NEVER_RUN} == {"Skipped"}


@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_five_times_a_run_ends_like_the_undisturbed_one(
    new_play: Callable[[], Play], walk: Walk, quiet: Quiet, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    play = new_play()
    with play.begun() as command:
        assert _until_runs(play, next(walk.steps(PIPELINE, RUN)))
        pid = play.machine.address.pid
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, LONGEST_PAUSE_S))
            play.machine.kill()
            assert play.machine.address.pid != pid
            pid = play.machine.address.pid
        out, err = command.communicate(timeout=PATIENCE_S)
    assert command.returncode in ENDS, out + err
    play.ends_well()
    assert play.machine.world() == quiet.world


@pytest.mark.parametrize("group", range(GROUPS), ids=lambda n: "+".join(STEPS[n::GROUPS]))
def test_killed_in_the_middle_of_a_step_a_run_ends_like_the_undisturbed_one(
    new_play: Callable[[], Play], walk: Walk, quiet: Quiet, group: int
) -> None:
    chance = random.Random(group)  # noqa: S311 - moments, no secrets
    shipped = {step.label: step for step in walk.steps(PIPELINE, RUN)}
    left = [shipped[label] for label in STEPS[group::GROUPS]]
    for middle in MIDDLE:
        delays = {step.label: chance.uniform(0, middle * quiet.spans.of(step)) for step in left}
        left = _killed_in(new_play(), left, delays, quiet=quiet)
        if not left:
            return
    pytest.fail(f"Never hit: {', '.join(step.label for step in left)}")


def _killed_in(
    play: Play, steps: list[Step], delays: dict[str, float], *, quiet: Quiet
) -> list[Step]:
    """Play a run and kill the server in each of `steps`; answers those that it was too late for."""
    with play.begun() as command:
        missed = [step for step in steps if not _kill_in(play, step, delay_s=delays[step.label])]
        out, err = command.communicate(timeout=PATIENCE_S)
    assert command.returncode in ENDS, out + err
    play.ends_well()
    assert play.machine.world() == quiet.world
    return missed


def _kill_in(play: Play, step: Step, *, delay_s: float) -> bool:
    """SIGKILL to the server while the step runs; False where the step was over before."""
    wait = _until_asked if step.asks_for else _until_runs
    if not wait(play, step):
        return False
    time.sleep(delay_s)
    server = play.machine.address.pid
    family = _frozen(play, step, server)
    if not family:
        return False
    play.machine.kill()
    assert play.machine.address.pid != server
    assert [each for each in family if each.can_act()] == []
    until = time.monotonic() + DYING_S
    while any(each.is_there() for each in family):
        assert time.monotonic() < until, [each for each in family if each.is_there()]
        time.sleep(0.01)
    return True


def _frozen(play: Play, step: Step, server: int) -> list[Process]:
    """Stop the server while the step runs; all its processes, or none where the step is over.

    It can then neither start nor end anything until it goes on, or is dead.
    """
    while True:
        os.kill(server, signal.SIGSTOP)
        family = _family(server)
        if step.asks_for or any(step.uid in each.pod for each in family):
            return family
        os.kill(server, signal.SIGCONT)
        if step.uid not in play.pods():
            return []
        time.sleep(0.002)


def _until_runs(play: Play, step: Step) -> bool:
    """Wait for the step's pod; False where the step is over."""
    until = time.monotonic() + PATIENCE_S
    folder = play.machine.state / "pods" / step.uid
    asked = time.monotonic()
    while not folder.exists():
        assert time.monotonic() < until, f"{step.label} did not begin"
        time.sleep(0.001)
        if time.monotonic() - asked > 1:
            if _is_over(play.machine, step):
                return False
            asked = time.monotonic()
    return True


def _is_over(machine: Machine, step: Step) -> bool:
    if standing.read_address(machine.state) is None:
        return False
    with machine.kube() as kube:
        found = kube.get("Workflow", "agents", step.workflow) or {}
    nodes = found.get("status", {}).get("nodes", {}).values()
    return any(node["name"] == step.node and node["phase"] != "Running" for node in nodes)


def _until_asked(play: Play, step: Step) -> bool:
    """Wait for the object that the step makes; False where it is finished."""
    name = f"{RUN}-{step.label.partition('/')[0]}"
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            with play.machine.kube() as kube:
                for change in kube.watch(step.asks_for, "agents", name=name, timeout_s=5):
                    return not change.object.get("status", {}).get("finishedAt")
        except Unavailable:
            time.sleep(0.01)
    pytest.fail(f"{step.label} did not begin")


# What else can die


def test_the_command_killed_again_and_again_goes_on_with_the_same_run(
    new_play: Callable[[], Play], quiet: Quiet
) -> None:
    chance = random.Random(1)  # noqa: S311 - moments, no secrets
    play = new_play()
    server = play.machine.address.pid
    for _ in range(COMMANDS):
        with play.begun() as command:
            time.sleep(chance.uniform(0.1, LONGEST_PAUSE_S))
            command.kill()
    play.ends_well()
    assert play.machine.address.pid == server
    assert play.machine.world() == quiet.world


@pytest.mark.parametrize(
    "label", ["implement/agent", "qa-testing/verify", "deploy/build", "acceptance"]
)
def test_a_stage_that_is_killed_fails_its_run_which_cleans_up(
    new_play: Callable[[], Play], walk: Walk, label: str
) -> None:
    play = new_play()
    step = next(step for step in walk.steps(PIPELINE, RUN) if step.label == label)
    with play.begun() as command:
        assert _until_runs(play, step)
        _kill_stage(play, step)
        out, err = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 1, out + err
    summary = json.loads(out)
    assert (summary["run"], summary["phase"], summary["urls"]) == (RUN, "Failed", {})
    assert "exit code 137" in summary["reason"]
    verified = play.machine.call("evidence", "verify", summary["bundle"], "--output", "json")
    assert (verified.code, verified.json()["verdict"] != "pass") == (0, True)
    world = play.machine.world()
    assert (world["namespaces"], world["deployments"], play.pods()) == (["agents"], [], [])


def _kill_stage(play: Play, step: Step) -> None:
    """SIGKILL to the process of the step's own stage, and to nothing else."""
    server = play.machine.address.pid
    stages: list[Process] = []
    while not stages:
        family = _frozen(play, step, server)
        try:
            assert family, f"{step.label} was over before it could be killed"
            stages = _stages(family, play.machine.state / "pods" / step.uid)
            for each in stages:
                os.kill(each.pid, signal.SIGKILL)
        finally:
            os.kill(server, signal.SIGCONT)
    assert len(stages) == 1


def _stages(family: list[Process], pod: Path) -> list[Process]:
    """What runs as the main container of a pod; not yet there while the pod is filled."""
    spaces = {each.space for each in family if each.pod == str(pod)}
    printing = [each for each in family if each.prints_to == str(pod / "main.log")]
    numbers = {each.pid for each in printing if b"pressplay.stages" in each.command}
    # Whoever forks a stage into its sandbox is outside of it.
    inside = [each for each in printing if each.pid in numbers and each.space in spaces]
    return [each for each in inside if each.parent not in {other.pid for other in inside}]


# Processes


@dataclass(frozen=True)
class Process:
    """One process, by its number and the moment of its birth.

    `pod` is the folder of its pod, where it tells; `space` the namespace of its number;
    `prints_to` the file of its standard output.
    """

    pid: int
    born: str
    parent: int
    pod: str
    space: str
    command: bytes
    prints_to: str

    def is_there(self) -> bool:
        state = _stat(self.pid)
        return state is not None and state[0] != "Z" and state[19] == self.born

    def can_act(self) -> bool:
        """Whether it has a memory still.

        The first process of a namespace that was killed is there without one until the last of
        the others was collected.
        """
        return self.is_there() and bool(_content(Path(f"/proc/{self.pid}/cmdline")))


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5): the third)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _family(pid: int) -> list[Process]:
    """All that a process started, and what that started, as it is now."""
    children: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        state = _stat(int(entry.name)) if entry.name.isdigit() else None
        if state is not None:
            process = _process(entry, state)
            children.setdefault(process.parent, []).append(process)
    found, waiting = [], [pid]
    while waiting:
        for each in children.get(waiting.pop(), []):
            found.append(each)
            waiting.append(each.pid)
    return found


def _process(entry: Path, state: list[str]) -> Process:
    return Process(
        pid=int(entry.name),
        born=state[19],
        parent=int(state[1]),
        pod=_pod_of(_content(entry / "environ").split(b"\0")),
        space=_goal(entry / "ns/pid"),
        command=_content(entry / "cmdline"),
        prints_to=_goal(entry / "fd/1"),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _goal(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _pod_of(variables: list[bytes]) -> str:
    start = f"{MARKER}=".encode()
    return next((each[len(start) :].decode() for each in variables if each.startswith(start)), "")
