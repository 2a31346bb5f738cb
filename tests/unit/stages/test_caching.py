"""A repository's cache as it travels from pod to pod."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import caching
from pressplay.stages.environment import StageEnvironment

MakeEnv = Callable[..., StageEnvironment]


@pytest.fixture
def env(make_env: MakeEnv) -> StageEnvironment:
    return make_env()


def _fill(env: StageEnvironment) -> Path:
    folder = caching.folder(env)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "tool").write_text("#!/bin/sh\n")
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    (folder / "old").write_text("x" * 5000)
    os.utime(folder / "old", (1_000_000_000, 1_000_000_000))
    return folder


def _hand_over(env: StageEnvironment) -> None:
    env.inputs.mkdir(parents=True)
    shutil.copy(env.out / caching.OUTPUT, env.inputs / caching.INPUT)
    shutil.rmtree(caching.folder(env))


def test_links_modes_and_times_survive_the_way(env: StageEnvironment) -> None:
    folder = _fill(env)
    assert caching.save(env, fingerprint="abc") == ""
    _hand_over(env)
    assert caching.restore(env) == folder
    assert (folder / "bin" / "python").readlink() == Path("/usr/bin/python3")
    assert os.access(folder / "bin" / "tool", os.X_OK)
    assert (folder / "old").stat().st_mtime == 1_000_000_000
    assert caching.stored_fingerprint(env) == "abc"


def test_a_restored_cache_is_not_restored_over_what_was_built_since(env: StageEnvironment) -> None:
    folder = _fill(env)
    caching.save(env, fingerprint="abc")
    _hand_over(env)
    caching.restore(env)
    (folder / "old").write_text("new")
    caching.restore(env)
    assert (folder / "old").read_text() == "new"


def test_a_cache_that_is_too_large_is_not_kept_and_the_setting_is_named(
    make_env: MakeEnv,
) -> None:
    env = make_env(settings={caching.LIMIT_SETTING: "0"})
    _fill(env)
    assert f"raise {caching.LIMIT_SETTING}" in caching.save(env, fingerprint="abc")
    assert not (env.out / caching.OUTPUT).exists()


@pytest.mark.parametrize("limit", ["lots", "-1", "1.5"])
def test_a_limit_that_is_no_number_is_refused(make_env: MakeEnv, limit: str) -> None:
    env = make_env(settings={caching.LIMIT_SETTING: limit})
    with pytest.raises(Refused, match=caching.LIMIT_SETTING):
        caching.save(env, fingerprint="abc")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\0" * 10240])
def test_a_broken_archive_counts_as_none(env: StageEnvironment, content: bytes) -> None:
    env.inputs.mkdir(parents=True)
    (env.inputs / caching.INPUT).write_bytes(content)
    assert caching.stored_fingerprint(env) == ""
    folder = caching.restore(env)
    assert not folder.exists() or not any(folder.iterdir())


def test_a_truncated_archive_leaves_nothing_half_restored(env: StageEnvironment) -> None:
    _fill(env)
    caching.save(env, fingerprint="abc")
    _hand_over(env)
    archive = env.inputs / caching.INPUT
    archive.write_bytes(archive.read_bytes()[:6000])
    assert not caching.restore(env).exists()


def test_where_nothing_was_kept_nothing_is_restored(env: StageEnvironment) -> None:
    assert not caching.restore(env).exists()
    assert caching.stored_fingerprint(env) == ""
