"""One installation on the cluster of KUBECONFIG, and the runs that these tests look at.

eval "$(../shared/cluster/up)"
python -m pytest tests/live
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from live.scenarios import Seen
from live.world import World

from live import places, scenarios, world

if TYPE_CHECKING:
    from live.places import Places

AT_ONCE = 5
"""Runs that go on beside each other: more would only make all of them slower on two processors."""

LONGEST_S = 2700


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scenario(name): the run that a test looks at")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("scenario"):
            # Whichever test comes first also waits for images and for runs before its own.
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.fixture(scope="session")
def live_places() -> Places:
    """Where the cluster is; without one, nothing of this folder is run."""
    try:
        return places.find(os.environ)
    except places.NotHere as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def _only_with_a_cluster(live_places: Places) -> None:
    """Also for tests that do not ask for one."""


@pytest.fixture(scope="session")
def live(live_places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The installation."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("There is one installation on a cluster; run these tests without -n")
    folder = tmp_path_factory.mktemp("live")
    with world.opened(live_places, path=os.environ["PATH"], folder=folder) as opened:
        yield opened
        # A preview may go while a double looks after it.
        unexpected = [each for each in opened.doubles.complaints if "not found" not in each]
        assert unexpected == []


@pytest.fixture(scope="session")
def _started(live: World, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Seen]]]:
    """Every run that a chosen test looks at, under way."""
    found = (item.get_closest_marker("scenario") for item in request.session.items)
    wanted = {marker.args[0] for marker in found if marker}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        chosen = [each for each in scenarios.ALL if each.__name__ in wanted]
        yield {each.__name__: pool.submit(each, live) for each in chosen}


@pytest.fixture
def seen(_started: dict[str, Future[Seen]], request: pytest.FixtureRequest) -> Seen:
    """What the scenario of the test's marker left."""
    marker = request.node.get_closest_marker("scenario")
    return _started[marker.args[0]].result()
