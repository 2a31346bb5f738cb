"""A reused folder must not differ from a fresh one in anything that a program can see."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pressplay.pods.images import Image
from pressplay.pods.spares import Spares

SEE_ALL = (
    "cd /; find . -xdev -path ./usr -prune -o -path ./etc -prune -o -print | sort; ls -ld /tmp /"
)


def status(path: Path) -> os.stat_result:
    return path.stat()


async def pod(world: Any, script: str, **more: Any) -> str:
    run = world.create(script, **more)
    result = await run.run()
    said: str = run.log_path("main").read_text()
    assert result.succeeded, said
    run.remove()
    return said


async def test_the_next_pod_reuses_the_folder(world: Any) -> None:
    run = world.create("true")
    first = status(world.pods / "uid-0" / "main").st_ino
    await run.run()
    run.remove()
    world.create("true")
    assert status(world.pods / "uid-1" / "main").st_ino == first


@pytest.mark.parametrize(
    "script",
    [
        "mkdir -p /out/a /work; echo x > /out/a/x; echo y > /home/step/.profile; touch /tmp/y",
        "rmdir /tmp /home/step; ln -s /etc /tmp; touch /home/step",
        "mkdir -p /run/pressplay/etc; ln -sfn /tmp /sbin; rm /bin",
        "chmod 0 /tmp /home/step /home; chmod 0 /",
        "mkfifo /tmp/pipe; ln -s / /link; mkdir /.hidden",
    ],
)
async def test_a_reused_folder_is_as_a_fresh_one(world: Any, script: str) -> None:
    fresh = listing(await pod(world, SEE_ALL))
    await pod(world, script)
    assert listing(await pod(world, SEE_ALL)) == fresh


def listing(said: str) -> list[str]:
    """What was seen, without the times of `ls`."""
    return [line.split(" ")[0] + line.split(" ")[-1] for line in said.splitlines()]


async def test_a_log_starts_empty_and_a_volume_too(world: Any) -> None:
    volume: dict[str, Any] = {
        "volumes": [{"name": "data", "emptyDir": {}}],
        "container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    }
    assert await pod(world, "echo one; touch /data/x", **volume) == "one\n"
    assert await pod(world, "ls -A /data; echo two", **volume) == "two\n"


async def test_a_folder_that_was_made_large_is_not_kept(world: Any) -> None:
    run = world.create("cd /tmp; i=0; while [ $i -lt 3000 ]; do : > $i; i=$((i+1)); done")
    before = status(world.pods / "uid-0" / "main").st_ino
    await run.run()
    size = status(world.pods / "uid-0" / "main" / "tmp").st_size
    run.remove()
    world.create("true")
    is_kept = status(world.pods / "uid-1" / "main").st_ino == before
    assert is_kept == (size <= 64 * 1024)


def used(spares: Path, name: str) -> Path:
    folder = spares / name
    (folder / "main" / "tmp").mkdir(parents=True)
    folder.chmod(0o700)
    return folder


def test_attributes_that_cannot_be_seen_through_are_not_kept(host: Image, tmp_path: Path) -> None:
    folder = used(tmp_path, "one")
    try:
        os.setxattr(folder / "main" / "tmp", "user.note", b"from the pod before")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    assert not Spares(tmp_path).keep((("main", host),), folder)


def test_only_so_many_are_kept(host: Image, tmp_path: Path) -> None:
    spares = Spares(tmp_path)
    shape = (("main", host),)
    kept = [spares.keep(shape, used(tmp_path, f"pod-{number}")) for number in range(20)]
    assert kept.count(True) == 16
    assert kept[-1] is False


def test_a_spare_fits_its_own_shape_only(host: Image, tmp_path: Path) -> None:
    spares = Spares(tmp_path)
    assert spares.keep((("main", host),), used(tmp_path, "one"))
    assert not spares.take((("main", Image("other")),), tmp_path / "two")
    assert not spares.take((("main", host), ("side", host)), tmp_path / "two")
    assert spares.take((("main", host),), tmp_path / "two")
    assert stat.S_IMODE((tmp_path / "two").stat().st_mode) == 0o700
    assert not spares.take((("main", host),), tmp_path / "three")
