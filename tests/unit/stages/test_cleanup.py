"""cleanup: what a run still has going ends, and a failed run's preview goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import cleanup
from pressplay.stages.environment import Ending, Outcome


class Scene:
    """The exit hook of run-1."""

    def __init__(self, make_env: Any, cluster: Any, folder: Path) -> None:
        self.cluster = cluster
        self._make_env = make_env
        self._folder = folder

    def sweep(self, status: str, **settings: str) -> Outcome:
        account = self.cluster.root(self._folder, "preview-janitor")
        env = self._make_env(settings=account | settings, RUN="run-1", STATUS=status)
        return cleanup.run(env)

    def preview(self, name: str, *, run: str = "run-1", **labels: str) -> None:
        given = {"preview": "true", "pressplay.dev/workflow": run, **labels}
        self.cluster.operator.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": given}}
        )

    def agent_run(self, name: str, *, run: str = "run-1", phase: str = "Running") -> None:
        self.cluster.operator.create(
            {
                "apiVersion": "taskmaster.io/v1",
                "kind": "CodeRun",
                "metadata": {
                    "name": name,
                    "namespace": "agents",
                    "labels": {"pressplay.dev/run": run},
                },
                "spec": {"repo": "acme/todo", "github": {"appName": "rex"}},
            }
        )
        self.cluster.operator.patch(
            "CodeRun", "agents", name, {"status": {"phase": phase}}, subresource="status"
        )

    def namespaces(self) -> set[str]:
        found = self.cluster.operator.list("Namespace", labels="preview=true")
        return {each["metadata"]["name"] for each in found}

    def is_cancelled(self, name: str) -> bool:
        found = self.cluster.operator.get("CodeRun", "agents", name)
        return found["spec"].get("cancel") is True


@pytest.fixture
def scene(make_env: Any, cluster: Any, tmp_path: Path) -> Scene:
    return Scene(make_env, cluster, tmp_path)


@pytest.mark.parametrize("status", ["Failed", "Error"])
def test_a_failed_runs_preview_is_removed(scene: Scene, status: str) -> None:
    scene.preview("impl-pr-7")
    assert scene.sweep(status).ending is Ending.PASS
    assert scene.namespaces() == set()


def test_a_green_runs_preview_stays(scene: Scene) -> None:
    scene.preview("impl-pr-7")
    assert scene.sweep("Succeeded").ending is Ending.PASS
    assert scene.namespaces() == {"impl-pr-7"}


def test_a_preview_that_a_newer_run_took_over_stays(scene: Scene) -> None:
    scene.preview("impl-pr-7", run="run-2")
    scene.sweep("Failed")
    assert scene.namespaces() == {"impl-pr-7"}


def test_what_is_no_preview_stays_whatever_its_labels_say(scene: Scene) -> None:
    scene.preview("impl-pr-8", preview="false")
    scene.sweep("Failed")
    assert scene.cluster.operator.get("Namespace", "", "impl-pr-8") is not None


def test_agent_runs_that_are_not_finished_are_cancelled(scene: Scene) -> None:
    scene.agent_run("going")
    scene.agent_run("done", phase="Succeeded")
    scene.agent_run("others", run="run-2")
    scene.sweep("Succeeded")
    assert scene.is_cancelled("going")
    assert not scene.is_cancelled("done")
    assert not scene.is_cancelled("others")


def test_sweeping_twice_is_harmless(scene: Scene) -> None:
    scene.preview("impl-pr-7")
    scene.agent_run("going")
    assert scene.sweep("Failed").ending is Ending.PASS
    assert scene.sweep("Failed").ending is Ending.PASS


def test_a_preview_that_stays_is_told_and_tried_again_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "GONE_S", 0.1)
    scene.preview("impl-pr-7")
    scene.preview("outside-7")
    outcome = scene.sweep("Failed")
    assert outcome.ending is Ending.UNAVAILABLE
    assert "Namespace outside-7" in outcome.reason
    assert scene.namespaces() == {"outside-7"}


def test_one_thing_that_does_not_go_keeps_no_other(scene: Scene) -> None:
    scene.agent_run("going")
    scene.preview("impl-pr-7")
    scene.preview("outside-7")
    scene.sweep("Failed")
    assert scene.is_cancelled("going")
    assert "impl-pr-7" not in scene.namespaces()


def test_an_api_server_that_does_not_answer_can_be_tried_again(scene: Scene) -> None:
    outcome = scene.sweep("Failed", PRESSPLAY_KUBE_URL="http://127.0.0.1:9")
    assert outcome.ending is Ending.UNAVAILABLE
    assert "could not be listed" in outcome.reason


def test_a_hook_that_does_not_say_how_the_run_ended_is_refused(scene: Scene) -> None:
    with pytest.raises(Refused, match="PRESSPLAY_STATUS"):
        scene.sweep("")
