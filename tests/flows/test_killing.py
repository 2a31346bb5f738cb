"""kill -9 at any moment, and a restart: the world ends as if nothing had happened."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.base.errors import Unavailable
from pressplay.cli import demo, pipelines, watching
from pressplay.cli.origins import Asked, LocalOrigin
from pressplay.cli.pipelines import Session

if TYPE_CHECKING:
    from tests.flows.conftest import Machine

RUNS, KILLS = 10, 5
"""Fifty kills in all, at moments that the seed decides."""


def _press(machine: Machine) -> Session:
    sample = demo.sample(machine.state / "demo", language="python")
    return pipelines.press_play(
        address=machine.address,
        state=machine.state,
        origin=LocalOrigin(machine.address, sample.workspace),
        asked=Asked(text=sample.issue),
        agent=sample.agent,
    )


def _finish(session: Session) -> dict[str, Any]:
    return watching.follow(session.state, session.run, tell=lambda _: None, timeout_s=200)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, new_machine: Callable[[Path], Machine]
) -> dict[str, Any]:
    """The world after a run that nobody disturbed."""
    machine = new_machine(tmp_path_factory.mktemp("undisturbed") / "state")
    try:
        workflow = _finish(_press(machine))
        assert workflow["status"]["phase"] == "Succeeded"
        return machine.world()
    finally:
        machine.kill()


@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_five_times_a_run_ends_like_the_undisturbed_one(
    machine: Machine, undisturbed: dict[str, Any], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    session = _press(machine)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 2.5))
        machine.kill()
        assert _is_up_again(machine)
    workflow = _finish(session)
    assert workflow["status"]["phase"] == "Succeeded", workflow["status"].get("message")
    assert machine.world() == undisturbed
    assert not list(Path(machine.state, "pods").glob("implement-*"))


def _is_up_again(machine: Machine) -> bool:
    try:
        return machine.address.pid > 0
    except Unavailable:
        return False
