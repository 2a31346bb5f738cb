"""deploy, against a real API server, with a controller that plays a cluster's part."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pressplay.api import names, policy
from pressplay.base import clocks
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster.port import Key, Object, key_of
from pressplay.evidence.targets import Urls
from pressplay.stages.environment import Ending, StageEnvironment
from pressplay.stages.previews import deploying

SHA = "a" * 40
RULES: dict[str, Any] = {
    "version": 1,
    "preview": {"process": {"build": ["make"], "command": ["./app"], "ready": "/healthz"}},
}


@dataclass
class Playing:
    """Answers Deployments as a cluster would: with pods, then with readiness or a failure."""

    cluster: Any
    unpack_exit: int = 0
    app_exit: int | None = None
    address: bool = True

    async def run(self) -> None:
        async for change in self.cluster.objects.watch("Deployment"):
            if change.type != "DELETED" and _is_new(change.object):
                await self._answer(change.object)

    async def _answer(self, deployment: Object) -> None:
        objects, namespace = self.cluster.objects, deployment["metadata"]["namespace"]
        pod = await objects.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": f"{deployment['metadata']['name']}-",
                    "namespace": namespace,
                    "labels": deployment["spec"]["template"]["metadata"]["labels"],
                },
                "spec": deployment["spec"]["template"]["spec"],
            }
        )
        name = pod["metadata"]["name"]
        self.cluster.logs.write(namespace, name, "unpack", "tar: short read\n")
        self.cluster.logs.write(namespace, name, "app", "cannot read config token=hunter22\n")
        await objects.patch(key_of(pod), {"status": self._pod_status()})
        if self.unpack_exit or self.app_exit is not None:
            return
        if self.address:
            point = {"ip": "127.0.0.1", "ports": [{"port": 30123, "protocol": "TCP"}]}
            ingress = Key("Ingress", namespace, deployment["metadata"]["name"])
            await objects.patch(ingress, {"status": {"loadBalancer": {"ingress": [point]}}})
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "updatedReplicas": 1,
            "readyReplicas": 1,
        }
        await objects.patch(key_of(deployment), {"status": status})

    def _pod_status(self) -> dict[str, Any]:
        ended = {"terminated": {"exitCode": self.unpack_exit}}
        status: dict[str, Any] = {
            "initContainerStatuses": [{"name": "unpack", "state": ended}],
            "containerStatuses": [{"name": "app", "state": {"running": {}}}],
        }
        if self.app_exit is not None:
            status["containerStatuses"] = [
                {
                    "name": "app",
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": self.app_exit}},
                }
            ]
        return status


def _is_new(deployment: Object) -> bool:
    observed = deployment.get("status", {}).get("observedGeneration", 0)
    return bool(observed < deployment["metadata"]["generation"])


class Scene:
    """Deploys of the pull request 7 of acme/todo."""

    def __init__(
        self, make_env: Callable[..., StageEnvironment], cluster: Any, folder: Path
    ) -> None:
        self.cluster = cluster
        self.operator = cluster.operator
        self._make_env = make_env
        self._folder = folder

    def env(
        self,
        *,
        run: str = "run-1",
        sha: str = SHA,
        repo: str = "acme/todo",
        rules: Mapping[str, Any] = RULES,
    ) -> StageEnvironment:
        env = self._make_env(
            settings=self.cluster.root(self._folder, "preview-manager"),
            REQUEST=json.dumps({"repo": repo, "pr": "7", "sha": sha, "ref": "feature/x"}),
            RUN=run,
            TASK="deploy",
        )
        env.inputs.mkdir(parents=True, exist_ok=True)
        record = policy.Record(policy=policy.Policy.from_json(dict(rules)), base_sha="b" * 40)
        (env.inputs / "policy.json").write_text(json.dumps(record.to_json()))
        return env

    @contextmanager
    def playing(self, **manners: Any) -> Iterator[None]:
        playing = Playing(self.cluster, **manners)
        done: Future[None] = asyncio.run_coroutine_threadsafe(playing.run(), self.cluster.loop)
        try:
            yield
        finally:
            done.cancel()
            with contextlib.suppress(BaseException):
                done.result(timeout=5)

    def namespace(self) -> Object:
        found: Object = self.operator.get("Namespace", "", "impl-pr-7")
        return found


@pytest.fixture
def scene(make_env: Any, cluster: Any, tmp_path: Path) -> Scene:
    return Scene(make_env, cluster, tmp_path)


def test_a_preview_comes_up_and_says_where_it_answers(scene: Scene) -> None:
    env = scene.env()
    with scene.playing():
        assert deploying.run(env).ending is Ending.PASS
    urls = Urls.from_json(json.loads((env.artifacts / "deploy/urls.json").read_text()))
    assert urls.endpoints[0].url == "http://pr-7.preview.localhost:30123/"
    assert urls.endpoints[0].connect == "127.0.0.1:30123"
    assert (urls.ns, urls.sha) == ("impl-pr-7", SHA)


def test_everything_a_preview_is_made_of_lies_in_its_namespace(scene: Scene) -> None:
    with scene.playing():
        deploying.run(scene.env())
    for kind, count in {
        "ResourceQuota": 1,
        "LimitRange": 1,
        "NetworkPolicy": 3,
        "Service": 1,
        "Ingress": 1,
        "Deployment": 1,
    }.items():
        assert len(scene.operator.list(kind, "impl-pr-7")) == count, kind
    labels = scene.namespace()["metadata"]["labels"]
    assert labels["pressplay.dev/repo"] == names.repo_hash("acme", "todo")
    assert labels["pressplay.dev/workflow"] == "run-1"


def test_its_time_is_limited_by_the_policy(scene: Scene) -> None:
    with scene.playing():
        deploying.run(scene.env())
    text = scene.namespace()["metadata"]["annotations"]["pressplay.dev/expires"]
    left = clocks.from_text(text) - SystemClock().now()
    assert 86300 < left.total_seconds() <= 86400


def test_deploying_again_changes_nothing(scene: Scene) -> None:
    with scene.playing():
        deploying.run(scene.env())
        before = scene.operator.get("Deployment", "impl-pr-7", "todo-pr-7")
        deploying.run(scene.env())
    after = scene.operator.get("Deployment", "impl-pr-7", "todo-pr-7")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_newer_head_takes_the_preview_over(scene: Scene) -> None:
    with scene.playing():
        deploying.run(scene.env())
        deploying.run(scene.env(run="run-2", sha="c" * 40))
    metadata = scene.namespace()["metadata"]
    assert metadata["labels"]["pressplay.dev/workflow"] == "run-2"
    assert metadata["annotations"]["pressplay.dev/sha"] == "c" * 40
    deployment = scene.operator.get("Deployment", "impl-pr-7", "todo-pr-7")
    template = deployment["spec"]["template"]["metadata"]
    assert template["annotations"]["pressplay.dev/sha"] == "c" * 40


def test_a_life_that_somebody_made_longer_stays_longer(scene: Scene) -> None:
    with scene.playing():
        deploying.run(scene.env())
        for expires, kept in (("2100-01-01T00:00:00Z", True), ("soon", False), ("", False)):
            patch = {"metadata": {"annotations": {"pressplay.dev/expires": expires}}}
            scene.operator.patch("Namespace", "", "impl-pr-7", patch)
            deploying.run(scene.env(run="run-2"))
            now = scene.namespace()["metadata"]["annotations"]["pressplay.dev/expires"]
            assert (now == expires) is kept
            assert clocks.from_text(now) > SystemClock().now()


def test_another_repositorys_namespace_is_left_alone(scene: Scene) -> None:
    with scene.playing():
        deploying.run(scene.env())
        with pytest.raises(Refused, match=r"belongs to another repository.*repo-pr"):
            deploying.run(scene.env(repo="acme/other"))
    assert scene.namespace()["metadata"]["labels"]["pressplay.dev/workflow"] == "run-1"


def test_a_namespace_that_is_no_preview_is_left_alone(scene: Scene) -> None:
    scene.operator.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "impl-pr-7"}}
    )
    with pytest.raises(Refused, match="is no preview"):
        deploying.run(scene.env())


def test_what_cannot_be_unpacked_ends_it_at_once_with_its_last_words(scene: Scene) -> None:
    env = scene.env()
    with scene.playing(unpack_exit=2):
        outcome = deploying.run(env)
    assert outcome.ending is Ending.FAIL
    assert "what was built could not be unpacked (exit code 2)" in outcome.reason
    assert "tar: short read" in outcome.reason
    assert not (env.artifacts / "deploy/urls.json").exists()


def test_an_app_that_crashes_ends_it_with_its_last_words(scene: Scene) -> None:
    with scene.playing(app_exit=1):
        outcome = deploying.run(scene.env())
    assert outcome.ending is Ending.FAIL
    assert "the app ended with exit code 1 instead of serving" in outcome.reason
    assert "cannot read config" in outcome.reason


def test_a_failure_of_an_earlier_run_is_not_taken_for_its_own(scene: Scene) -> None:
    with scene.playing(unpack_exit=2):
        assert deploying.run(scene.env()).ending is Ending.FAIL
    with scene.playing():
        assert deploying.run(scene.env(run="run-2")).ending is Ending.PASS


def test_a_preview_that_never_answers_ends_with_the_deadline(scene: Scene) -> None:
    process = {**RULES["preview"]["process"], "timeout": "1s"}
    outcome = deploying.run(scene.env(rules={**RULES, "preview": {"process": process}}))
    assert outcome.ending is Ending.FAIL
    assert "did not answer at /healthz within 1 s (preview.process.timeout)" in outcome.reason


def test_an_ingress_without_an_address_can_be_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "ADDRESS_S", 0.3)
    with scene.playing(address=False), pytest.raises(Unavailable, match="ingress controller"):
        deploying.run(scene.env())
