"""Runs that wait for semaphores: what they say, what a restart keeps, what ends the wait."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from pressplay.cluster.port import Key, Object
from pressplay.engine import nodes

if TYPE_CHECKING:
    from tests.unit.engine.conftest import Bench

Pod = Callable[..., dict[str, Any]]
S = "agents/ConfigMap/limits/pods"
_SEMAPHORES = {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "pods"}}]}
_LIMITS = Key("ConfigMap", "agents", "limits")


async def _limit(bench: Bench, value: str) -> None:
    limits: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "limits", "namespace": "agents"},
        "data": {"pods": value},
    }
    await bench.objects.create(limits)


def _one(pod: Pod, **more: Any) -> dict[str, Any]:
    return {"entrypoint": "a", "templates": [pod("a", synchronization=_SEMAPHORES)], **more}


@contextlib.asynccontextmanager
async def _engine(bench: Bench) -> AsyncIterator[None]:
    running = asyncio.ensure_future(bench.engine().run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _node(workflow: Object, name: str) -> Any:
    return workflow["status"]["nodes"].get(nodes.node_id(workflow["metadata"]["name"], name))


def _waits(workflow: Object) -> bool:
    node = _node(workflow, workflow["metadata"]["name"]) if "status" in workflow else None
    return node is not None and node["phase"] == "Pending"


def _is_over(workflow: Object) -> bool:
    return "finishedAt" in workflow.get("status", {})


async def test_a_third_run_waits_for_a_semaphore_of_two_and_says_so_as_argo_does(
    bench: Bench, pod: Pod
) -> None:
    await _limit(bench, "2")
    bench.pods.held["a"] = asyncio.Event()
    for name in ("one", "two", "three"):
        await bench.create("Workflow", name, _one(pod))
    async with _engine(bench):
        three = await bench.until("three", _waits)
        node = _node(three, "three")
        assert node["message"] == f"Waiting for {S} lock. Lock status: 0/2"
        assert node["synchronizationStatus"] == {"waiting": S}
        assert (node["type"], three["status"]["phase"]) == ("Pod", "Running")
        assert three["status"]["synchronization"] == {
            "semaphore": {
                "waiting": [{"semaphore": S, "holders": ["agents/one/one", "agents/two/two"]}]
            }
        }
        one = await bench.until("one", lambda _: len(bench.pods.began) == 2)
        assert one["status"]["synchronization"]["semaphore"] == {
            "holding": [{"semaphore": S, "holders": ["agents/one/one"]}]
        }
        bench.pods.held["a"].set()
        ended = [await bench.until(name, _is_over) for name in ("one", "two", "three")]
        assert [each["status"]["phase"] for each in ended] == ["Succeeded"] * 3
        assert not any("synchronization" in each["status"] for each in ended)
        node = _node(ended[2], "three")
        assert "message" not in node
        assert "synchronizationStatus" not in node


@pytest.mark.parametrize("version", ["3.7.14", "4.1.2"])
async def test_what_a_waiting_run_writes_is_what_argo_would_read(
    bench: Bench, pod: Pod, version: str
) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    locked = pod("a", synchronization={**_SEMAPHORES, "mutexes": [{"name": "m"}]})
    for name in ("one", "two"):
        await bench.create("Workflow", name, {"entrypoint": "a", "templates": [locked]})
    text = resources.files("pressplay.manifests").joinpath(f"schemas/argo-workflows-{version}.json")
    schema = jsonschema_rs.validator_for(json.loads(text.read_text()))
    async with _engine(bench):
        two = await bench.until("two", _waits)
        one = await bench.until("one", lambda _: bench.pods.began == ["a"])
    assert set(two["status"]["synchronization"]) == {"mutex", "semaphore"}
    assert two["status"]["synchronization"]["mutex"]["waiting"] == [
        {"mutex": "agents/Mutex/m", "holder": "agents/one/one"}
    ]
    for workflow in (one, two):
        assert [error.message for error in schema.iter_errors(workflow)] == []


async def test_a_raised_limit_reaches_those_who_wait_at_once(bench: Bench, pod: Pod) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    for name in ("one", "two"):
        await bench.create("Workflow", name, _one(pod))
    async with _engine(bench):
        await bench.until("two", _waits)
        await bench.objects.patch(_LIMITS, {"data": {"pods": "2"}})
        await bench.until("two", lambda _: bench.pods.began == ["a", "a"])


async def test_a_limit_that_goes_away_keeps_the_next_one_waiting(bench: Bench, pod: Pod) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    for name in ("one", "two"):
        await bench.create("Workflow", name, _one(pod))
    async with _engine(bench):
        await bench.until("two", _waits)
        await bench.objects.delete(_LIMITS)
        await asyncio.sleep(0.05)
        bench.pods.held["a"].set()
        await bench.until("one", _is_over)
        assert bench.pods.began == ["a"]
        await _limit(bench, "1")
        await bench.until("two", _is_over)


@pytest.mark.parametrize("value", [None, "0", "-1", "many", "1.5", "", "9" * 5000])
async def test_a_semaphore_without_a_usable_limit_is_an_error_and_no_endless_wait(
    bench: Bench, pod: Pod, value: str | None
) -> None:
    if value is not None:
        await _limit(bench, value)
    workflow = await bench.run(_one(pod))
    assert workflow["status"]["phase"] == "Error"
    message = workflow["status"]["message"]
    assert f"failed to initialize semaphore {S} with limit" in message
    assert "ConfigMap limits needs a key pods" in message


async def test_the_older_run_is_next_and_a_priority_comes_before_it(bench: Bench, pod: Pod) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    await bench.create("Workflow", "one", _one(pod))
    async with _engine(bench):
        await bench.until("one", lambda _: bench.pods.began == ["a"])
        await bench.create("Workflow", "two", _one(pod))
        await bench.create("Workflow", "three", _one(pod, priority=5))
        for name in ("two", "three"):
            await bench.until(name, _waits)
        bench.pods.held["a"].set()
        await bench.until("two", _is_over)
    assert [step.workflow for step in bench.pods.steps] == ["one", "three", "two"]


async def test_after_a_restart_holders_go_on_and_those_who_waited_wait(
    bench: Bench, pod: Pod
) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    await bench.create("Workflow", "old", _one(pod))
    async with _engine(bench):
        await bench.until("old", lambda _: bench.pods.began == ["a"])
        await bench.create("Workflow", "urgent", _one(pod, priority=9))
        await bench.until("urgent", _waits)
    # A smaller place in the line than anybody's does not help against who holds it already.
    bench.pods.began.clear()
    async with _engine(bench):
        await bench.until("old", lambda _: bench.pods.began == ["a"])
        await asyncio.sleep(0.05)
        assert bench.pods.steps[-1].workflow == "old"
        assert _waits(await bench.until("urgent", _waits))
        bench.pods.held["a"].set()
        await bench.until("urgent", _is_over)
    assert bench.pods.steps[-1].workflow == "urgent"


async def test_a_restart_between_a_nodes_end_and_its_release_keeps_no_lock_for_ever(
    bench: Bench, pod: Pod
) -> None:
    await _limit(bench, "1")
    bench.pods.held["b"] = asyncio.Event()
    main = {
        "name": "main",
        "steps": [[{"name": "a", "template": "a"}], [{"name": "b", "template": "b"}]],
    }
    locked = pod("a", synchronization=_SEMAPHORES)
    await bench.create(
        "Workflow", "one", {"entrypoint": "main", "templates": [main, locked, pod("b")]}
    )
    async with _engine(bench):
        one = await bench.until("one", lambda _: bench.pods.began == ["a", "b"])
    holder = f"agents/one/{nodes.node_id('one', 'one[0].a')}"
    status = {
        "synchronization": {"semaphore": {"holding": [{"semaphore": S, "holders": [holder]}]}}
    }
    await bench.objects.patch(
        Key("Workflow", "agents", one["metadata"]["name"]), {"status": status}
    )
    await bench.create("Workflow", "two", _one(pod))
    async with _engine(bench):
        await bench.until("two", _is_over)


async def test_a_stopped_run_leaves_the_line_and_its_exit_handler_runs(
    bench: Bench, pod: Pod
) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    await bench.create("Workflow", "one", _one(pod))
    spec = _one(pod, onExit="bye")
    spec["templates"].append(pod("bye"))
    async with _engine(bench):
        await bench.until("one", lambda _: bench.pods.began == ["a"])
        await bench.create("Workflow", "two", spec)
        await bench.until("two", _waits)
        await bench.objects.patch(Key("Workflow", "agents", "two"), {"spec": {"shutdown": "Stop"}})
        two = await bench.until("two", _is_over)
        assert bench.pods.began == ["a", "bye"]
        assert two["status"]["message"] == "Stopped with strategy 'Stop'"
        assert _node(two, "two")["phase"] == "Failed"
        await bench.create("Workflow", "three", _one(pod))
        await bench.until("three", _waits)
        bench.pods.held["a"].set()
        await bench.until("three", _is_over)


async def test_a_deleted_run_leaves_the_line(bench: Bench, pod: Pod) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    for name in ("one", "two", "three"):
        await bench.create("Workflow", name, _one(pod))
    async with _engine(bench):
        await bench.until("three", _waits)
        await bench.objects.delete(Key("Workflow", "agents", "two"))
        bench.pods.held["a"].set()
        await bench.until("three", _is_over)
    assert [step.workflow for step in bench.pods.steps] == ["one", "three"]


async def test_time_in_a_line_does_not_count_towards_a_deadline(bench: Bench, pod: Pod) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    locked = pod("a", synchronization=_SEMAPHORES, activeDeadlineSeconds=60)
    for name in ("one", "two"):
        await bench.create("Workflow", name, {"entrypoint": "a", "templates": [locked]})
    async with _engine(bench):
        two = await bench.until("two", _waits)
        await bench.objects.patch(
            Key("Workflow", "agents", "two"),
            {"status": {"nodes": {"two": {"startedAt": "2020-01-01T00:00:00Z"}}}},
        )
        assert _node(two, "two")["phase"] == "Pending"
        bench.pods.held["a"].set()
        await bench.until("two", _is_over)
    left = bench.pods.steps[-1].template.deadline_s
    assert left is not None
    assert left > 55


async def test_a_lock_is_held_over_all_tries_of_a_template(bench: Bench, pod: Pod) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    locked = pod("a", synchronization=_SEMAPHORES, retryStrategy={"limit": "2"})
    for name in ("one", "two"):
        await bench.create("Workflow", name, {"entrypoint": "a", "templates": [locked]})
    async with _engine(bench):
        two = await bench.until("two", _waits)
        assert _node(two, "two")["type"] == "Retry"
        bench.pods.held["a"].set()
        await bench.until("two", _is_over)


async def test_a_run_with_locks_of_its_own_is_pending_until_it_has_them(
    bench: Bench, pod: Pod
) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    spec = {
        "entrypoint": "a",
        "synchronization": _SEMAPHORES,
        "activeDeadlineSeconds": 60,
        "templates": [pod("a")],
    }
    for name in ("one", "two"):
        await bench.create("Workflow", name, spec)
    async with _engine(bench):
        two = await bench.until("two", lambda wf: wf.get("status", {}).get("phase") == "Pending")
        assert two["status"]["message"] == f"Waiting for {S} lock. Lock status: 0/1"
        assert two["status"]["synchronization"]["semaphore"]["waiting"][0]["holders"] == [
            "agents/one"
        ]
        assert "startedAt" not in two["status"]
    async with _engine(bench):
        await bench.until("one", lambda _: bench.pods.began == ["a", "a"])
        assert {step.workflow for step in bench.pods.steps} == {"one"}
        bench.pods.held["a"].set()
        two = await bench.until("two", _is_over)
    assert two["status"]["phase"] == "Succeeded"
    assert "message" not in two["status"]


async def test_a_run_that_is_stopped_before_it_had_its_locks_begins_nothing(
    bench: Bench, pod: Pod
) -> None:
    await _limit(bench, "1")
    bench.pods.held["a"] = asyncio.Event()
    spec = {"entrypoint": "a", "synchronization": _SEMAPHORES, "templates": [pod("a")]}
    await bench.create("Workflow", "one", spec)
    async with _engine(bench):
        await bench.until("one", lambda _: bench.pods.began == ["a"])
        await bench.create("Workflow", "two", spec)
        await bench.until("two", lambda wf: wf.get("status", {}).get("phase") == "Pending")
        patch = {"spec": {"shutdown": "Terminate"}}
        await bench.objects.patch(Key("Workflow", "agents", "two"), patch)
        two = await bench.until("two", _is_over)
    assert two["status"]["phase"] == "Failed"
    assert bench.pods.began == ["a"]


async def test_a_run_whose_own_lock_has_no_limit_fails_in_argos_words(
    bench: Bench, pod: Pod
) -> None:
    spec = {"entrypoint": "a", "synchronization": _SEMAPHORES, "templates": [pod("a")]}
    workflow = await bench.run(spec)
    assert workflow["status"]["phase"] == "Failed"
    said = "Failed to acquire the synchronization lock. failed to initialize semaphore"
    assert workflow["status"]["message"].startswith(said)


async def test_a_semaphore_of_another_namespace_is_read_there(bench: Bench, pod: Pod) -> None:
    await bench.objects.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}}
    )
    await bench.objects.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "limits", "namespace": "elsewhere"},
            "data": {"pods": "1"},
        }
    )
    synchronization = {"semaphores": [{**_SEMAPHORES["semaphores"][0], "namespace": "elsewhere"}]}
    spec = {"entrypoint": "a", "templates": [pod("a", synchronization=synchronization)]}
    assert (await bench.run(spec))["status"]["phase"] == "Succeeded"
