"""What every sandbox must do for a pod: the same suite for bubblewrap and for plain processes.

Scripts write below `$PRESSPLAY_ROOT`, which is empty inside of a sandbox.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.pods import spec
from pressplay.pods.images import Image, Images
from pressplay.pods.running import RETIRED, PodResult, PodRun, PodRunner
from pressplay.pods.sandboxing import Bubblewrap, Plain, Sandbox

R = "$PRESSPLAY_ROOT"


@dataclass
class Kept:
    """Sources from plain dictionaries."""

    folder: Path
    config_maps: dict[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self.config_maps.get(f"{namespace}/{name}")

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return self.secrets.get(f"{namespace}/{name}")

    def account_token(self, namespace: str, account: str) -> str:
        return self.token and f"{self.token} of {namespace}/{account}"

    def artifact(self, key: str) -> Path | None:
        return self.artifacts.get(key)

    def claim(self, namespace: str, name: str) -> Path:
        claim = self.folder / "claims" / namespace / name
        claim.mkdir(parents=True, exist_ok=True)
        return claim

    def pod_environment(self) -> Mapping[str, str]:
        return self.environment


@dataclass
class World:
    """A runner with one sandbox, and short ways to use it."""

    runner: PodRunner
    sources: Kept
    folder: Path
    created: list[PodRun] = field(default_factory=list)

    def create(
        self,
        script: str | Sequence[str] = "",
        *,
        uid: str = "",
        labels: Mapping[str, str] | None = None,
        container: Mapping[str, Any] | None = None,
        **pod: Any,
    ) -> PodRun:
        """A pod with a container `main` that runs a shell script or an argument list."""
        command = ["sh", "-c", script] if isinstance(script, str) else list(script)
        main = {"name": "main", "image": "any", "command": command, **(container or {})}
        pod = {**pod, "containers": [main, *pod.get("containers", ())]}
        run = self.runner.create(
            spec.parse_pod(
                pod,
                name="step-1",
                namespace="agents",
                uid=uid or f"uid-{len(self.created)}",
                labels=labels or {},
            )
        )
        self.created.append(run)
        return run

    async def run(self, script: str | Sequence[str] = "", **pod: Any) -> tuple[PodResult, PodRun]:
        run = self.create(script, **pod)
        return await run.run(), run


def container(name: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "any", "command": ["sh", "-c", script], **more}


def log(run: PodRun, name: str = "main") -> str:
    path = run.log_path(name)
    return path.read_text() if path.exists() else ""


async def eventually(is_true: Callable[[], bool], what: Callable[[], str] = str) -> None:
    for _ in range(500):
        if is_true():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"did not happen in five seconds {what()}")


def processes_with(marker: str) -> list[int]:
    """Every process that has the marker in its command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and marker.encode() in said and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def command_line(pid: int) -> bytes:
    """Empty for a process that is gone by now."""
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def world(sandbox: Sandbox, host: Image, tmp_path: Path) -> Iterator[World]:
    sources = Kept(tmp_path)
    runner = PodRunner(
        directory=tmp_path / "pods",
        images=Images(host=host),
        sources=sources,
        sandbox=sandbox,
        clock=SystemClock(),
    )
    world = World(runner, sources, tmp_path)
    yield world
    for run in world.created:
        run.remove()
    runner.sweep()


# Ends and messages


async def test_a_pod_whose_program_ends_well_succeeded(world: World) -> None:
    result, _ = await world.run(["true"])
    assert result.succeeded
    assert result.message == ""
    assert result.containers["main"].exit_code == 0
    assert result.containers["main"].started_at <= result.containers["main"].finished_at


async def test_a_failed_program_gives_its_exit_code_and_argos_message(world: World) -> None:
    result, _ = await world.run("exit 7")
    assert not result.succeeded
    assert result.containers["main"].exit_code == 7
    assert result.message == "main: Error (exit code 7)"


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("KILL", 137)])
async def test_a_signal_is_an_exit_code_above_128(world: World, name: str, code: int) -> None:
    result, _ = await world.run(f"kill -{name} $$$$")
    assert result.containers["main"].exit_code == code


async def test_a_command_that_is_not_on_the_path_fails_in_argos_words(world: World) -> None:
    result, run = await world.run(["no-such-program"])
    message = (
        'failed to find name in PATH: exec: "no-such-program": executable file not found in $PATH'
    )
    assert result.containers["main"].exit_code == 64
    assert result.containers["main"].message == message
    assert result.message == f"main: Error (exit code 64): {message}"
    assert message in log(run)


async def test_a_command_with_a_path_that_is_not_there_fails(world: World) -> None:
    result, _ = await world.run(["/no/such/program"])
    assert result.containers["main"].exit_code == 64
    assert "stat /no/such/program: no such file or directory" in result.message


async def test_a_command_that_is_no_program_fails(world: World) -> None:
    run = world.create(["/work/notes"])
    run.write(b"no program", container="main", path="/work/notes")
    result = await run.run()
    assert result.containers["main"].exit_code == 64
    assert "permission denied" in result.message


async def test_a_container_without_a_command_fails_with_the_remedy(world: World) -> None:
    result, _ = await world.run([])
    assert result.containers["main"].exit_code == 64
    assert "set `command`" in result.message


async def test_output_and_errors_go_to_one_log_that_only_we_can_read(world: World) -> None:
    _, run = await world.run("echo one; echo two >&2; echo three")
    assert log(run) == "one\ntwo\nthree\n"
    assert stat.S_IMODE(run.log_path("main").stat().st_mode) == 0o600


async def test_nothing_is_on_standard_input(world: World) -> None:
    _, run = await world.run("cat; echo end")
    assert log(run) == "end\n"


# Order


async def test_init_containers_run_in_order_before_the_main_one(world: World) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    write = f"echo $0 >> {R}/shared/order"
    result, run = await world.run(
        f"cat {R}/shared/order",
        container={"volumeMounts": mounts},
        volumes=[{"name": "shared", "emptyDir": {}}],
        initContainers=[
            container("first", f"sleep 0.05; {write.replace('$0', 'first')}", volumeMounts=mounts),
            container("second", write.replace("$0", "second"), volumeMounts=mounts),
        ],
    )
    assert result.succeeded, result
    assert log(run) == "first\nsecond\n"


async def test_a_failed_init_container_ends_the_pod(world: World) -> None:
    result, run = await world.run(
        "true", initContainers=[container("token", "exit 3"), container("later", "true")]
    )
    assert not result.succeeded
    assert result.message == "token: Error (exit code 3)"
    assert set(result.containers) == {"token"}
    assert log(run) == ""


async def test_a_pod_ends_when_all_its_main_containers_ended(world: World) -> None:
    result, _ = await world.run(
        "exit 0", containers=[container("other", "sleep 0.2; exit 5"), container("third", "true")]
    )
    assert result.message == "other: Error (exit code 5)"
    assert set(result.containers) == {"main", "other", "third"}


async def test_a_sidecar_runs_beside_the_main_container_and_is_stopped_after_it(
    world: World,
) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    serve = (
        f"trap 'echo stopped; exit 0' TERM; echo up > {R}/shared/up; while :; do sleep 0.01; done"
    )
    wait = f"until [ -s {R}/shared/up ]; do sleep 0.01; done; cat {R}/shared/up"
    result, run = await world.run(
        wait,
        container={"volumeMounts": mounts},
        volumes=[{"name": "shared", "emptyDir": {}}],
        initContainers=[container("meter", serve, volumeMounts=mounts, restartPolicy="Always")],
    )
    assert result.succeeded, result
    assert log(run) == "up\n"
    assert "stopped\n" in log(run, "meter")


async def test_in_a_relay_network_a_sidecar_serves_the_main_container_by_a_shared_folder(
    world: World,
) -> None:
    sidecar = container(
        "beside",
        f"mkfifo {R}/shared/pipe; echo carried > {R}/shared/pipe; sleep 60",
        restartPolicy="Always",
        volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
    )
    result, run = await world.run(
        f"until [ -p {R}/shared/pipe ]; do sleep 0.01; done; cat {R}/shared/pipe",
        labels={"pressplay.dev/network": "relay"},
        initContainers=[sidecar],
        container={"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]},
        volumes=[{"name": "shared", "emptyDir": {}}],
        terminationGracePeriodSeconds=1,
    )
    assert result.succeeded
    assert log(run) == "carried\n"


async def test_a_sidecar_that_will_not_stop_is_killed_after_the_grace(world: World) -> None:
    deaf = f"trap '' TERM; touch {R}/shared/up; while :; do sleep 0.05; done"
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    result, _ = await world.run(
        f"until [ -e {R}/shared/up ]; do sleep 0.01; done",
        container={"volumeMounts": mounts},
        volumes=[{"name": "shared", "emptyDir": {}}],
        initContainers=[container("deaf", deaf, volumeMounts=mounts, restartPolicy="Always")],
        terminationGracePeriodSeconds=0,
    )
    assert result.succeeded
    assert result.containers["deaf"].exit_code == 137


async def test_a_sidecar_that_ends_is_started_again(world: World) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    result, _ = await world.run(
        f"until [ $(wc -l < {R}/shared/starts) -ge 2 ]; do sleep 0.02; done",
        container={"volumeMounts": mounts},
        volumes=[{"name": "shared", "emptyDir": {}}],
        initContainers=[
            container("first", f"touch {R}/shared/starts", volumeMounts=mounts),
            container(
                "weak",
                f"echo start >> {R}/shared/starts; exit 1",
                volumeMounts=mounts,
                restartPolicy="Always",
            ),
        ],
    )
    assert result.succeeded, result


# Stopping


async def test_stop_lets_the_program_hear_sigterm_and_choose_its_exit_code(world: World) -> None:
    run = world.create("trap 'echo heard; exit 9' TERM; echo ready; while :; do sleep 0.01; done")
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: "ready" in log(run))
    await run.stop(grace_s=5)
    result = await running
    assert "heard\n" in log(run)
    assert result.containers["main"].exit_code == 9


async def test_stop_ends_a_program_without_a_handler_with_143(world: World) -> None:
    run = world.create(["sleep", "60"])
    running = asyncio.ensure_future(run.run())
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await run.stop(grace_s=30)
    assert (await running).message == "main: Error (exit code 143)"
    assert time.monotonic() - started < 5


async def test_stop_kills_after_the_grace_what_will_not_hear(world: World) -> None:
    run = world.create("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: "ready" in log(run))
    await run.stop(grace_s=0.2)
    assert (await running).message == "main: Error (exit code 137)"


async def test_stop_at_any_moment_of_the_start_ends_the_pod(world: World) -> None:
    for delay_ms in (0, 0, 1, 2, 3, 4, 6, 8):
        run = world.create(["sleep", "60"])
        running = asyncio.ensure_future(run.run())
        await asyncio.sleep(delay_ms / 1000)
        await asyncio.wait_for(run.stop(grace_s=20), 10)
        result = await running
        assert not result.succeeded
        assert "143" in result.message or "before its containers" in result.message


async def test_a_pod_stopped_before_its_start_starts_nothing(world: World) -> None:
    run = world.create("echo never")
    await run.stop(grace_s=1)
    result = await run.run()
    assert not result.succeeded
    assert result.message == "stopped before its containers started"
    assert log(run) == ""


async def test_stop_during_an_init_container_starts_no_other(world: World) -> None:
    run = world.create(
        "echo never", initContainers=[container("long", "trap 'exit 0' TERM; sleep 60 & wait")]
    )
    running = asyncio.ensure_future(run.run())
    await asyncio.sleep(0.1)
    await run.stop(grace_s=5)
    result = await running
    assert not result.succeeded
    assert "main" not in result.containers


async def test_an_orphan_in_the_background_does_not_hold_the_pod_and_dies_with_it(
    world: World,
) -> None:
    started = time.monotonic()
    result, _ = await world.run("sleep 60 & echo $!")
    assert result.succeeded
    assert time.monotonic() - started < 5
    assert not processes_with(str(world.folder))


async def test_cancelling_the_run_kills_all_of_the_pod(world: World) -> None:
    run = world.create(
        "trap '' TERM; echo ready; sleep 60",
        initContainers=[container("side", "sleep 60", restartPolicy="Always")],
    )
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: "ready" in log(run))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not processes_with(str(world.folder))


# Environment and command line


async def test_variables_come_from_values_config_maps_secrets_and_the_pod(world: World) -> None:
    world.sources.config_maps["agents/settings"] = {"URL": "http://x", "MODE": "fast"}
    world.sources.secrets["agents/key"] = {"value": b"s3cret"}
    ref = {"name": "settings", "key": "URL"}
    _, run = await world.run(
        'echo "$PLAIN|$URL|$KEY|$NAME|$SPACE|$UID_|$S_MODE|$GONE|$FULL"',
        container={
            "envFrom": [
                {"prefix": "S_", "configMapRef": {"name": "settings"}},
                {"secretRef": {"name": "absent", "optional": True}},
            ],
            "env": [
                {"name": "PLAIN", "value": "a b"},
                {"name": "URL", "valueFrom": {"configMapKeyRef": ref}},
                {
                    "name": "KEY",
                    "valueFrom": {"secretKeyRef": {"name": "key", "key": "value"}},
                },
                {
                    "name": "GONE",
                    "valueFrom": {"configMapKeyRef": {**ref, "key": "NO", "optional": True}},
                },
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "UID_", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                {"name": "FULL", "value": "$(URL)/$(S_MODE)/$(LATER)/$$(URL)"},
                {"name": "LATER", "value": "x"},
            ],
        },
        uid="uid-7",
    )
    assert log(run) == (
        "a b|http://x|s3cret|step-1|agents|uid-7|fast||http://x/fast/$(LATER)/$(URL)\n"
    )


async def test_the_command_line_is_expanded_and_never_goes_through_a_shell(world: World) -> None:
    _, run = await world.run(
        [],
        container={
            "command": ["echo", "$(A)"],
            "args": ["$(B)", "$$(A)", "$HOME", "; exit 3"],
            "env": [{"name": "A", "value": "one two"}],
        },
    )
    assert log(run) == "one two $(B) $(A) $HOME ; exit 3\n"


async def test_nothing_of_our_own_environment_reaches_the_program(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_ALONE", "x")
    _, run = await world.run(["env"], container={"env": [{"name": "A", "value": "b"}]})
    names = {line.partition("=")[0] for line in log(run).splitlines()}
    assert names - {"PRESSPLAY_ROOT", "TMPDIR", "PWD"} == {
        *("A", "HOME", "LANG", "PATH", "PRESSPLAY_POD_DIR")
    }


async def test_a_secret_shows_in_no_process_list(world: World) -> None:
    world.sources.secrets["agents/key"] = {"value": b"never-in-a-list"}
    run = world.create(
        ["sleep", "60"],
        container={
            "env": [
                {"name": "K", "valueFrom": {"secretKeyRef": {"name": "key", "key": "value"}}},
            ]
        },
    )
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: bool(processes_with(str(world.folder))))
    lines = [command_line(pid) for pid in processes_with(str(world.folder))]
    await run.stop(grace_s=5)
    await running
    assert lines
    assert not any(b"never-in-a-list" in line for line in lines)


async def test_a_missing_secret_is_a_failed_pod_with_the_remedy(world: World) -> None:
    result, _ = await world.run(
        "true",
        container={
            "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "key", "key": "value"}}}]
        },
    )
    assert not result.succeeded
    assert "Key 'value' of Secret agents/key not found; create it" in result.message


async def test_runtime_variables_are_for_pods_with_an_account(world: World) -> None:
    world.sources.environment["PRESSPLAY_KUBE_URL"] = "http://127.0.0.1:4710"
    _, without = await world.run('echo "$PRESSPLAY_KUBE_URL"')
    _, having = await world.run('echo "$PRESSPLAY_KUBE_URL"', serviceAccountName="preflight")
    assert (log(without), log(having)) == ("\n", "http://127.0.0.1:4710\n")


async def test_a_nul_in_a_secret_variable_is_refused_and_smuggles_nothing(world: World) -> None:
    world.sources.secrets["agents/key"] = {"value": b"x\0--bind\0/\0/host"}
    result, _ = await world.run("true", container={"envFrom": [{"secretRef": {"name": "key"}}]})
    assert not result.succeeded
    assert "NUL" in result.message


# Files


async def test_the_working_directory_is_made_and_the_root_is_the_default(world: World) -> None:
    _, first = await world.run("pwd")
    _, second = await world.run("pwd; touch here", container={"workingDir": "/work/src"})
    assert log(first).rstrip("/").endswith(("\n", "main\n"))
    assert log(second).endswith("/work/src\n")
    assert second.exists(container="main", path="/work/src/here")


async def test_what_was_placed_is_there_and_what_was_written_comes_out(
    world: World, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "run.sh").write_text("echo ran")
    (tree / "sub" / "run.sh").chmod(0o755)
    run = world.create(
        f"cat {R}/in/word; cp -r {R}/in/tree {R}/out/; echo end > {R}/out/end;"
        f"ls -l {R}/in/tree/sub",
        volumes=[{"name": "out", "emptyDir": {}}],
        container={"volumeMounts": [{"name": "out", "mountPath": "/out"}]},
    )
    run.place(tree, container="main", path="/in/tree")
    run.write(b"hello\n", container="main", path="/in/word")
    result = await run.run()
    assert result.succeeded, log(run)
    assert log(run).startswith("hello\n")
    assert "-rwx" in log(run)
    assert run.export(container="main", path="/out", target=tmp_path / "kept")
    assert (tmp_path / "kept" / "tree" / "sub" / "run.sh").read_text() == "echo ran"
    assert run.read(container="main", path="/out/end", limit=100) == b"end\n"
    assert run.read(container="main", path="/out/end", limit=2) == b"en"


async def test_a_pod_that_is_over_makes_room_for_another_with_its_uid(world: World) -> None:
    _, first = await world.run(f"echo first > {R}/out", uid="same")
    first.retire()
    _, second = await world.run(f"test -e {R}/out || echo second > {R}/out", uid="same")
    first.remove()
    assert second.read(container="main", path="/out", limit=9) == b"second\n"
    second.retire()
    second.remove()
    assert [each.name for each in (world.folder / "pods").glob(f"{RETIRED}*")] == []


async def test_what_is_taken_is_what_is_exported(world: World, tmp_path: Path) -> None:
    _, run = await world.run(
        f"mkdir -p {R}/out/sub; echo ran > {R}/out/sub/file; ln -s file {R}/out/sub/link"
    )
    assert run.export(container="main", path="/out", target=tmp_path / "copy")
    assert run.take(container="main", path="/out", target=tmp_path / "taken")
    copied, taken = (
        [str(each.relative_to(folder)) for each in sorted(folder.rglob("*"))]
        for folder in (tmp_path / "copy", tmp_path / "taken")
    )
    assert copied == taken == ["sub", "sub/file"]
    assert (tmp_path / "taken" / "sub" / "file").read_text() == "ran\n"
    assert not run.take(container="main", path="/no", target=tmp_path / "x")


async def test_what_is_taken_stays_in_a_claim(world: World, tmp_path: Path) -> None:
    _, run = await world.run(
        f"echo kept > {R}/data/file",
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "cache"}}],
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    )
    assert run.take(container="main", path="/data", target=tmp_path / "taken")
    assert (tmp_path / "taken" / "file").read_text() == "kept\n"
    assert run.read(container="main", path="/data/file", limit=9) == b"kept\n"


async def test_what_is_not_there_is_told_apart(world: World, tmp_path: Path) -> None:
    _, run = await world.run(f"mkdir {R}/out; touch {R}/out/file")
    assert not run.export(container="main", path="/out/no", target=tmp_path / "x")
    assert run.read(container="main", path="/out/no", limit=1) is None
    assert run.read(container="main", path="/out/file/no", limit=1) is None
    assert run.read(container="main", path="/out", limit=1) is None
    assert run.exists(container="main", path="/out/file")
    assert not run.is_dir(container="main", path="/out/file")
    assert run.is_dir(container="main", path="/out")
    assert not run.exists(container="main", path="/out/no")


async def test_files_can_be_placed_in_a_mounted_volume(world: World) -> None:
    run = world.create(
        f"cat {R}/data/deep/word",
        volumes=[{"name": "data", "emptyDir": {}}],
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    )
    run.write(b"placed\n", container="main", path="/data/deep/word")
    await run.run()
    assert log(run) == "placed\n"


def test_a_path_with_dots_or_into_the_image_cannot_be_placed(world: World) -> None:
    run = world.create("true")
    for path in ("/a/../../b", "b", "/usr/bin/x"):
        with pytest.raises(Refused):
            run.write(b"", container="main", path=path)
    with pytest.raises(Refused, match="no container 'other'"):
        run.write(b"", container="other", path="/a")


async def test_containers_have_roots_of_their_own(world: World) -> None:
    _, run = await world.run(
        f"test ! -e {R}/mine && echo alone", initContainers=[container("a", f"touch {R}/mine")]
    )
    assert log(run) == "alone\n"
    assert run.exists(container="a", path="/mine")
    assert not run.exists(container="main", path="/mine")


async def test_config_maps_and_secrets_are_files(world: World) -> None:
    world.sources.config_maps["agents/prompts"] = {"a.md": "A", "b.md": "B"}
    world.sources.secrets["agents/app"] = {"app-id": b"17", "private-key": b"\x00\xff"}
    result, run = await world.run(
        f"cd {R}/etc/agents; ls; cat a.md; cd {R}/app; ls -R; cat deep/id;"
        f"wc -c < private-key; ls {R}/one; ls {R}/none",
        volumes=[
            {"name": "prompts", "configMap": {"name": "prompts"}},
            {"name": "none", "configMap": {"name": "absent", "optional": True}},
            {
                "name": "one",
                "configMap": {"name": "prompts", "items": [{"key": "b.md", "path": "x"}]},
            },
            {
                "name": "app",
                "secret": {
                    "secretName": "app",
                    "defaultMode": 256,
                    "items": [
                        {"key": "app-id", "path": "deep/id"},
                        {"key": "private-key", "path": "private-key"},
                    ],
                },
            },
        ],
        container={
            "volumeMounts": [
                {"name": "prompts", "mountPath": "/etc/agents", "readOnly": True},
                {"name": "none", "mountPath": "/none"},
                {"name": "one", "mountPath": "/one"},
                {"name": "app", "mountPath": "/app"},
            ]
        },
    )
    assert result.succeeded, log(run)
    assert log(run) == "a.md\nb.md\nA.:\ndeep\nprivate-key\n\n./deep:\nid\n172\nx\n"


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"secret": {"secretName": "app"}}, "Secret agents/app not found; create it"),
        ({"configMap": {"name": "app"}}, "ConfigMap agents/app not found; create it"),
        (
            {"configMap": {"name": "there", "items": [{"key": "no", "path": "x"}]}},
            "Key 'no' of ConfigMap agents/there not found",
        ),
        (
            {
                "csi": {
                    "driver": "artifacts.pressplay.dev",
                    "volumeAttributes": {"key": "run/source"},
                }
            },
            "no artifact is stored at run/source",
        ),
        ({"configMap": {"name": "hostile"}}, "leaves its folder"),
    ],
)
async def test_a_volume_that_cannot_be_filled_fails_the_pod(
    world: World, volume: Mapping[str, Any], message: str
) -> None:
    world.sources.config_maps["agents/there"] = {}
    world.sources.config_maps["agents/hostile"] = {"../../escaped": "x"}
    result, _ = await world.run("true", volumes=[{"name": "it", **volume}])
    assert not result.succeeded
    assert message in result.message
    assert not (world.folder / "pods" / "escaped").exists()


async def test_an_artifact_volume_is_the_pods_own_copy(world: World, tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.mkdir()
    (stored / "main.py").write_text("before")
    world.sources.artifacts["run/source"] = stored
    csi = {"driver": "artifacts.pressplay.dev", "volumeAttributes": {"key": "run/source"}}
    result, run = await world.run(
        f"echo after > {R}/work/src/main.py; cat {R}/work/src/main.py",
        volumes=[{"name": "source", "csi": csi}],
        container={"volumeMounts": [{"name": "source", "mountPath": "/work/src"}]},
    )
    assert result.succeeded, log(run)
    assert log(run) == "after\n"
    assert (stored / "main.py").read_text() == "before"


async def test_a_stored_file_is_mounted_as_a_file(world: World, tmp_path: Path) -> None:
    stored = tmp_path / "policy.json"
    stored.write_text("{}")
    world.sources.artifacts["run/policy"] = stored
    csi = {"driver": "artifacts.pressplay.dev", "volumeAttributes": {"key": "run/policy"}}
    _, run = await world.run(
        f"cat {R}/in/policy.json",
        volumes=[{"name": "policy", "csi": {**csi, "readOnly": True}}],
        container={"volumeMounts": [{"name": "policy", "mountPath": "/in/policy.json"}]},
    )
    assert log(run) == "{}"


async def test_a_claim_outlives_the_pod(world: World) -> None:
    pod: dict[str, Any] = {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "cache"}}],
        "container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    }
    _, first = await world.run(f"echo kept > {R}/data/word", **pod)
    first.remove()
    _, second = await world.run(f"cat {R}/data/word", **pod)
    assert log(second) == "kept\n"


async def test_a_part_of_a_volume_can_be_mounted(world: World) -> None:
    _, run = await world.run(
        f"echo x > {R}/part/word; cat {R}/whole/a/b/word",
        volumes=[{"name": "data", "emptyDir": {}}],
        container={
            "volumeMounts": [
                {"name": "data", "mountPath": "/whole"},
                {"name": "data", "mountPath": "/part", "subPath": "a/b"},
            ]
        },
    )
    assert log(run) == "x\n"
    assert run.read(container="main", path="/part/word", limit=9) == b"x\n"


async def test_the_accounts_token_is_mounted(world: World) -> None:
    world.sources.token = "token"
    path = f"{R}/var/run/secrets/kubernetes.io/serviceaccount"
    _, run = await world.run(
        f"cat {path}/token; echo; cat {path}/namespace", serviceAccountName="preflight"
    )
    assert log(run) == "token of agents/preflight\nagents"


@pytest.mark.parametrize(
    ("token", "pod"),
    [
        ("token", {}),
        ("", {"serviceAccountName": "agent-run"}),
        ("token", {"serviceAccountName": "preflight", "automountServiceAccountToken": False}),
    ],
)
async def test_no_token_is_mounted_without_account_rights_or_wish(
    world: World, token: str, pod: Mapping[str, Any]
) -> None:
    world.sources.token = token
    _, run = await world.run(
        f"ls {R}/var/run/secrets/kubernetes.io 2>/dev/null || echo none", **pod
    )
    assert log(run) == "none\n"


async def test_a_second_attempt_finds_nothing_of_the_first(world: World) -> None:
    _, first = await world.run(f"touch {R}/old; mkdir {R}/var", uid="same")
    result, second = await world.run(f"ls -A {R}/old {R}/var 2>/dev/null; true", uid="same")
    assert result.succeeded
    assert log(second) == ""
    assert first.log_path("main") == second.log_path("main")


async def test_after_removal_nothing_of_the_pod_is_left(world: World) -> None:
    script = (
        f"mkdir -p {R}/a/b; chmod 0 {R}/a/b; ln -s /etc {R}/a/c; mkfifo {R}/pipe; chmod 0 {R}/a"
    )
    _, run = await world.run(script)
    run.remove()
    assert not (world.folder / "pods" / "uid-0").exists()
    run.remove()


async def test_hostile_nesting_is_removed_too(world: World) -> None:
    down = f"mkdir {'d' * 30}; cd ddd*"
    result, run = await world.run(
        f"mkdir {R}/deep; cd {R}/deep; i=0; while [ $i -lt 300 ]; do {down}; i=$((i+1)); done"
    )
    assert result.succeeded, log(run)
    with pytest.raises(Refused, match="nested deeper"):
        run.export(container="main", path="/deep", target=world.folder / "copy")
    run.remove()
    assert not (world.folder / "pods" / "uid-0").exists()


# Traps that a hostile program leaves behind


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "shadow").write_text("root:hash")
    return folder


async def test_no_planted_link_is_followed_out(world: World, secret: Path, tmp_path: Path) -> None:
    _, run = await world.run(
        f"mkdir {R}/out {R}/sub; ln -s {secret}/shadow {R}/out/x; ln -s {secret} {R}/out/folder;"
        f"echo fine > {R}/out/fine; ln -s {secret} {R}/link; rmdir {R}/sub; ln -s {secret} {R}/sub"
    )
    for path in ("/out/x", "/link", "/link/shadow", "/out/folder/shadow", "/sub/shadow"):
        with pytest.raises(Refused, match="symbolic link"):
            run.export(container="main", path=path, target=tmp_path / "stolen")
        with pytest.raises(Refused, match="symbolic link"):
            run.read(container="main", path=path, limit=100)
        assert not run.exists(container="main", path=path)
        assert not run.is_dir(container="main", path=path)
    assert run.export(container="main", path="/out", target=tmp_path / "kept")
    assert [each.name for each in (tmp_path / "kept").iterdir()] == ["fine"]
    assert not (tmp_path / "stolen").exists()
    run.remove()
    assert (secret / "shadow").read_text() == "root:hash"


async def test_a_volume_folder_swapped_for_a_link_is_not_followed(
    world: World, secret: Path, tmp_path: Path
) -> None:
    _, run = await world.run(
        f"mkdir -p {R}/whole/a; rm -r {R}/whole/a; ln -s {secret} {R}/whole/a",
        volumes=[{"name": "data", "emptyDir": {}}],
        container={"volumeMounts": [{"name": "data", "mountPath": "/whole"}]},
        containers=[
            container(
                "other",
                "sleep 0.3",
                volumeMounts=[{"name": "data", "mountPath": "/part", "subPath": "a"}],
            )
        ],
    )
    with pytest.raises(Refused, match="symbolic link"):
        run.export(container="other", path="/part/shadow", target=tmp_path / "stolen")


async def test_a_link_planted_in_a_claim_is_not_written_through(
    world: World, secret: Path, tmp_path: Path
) -> None:
    pod: dict[str, Any] = {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "cache"}}],
        "container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    }
    await world.run(
        f"mkdir {R}/data/in; ln -s {secret}/shadow {R}/data/in/x; ln -s {secret} {R}/data/out",
        **pod,
    )
    source = tmp_path / "tree"
    source.mkdir()
    (source / "x").write_text("overwritten")
    run = world.create("true", **pod)
    run.place(source, container="main", path="/data/in")
    with pytest.raises(Refused, match="symbolic link"):
        run.place(source, container="main", path="/data/out")
    assert (secret / "shadow").read_text() == "root:hash"
    assert run.read(container="main", path="/data/in/x", limit=99) == b"overwritten"


async def test_a_mount_into_a_planted_link_is_refused(world: World, secret: Path) -> None:
    result, _ = await world.run(
        "true",
        volumes=[{"name": "data", "emptyDir": {}}],
        initContainers=[
            container(
                "plant",
                f"ln -s {secret} {R}/data/part",
                volumeMounts=[{"name": "data", "mountPath": "/data"}],
            )
        ],
        container={
            "volumeMounts": [{"name": "data", "mountPath": "/part", "subPath": "part"}],
        },
    )
    assert not result.succeeded
    assert "symbolic link" in result.message


async def test_pipes_and_sockets_neither_block_nor_come_out(world: World, tmp_path: Path) -> None:
    _, run = await world.run(
        f"mkdir {R}/out; mkfifo {R}/out/pipe; echo x > {R}/out/file; ln {R}/out/file {R}/out/hard"
    )
    with pytest.raises(Refused, match="neither a file nor a folder"):
        run.read(container="main", path="/out/pipe", limit=1)
    with pytest.raises(Refused, match="neither a file nor a folder"):
        run.export(container="main", path="/out/pipe", target=tmp_path / "pipe")
    assert run.export(container="main", path="/out", target=tmp_path / "kept")
    assert sorted(each.name for each in (tmp_path / "kept").iterdir()) == ["file", "hard"]


# Leftovers of a killed predecessor


async def test_sweep_kills_what_a_predecessor_left_and_removes_its_folders(world: World) -> None:
    run = world.create(["sleep", "60"])
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: run.log_path("main").exists())
    await asyncio.sleep(0.05)
    assert world.runner.sweep() >= 1
    result = await running
    assert result.message == "main: Error (exit code 137)"
    assert list((world.folder / "pods").iterdir()) == []


async def test_a_swept_runner_still_runs_pods(world: World) -> None:
    _, run = await world.run("true")
    run.remove()
    world.runner.sweep()
    result, _ = await world.run("true")
    assert result.succeeded


async def test_sweep_leaves_other_peoples_processes_alone(
    world: World, host: Image, tmp_path: Path
) -> None:
    other = PodRunner(
        directory=tmp_path / "pods-of-another",
        images=Images(host=host),
        sources=world.sources,
        sandbox=Plain(),
        clock=SystemClock(),
    )
    run = other.create(
        spec.parse_pod(
            {"containers": [container("main", "sleep 60")]},
            name="p",
            namespace="n",
            uid="other",
            labels={},
        )
    )
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: bool(processes_with(f"{tmp_path}/pods-of-another")))
    assert world.runner.sweep() == 0
    assert not running.done()
    await run.stop(grace_s=5)
    await running


async def test_a_live_process_that_outlived_its_runner_is_swept(
    world: World, sandbox: Sandbox
) -> None:
    """A runner that is killed outright leaves plain processes behind; bubblewrap none."""
    run = world.create(["sleep", "60"])
    running = asyncio.ensure_future(run.run())
    await eventually(lambda: bool(processes_with(str(world.folder))))
    for pid in processes_with(str(world.folder)):
        os.kill(pid, signal.SIGSTOP)
    world.runner.sweep()
    await running
    assert not processes_with(str(world.folder))
    assert sandbox.is_tight == isinstance(sandbox, Bubblewrap)


# Many at once


async def test_many_pods_at_once_do_not_disturb_each_other(world: World) -> None:
    async def one(number: int) -> str:
        _, run = await world.run(f"echo {number} > {R}/n; cat {R}/n", uid=f"many-{number}")
        said = log(run)
        run.remove()
        return said

    said: Sequence[str] = await asyncio.gather(*_each(one, range(24)))
    assert said == [f"{number}\n" for number in range(24)]


def _each(function: Callable[[int], Awaitable[str]], numbers: range) -> Iterator[Awaitable[str]]:
    return (function(number) for number in numbers)
