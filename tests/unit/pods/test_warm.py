"""Forked stages: nobody in the sandbox can tell them from started ones."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.pods import images, sandboxing, spec
from pressplay.pods.images import Image, Images
from pressplay.pods.running import PodResult, PodRun, PodRunner
from pressplay.pods.sandboxing import Bubblewrap
from pressplay.pods.warm import Entered, ForkServer
from pressplay.stages.forking import WAITING

DETECTED = sandboxing.detect()
PREFIX = ("python3", "-m", "pressplay.stages")
SERVER = (sys.executable, "-P", "-m", "pressplay.stages.forking")
# All that a program can find out about where and as whom it runs.
LOOK = """
import os, resource, socket
print("env", sorted((k, v) for k, v in os.environ.items() if k != "PRESSPLAY_POD_DIR"))
print("who", os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), oct(os.umask(0)))
print("session", os.getsid(0) == os.getsid(os.getppid()))
print("status", [l for l in open(f"/proc/{os.getppid()}/status") if l.startswith(("Cap", "NoNew", "Sec", "SigI", "SigB"))])
print("own", [l for l in open("/proc/self/status") if l.startswith(("Cap", "NoNew", "Seccomp"))])
print("mounts", [l.split()[4:6] for l in open("/proc/self/mountinfo")])
print("net", sorted(os.listdir("/proc/sys/net/ipv4/conf")), socket.gethostname())
print("descriptors", sorted(os.listdir("/proc/self/fd")))
print("limits", [resource.getrlimit(n) for n in range(16)])
print("folder", os.getcwd(), sorted(os.listdir("/")), sorted(os.listdir("/tmp")))
"""  # noqa: E501 - it is one argument of a command line


class _Nothing:
    """Sources for pods that ask for none."""

    def config_map(self, _namespace: str, _name: str) -> Mapping[str, str] | None:
        return None

    def secret(self, _namespace: str, _name: str) -> Mapping[str, bytes] | None:
        return None

    def account_token(self, _namespace: str, _account: str) -> str:
        return ""

    def artifact(self, _key: str) -> Path | None:
        return None

    def claim(self, _namespace: str, _name: str) -> Path:
        raise AssertionError

    def pod_environment(self) -> Mapping[str, str]:
        return {"FROM_POD": "1"}


Run = Callable[..., PodRun]


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Callable[[ForkServer | None], Run]]:
    """Answers, for a fork server or none, what creates pods of one stage."""
    if not isinstance(DETECTED, Bubblewrap):
        pytest.skip(DETECTED.warning)
    host = images.host_image(etc_folder=tmp_path / "etc")
    named = {"pressplay/agent": dataclasses.replace(images.runner_image(host), name="agent")}
    runners: list[PodRunner] = []

    def build(forks: ForkServer | None) -> Run:
        runner = _runner(tmp_path / f"pods-{len(runners)}", host=host, named=named, forks=forks)
        runners.append(runner)
        return lambda *arguments, **more: runner.create(_pod(*arguments, **more))

    yield build
    for runner in runners:
        runner.sweep()


@pytest.fixture
def turns(
    tmp_path: Path, forks: ForkServer, create: Callable[[ForkServer | None], Run]
) -> Callable[[spec.Pod], PodRun]:
    """Creates pods that are given whole."""
    del create  # it skips where there is no sandbox
    host = images.host_image(etc_folder=tmp_path / "etc-turns")
    named = {"pressplay/agent": dataclasses.replace(images.runner_image(host), name="agent")}
    return _runner(tmp_path / "pods-turns", host=host, named=named, forks=forks).create


def _runner(
    directory: Path, *, host: Image, named: Mapping[str, Image], forks: ForkServer | None
) -> PodRunner:
    detected = sandboxing.detect()
    assert isinstance(detected, Bubblewrap)
    if forks is not None:
        detected.warm_up(forks)
    return PodRunner(
        directory=directory,
        images=Images(host, named),
        sources=_Nothing(),
        sandbox=detected,
        clock=SystemClock(),
    )


def _pod(*arguments: str, uid: str = "1", env: Mapping[str, str] | None = None) -> spec.Pod:
    main: dict[str, Any] = {
        "name": "main",
        "image": "pressplay/agent:0.1.0",
        "command": [*PREFIX, *arguments],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
    }
    return spec.parse_pod(
        {"containers": [main]},
        name="step-1",
        namespace="agents",
        uid=uid,
        labels={"pressplay.dev/network": "none"},
    )


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    log = tmp_path_factory.mktemp("forks") / "log"
    server = ForkServer(SERVER, prefix=PREFIX, images=frozenset({"agent"}), log=log)
    _until_ready(server)
    yield server
    server.close()
    assert log.read_text() == ""


def _until_ready(server: ForkServer) -> None:
    async def wait() -> None:
        async with asyncio.timeout(60):
            while not server.serves("agent", PREFIX, {}):
                await asyncio.sleep(0.05)

    asyncio.run(wait())


def request(*command: str) -> dict[str, str]:
    return {"PRESSPLAY_REQUEST": json.dumps({"command": list(command)})}


def log(run: PodRun) -> str:
    return run.log_path("main").read_text()


async def test_a_forked_stage_finds_what_a_started_one_finds(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    said = []
    for server in (None, forks):
        run = create(server)("command", env=request("python3", "-c", LOOK))
        result = await run.run()
        assert result.succeeded, log(run)
        said.append(re.sub(r"pods-\d", "pods", log(run)))
        run.remove()
    assert said[0].splitlines() == said[1].splitlines()
    assert "'CapEff:\\t0000000000000000\\n'" in said[0]
    assert "'NoNewPrivs:\\t1\\n'" in said[0]
    assert "FROM_POD" not in said[0]  # a free command gets nobody's environment


async def test_a_forked_stage_was_indeed_forked(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    read = "print(open(f'/proc/{__import__(\"os\").getppid()}/cmdline').read().split(chr(0)))"
    for server, module in ((None, "pressplay.stages"), (forks, "pressplay.stages.forking")):
        run = create(server)("command", env=request("python3", "-c", read))
        await run.run()
        assert f"'{module}'" in log(run)


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        (("false",), 1, "The command ended with exit code 1"),
        (("no-such-program",), 2, "no-such-program"),
    ],
)
async def test_how_a_fork_ended_is_how_the_pod_ended(
    create: Callable[[ForkServer | None], Run],
    forks: ForkServer,
    command: tuple[str, ...],
    code: int,
    reason: str,
) -> None:
    run = create(forks)("command", env=request(*command))
    result: PodResult = await run.run()
    assert result.containers["main"].exit_code == code
    assert reason in (run.read(container="main", path="/out/reason", limit=1000) or b"").decode()


async def test_an_unknown_stage_is_refused_as_ever(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    run = create(forks)("no-such-stage")
    assert (await run.run()).containers["main"].exit_code == 2
    assert "Unknown stage 'no-such-stage'" in log(run)


async def test_a_stopped_fork_cleans_up_and_says_143(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    run = create(forks)("command", env=request("sh", "-c", "echo started; sleep 60"))
    running = asyncio.ensure_future(run.run())
    while "started" not in (log(run) if run.log_path("main").exists() else ""):
        await asyncio.sleep(0.01)
    await run.stop(grace_s=20)
    assert (await running).containers["main"].exit_code == 143
    assert "stopped from outside" in log(run)


async def test_a_fork_that_does_not_listen_is_killed_with_all_that_it_started(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    script = "trap '' TERM; (setsid sleep 61.125 &); echo started; sleep 61.125"
    run = create(forks)("command", env=request("sh", "-c", script))
    running = asyncio.ensure_future(run.run())
    while "started" not in (log(run) if run.log_path("main").exists() else ""):
        await asyncio.sleep(0.01)
    await run.stop(grace_s=0.05)
    assert (await running).containers["main"].exit_code in (137, 143)
    assert not _processes("61.125")


async def test_a_fork_that_ends_leaves_nothing_running(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    script = "(setsid sleep 61.25 >/dev/null 2>&1 &) ; echo done"
    run = create(forks)("command", env=request("sh", "-c", script))
    assert (await run.run()).succeeded
    assert not _processes("61.25")


async def test_a_program_that_kills_all_it_sees_kills_only_itself(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    make = create(forks)
    run = make("command", env=request("sh", "-c", "kill -KILL -1"))
    assert (await run.run()).containers["main"].exit_code == 137
    after = make("command", uid="2", env=request("true"))
    assert (await after.run()).succeeded


async def test_forks_beside_each_other_do_not_mix(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    make = create(forks)
    runs = [make("command", uid=f"u{n}", env=request("echo", f"I am {n}")) for n in range(8)]
    results = await asyncio.gather(*(run.run() for run in runs))
    assert all(result.succeeded for result in results)
    assert [log(run).count(f"I am {n}\n") for n, run in enumerate(runs)] == [1] * 8


async def test_a_large_environment_arrives_whole(
    create: Callable[[ForkServer | None], Run], forks: ForkServer
) -> None:
    request_ = json.dumps({"command": ["true"], "note": "x" * 1_000_000})
    run = create(forks)("command", env={"PRESSPLAY_REQUEST": request_})
    assert (await run.run()).succeeded


def _in_turn(*scripts: str, sub_path: str = "", working_dir: str = "/", uid: str = "1") -> spec.Pod:
    """Stages with a volume in common: all but the last are init containers."""
    containers = [
        {
            "name": f"c{number}",
            "image": "pressplay/agent:0.1.0",
            "command": [*PREFIX, "command"],
            "env": [{"name": n, "value": v} for n, v in request("sh", "-c", script).items()],
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        }
        for number, script in enumerate(scripts)
    ]
    containers[-1]["volumeMounts"] = [
        {"name": "shared", "mountPath": "/shared", "subPath": sub_path}
    ]
    containers[-1]["workingDir"] = working_dir
    body = {
        "initContainers": containers[:-1],
        "containers": containers[-1:],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    labels = {"pressplay.dev/network": "none"}
    return spec.parse_pod(body, name="step-1", namespace="agents", uid=uid, labels=labels)


async def test_the_next_sandbox_is_built_while_an_init_container_runs(
    turns: Callable[[spec.Pod], PodRun],
) -> None:
    run = turns(_in_turn("sleep 61.5", "true"))
    running, entered = await _until_the_first_runs(run, "61.5")
    assert list(run._prepared) == ["c1"]
    await run.stop(grace_s=20)
    result = await running
    assert not result.succeeded
    assert result.containers.keys() == {"c0"}
    with pytest.raises(ProcessLookupError):
        os.kill(entered.around.pid, 0)


async def test_a_stage_waits_in_its_sandbox_and_begins_only_when_its_turn_comes(
    turns: Callable[[spec.Pod], PodRun],
) -> None:
    run = turns(_in_turn("sleep 61.625; true", "echo begun"))
    running, entered = await _until_the_first_runs(run, "61.625")
    async with asyncio.timeout(60):
        while not entered._pid:
            await asyncio.sleep(0.01)
            entered._read()
    waiting = os.pidfd_open(entered._pid)
    assert run.log_path("c1").read_text() == ""
    for pid in _processes("61.625"):
        os.kill(pid, signal.SIGKILL)
    assert (await running).succeeded
    assert run.log_path("c1").read_text().startswith("begun\n")
    signal_of_the_end, _, _ = select.select([waiting], [], [], 10)
    assert signal_of_the_end
    os.close(waiting)


async def test_what_init_containers_write_is_there_for_those_after_them(
    turns: Callable[[spec.Pod], PodRun],
) -> None:
    run = turns(_in_turn("echo one > /shared/a", "cat /shared/a > /shared/b", "cat /shared/b"))
    assert (await run.run()).succeeded
    assert run.log_path("c2").read_text().startswith("one\n")


@pytest.mark.parametrize("where", [{"sub_path": "made"}, {"working_dir": "/shared/made"}])
async def test_nothing_is_made_in_a_volume_that_an_init_container_is_about_to_fill(
    turns: Callable[[spec.Pod], PodRun], where: dict[str, str]
) -> None:
    run = turns(_in_turn("mkdir /shared/made", "true", **where))
    assert (await run.run()).succeeded


async def test_a_failed_init_container_leaves_nothing_of_what_was_built_for_the_next(
    turns: Callable[[spec.Pod], PodRun],
) -> None:
    run = turns(_in_turn("exit 7", "echo never"))
    result = await run.run()
    assert result.containers.keys() == {"c0"}
    assert run._prepared == {}
    assert run.log_path("c1").read_text() == ""


async def test_a_run_that_is_cancelled_leaves_what_was_built_too(
    turns: Callable[[spec.Pod], PodRun],
) -> None:
    run = turns(_in_turn("sleep 61.75", "true"))
    running, entered = await _until_the_first_runs(run, "61.75")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(entered.around.pid, 0)


async def test_without_its_server_a_stage_is_started_in_the_ordinary_way(
    create: Callable[[ForkServer | None], Run], tmp_path: Path
) -> None:
    server = ForkServer(SERVER, prefix=PREFIX, images=frozenset({"agent"}), log=tmp_path / "log")
    async with asyncio.timeout(60):
        while not server.serves("agent", PREFIX, {}):
            await asyncio.sleep(0.05)
    server.close()
    run = create(server)("command", env=request("echo", "here all the same"))
    assert (await run.run()).succeeded
    assert "here all the same" in log(run)


async def test_a_server_that_forks_nothing_is_done_without(
    create: Callable[[ForkServer | None], Run], tmp_path: Path
) -> None:
    deaf = "import socket; s = socket.socket(fileno=0); s.send(b'!'); s.recv(1); s.recv(1)"
    server = ForkServer(
        (sys.executable, "-c", deaf), prefix=PREFIX, images=frozenset({"agent"}), log=tmp_path / "l"
    )
    async with asyncio.timeout(60):
        while not server.serves("agent", PREFIX, {}):
            await asyncio.sleep(0.05)
    run = create(server)("command", env=request("echo", "here all the same"))
    assert (await run.run()).succeeded
    assert log(run).count("here all the same") == 1
    server.close()


@pytest.mark.parametrize(
    ("image", "command", "variables"),
    [
        ("host", PREFIX, {}),
        ("agent", ("python3", "-c", "pass"), {}),
        ("agent", PREFIX, {"PATH": "/elsewhere"}),
        ("agent", PREFIX, {"PYTHONPATH": "/elsewhere"}),
        ("agent", PREFIX, {"LD_PRELOAD": "/elsewhere.so"}),
    ],
)
def test_whatever_could_mean_another_program_is_not_forked(
    forks: ForkServer, image: str, command: tuple[str, ...], variables: Mapping[str, str]
) -> None:
    assert not forks.serves(image, command, variables)


async def _until_the_first_runs(
    run: PodRun, argument: str
) -> tuple[asyncio.Future[PodResult], Entered]:
    """Runs pods of `turns` until their init container sleeps; and what waits for it."""
    running = asyncio.ensure_future(run.run())
    async with asyncio.timeout(60):
        while not _processes(argument):
            await asyncio.sleep(0.01)
    return running, run._prepared["c1"]


def _processes(argument: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                said = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in said and b"sleep" in said[0]:
                found.append(int(entry.name))
    return found


async def test_forks_that_die_while_they_wait_are_replaced(
    create: Callable[[ForkServer | None], Run], tmp_path: Path
) -> None:
    server = ForkServer(SERVER, prefix=PREFIX, images=frozenset({"agent"}), log=tmp_path / "log")
    async with asyncio.timeout(60):
        while not server.serves("agent", PREFIX, {}) or len(_forks_of(server)) < WAITING:
            await asyncio.sleep(0.05)
    before = _forks_of(server)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    read = "print(open(f'/proc/{__import__(\"os\").getppid()}/cmdline').read().split(chr(0)))"
    run = create(server)("command", env=request("python3", "-c", read))
    assert (await run.run()).succeeded
    assert "'pressplay.stages.forking'" in log(run)
    assert not before & _forks_of(server)
    server.close()


def _forks_of(server: ForkServer) -> set[int]:
    assert server._child is not None
    pid = server._child.pid
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_the_server_ends_when_nobody_is_left_to_order(tmp_path: Path) -> None:
    server = ForkServer(SERVER, prefix=PREFIX, images=frozenset({"agent"}), log=tmp_path / "log")
    _until_ready(server)
    server._orders.close()
    child = server._child
    assert child is not None
    assert os.waitpid(child.pid, 0) == (child.pid, 0)
    os.close(child.pidfd)
