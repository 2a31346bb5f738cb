"""CodeRun and DocsRun: object → one Workflow → status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pressplay.base import clocks
from pressplay.cluster.memory import MemoryObjects
from pressplay.cluster.port import Key, Object
from pressplay.controllers.runs import RunController

_SHA = "a" * 40


class Bench:
    """A controller over the store in memory."""

    def __init__(self) -> None:
        clock = clocks.SystemClock()
        self.objects = MemoryObjects(clock=clock)
        self.controller = RunController(objects=self.objects, clock=clock)

    async def make(self, kind: str, name: str, spec: dict[str, Any]) -> Key:
        """Store an agent run."""
        await self.objects.create(
            {
                "apiVersion": "taskmaster.io/v1",
                "kind": kind,
                "spec": spec,
                "metadata": {"name": name, "namespace": "agents"},
            }
        )
        return Key(kind, "agents", name)

    async def reconciled(self, key: Key) -> Object:
        """The object after one more reconcile."""
        await self.controller.reconcile(key)
        found = await self.objects.get(key)
        assert found is not None
        return found

    async def workflow(self, name: str, **status: Any) -> Object:
        """The object's Workflow, with this status if one is given."""
        key = Key("Workflow", "agents", name)
        if status:
            return await self.objects.patch(key, {"status": status})
        found = await self.objects.get(key)
        assert found is not None
        return found


@pytest.fixture
async def bench() -> Bench:
    """A bench with its namespace."""
    made = Bench()
    await made.objects.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}}
    )
    return made


def _code(**more: Any) -> dict[str, Any]:
    return {"repo": "o/r", "sha": _SHA, "github": {"appName": "qa"}, "run": "wf", **more}


async def test_a_code_run_becomes_one_workflow_of_its_own_name(bench: Bench) -> None:
    key = await bench.make("CodeRun", "wf-qa", _code(task="qa-testing"))
    obj = await bench.reconciled(key)
    workflow = await bench.workflow("wf-qa")
    values = {p["name"]: p["value"] for p in workflow["spec"]["arguments"]["parameters"]}
    assert workflow["spec"]["workflowTemplateRef"] == {"name": "coderun-run"}
    assert values["github-app"] == "qa"
    assert json.loads(values["request"])["sha"] == _SHA
    assert workflow["metadata"]["ownerReferences"][0]["uid"] == obj["metadata"]["uid"]
    assert obj["status"]["phase"] == "Pending"
    await bench.reconciled(key)
    assert len(await bench.objects.list("Workflow")) == 1


@pytest.mark.parametrize(
    ("spec", "entrypoint"),
    [
        ({"profile": "deploy", "repo": "o/r", "sha": _SHA}, "deploy"),
        ({"command": ["true"], "repo": "o/r"}, "command"),
        ({"prompts": {"user": "docs/task.md"}, "docs": {"path": "docs/"}, "repo": "o/r"}, "docs"),
    ],
)
async def test_a_docs_run_enters_where_its_wish_is_carried_out(
    bench: Bench, spec: dict[str, Any], entrypoint: str
) -> None:
    await bench.reconciled(await bench.make("DocsRun", "d", spec))
    assert (await bench.workflow("d"))["spec"]["entrypoint"] == entrypoint


async def test_the_status_follows_the_workflow_and_takes_its_outputs(bench: Bench) -> None:
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    outputs = {"pr": "7", "pr_url": "http://forge/7", "head_sha": _SHA, "ref": "b"}
    await bench.workflow(
        "x",
        phase="Succeeded",
        finishedAt="2026-01-01T00:00:00Z",
        outputs={"parameters": [{"name": n, "value": v} for n, v in outputs.items()]},
    )
    status = (await bench.reconciled(key))["status"]
    assert status["phase"] == "Succeeded"
    assert (status["pullRequestNumber"], status["commitSha"]) == (7, _SHA)
    assert status["outputs"] == outputs


async def test_the_owning_run_is_labelled_once_the_pull_request_is_known(bench: Bench) -> None:
    await bench.objects.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "spec": {},
            "metadata": {"name": "wf", "namespace": "agents"},
        }
    )
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    outputs = [{"name": "pr", "value": "7"}, {"name": "head_sha", "value": _SHA}]
    await bench.workflow("x", phase="Running", outputs={"parameters": outputs})
    await bench.reconciled(key)
    labels = (await bench.workflow("wf"))["metadata"]["labels"]
    assert labels == {"pressplay.dev/pr": "7", "pressplay.dev/head": _SHA}


async def test_work_that_was_started_is_never_started_again(bench: Bench) -> None:
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    await bench.objects.delete(Key("Workflow", "agents", "x"))
    status = (await bench.reconciled(key))["status"]
    assert (status["phase"], status["reason"]) == ("Error", "WorkflowMissing")
    assert await bench.objects.list("Workflow") == []


async def test_cancel_stops_the_workflow_and_ends_as_cancelled(bench: Bench) -> None:
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    await bench.objects.patch(key, {"spec": {"cancel": True}})
    await bench.reconciled(key)
    assert (await bench.workflow("x"))["spec"]["shutdown"] == "Stop"
    await bench.workflow("x", phase="Failed", finishedAt="2026-01-01T00:00:00Z")
    assert (await bench.reconciled(key))["status"]["phase"] == "Cancelled"


async def test_one_that_cannot_be_read_fails_and_stops_no_other(bench: Bench) -> None:
    bad = await bench.make("CodeRun", "bad", _code(sha="{{=1+1}}"))
    good = await bench.make("CodeRun", "good", _code())
    status = (await bench.reconciled(bad))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
    assert (await bench.reconciled(good))["status"]["phase"] == "Pending"


async def test_a_failure_is_told_in_the_words_of_the_step_that_failed(bench: Bench) -> None:
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    await bench.workflow(
        "x",
        phase="Failed",
        outputs={"parameters": [{"name": "reason", "value": "no new commit"}]},
        message="child 'x-1' failed",
    )
    assert (await bench.reconciled(key))["status"]["message"] == "no new commit"


@pytest.mark.parametrize(
    ("code", "reason"), [("1", "GateSaysNo"), ("2", "Refused"), ("9", "Failed")]
)
async def test_the_exit_code_of_the_failed_stage_becomes_the_reason(
    bench: Bench, code: str, reason: str
) -> None:
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    node = {
        "id": "n",
        "displayName": "verify",
        "type": "Pod",
        "phase": "Failed",
        "outputs": {"exitCode": code},
    }
    await bench.workflow("x", phase="Failed", nodes={"n": node})
    assert (await bench.reconciled(key))["status"]["reason"] == reason


async def test_the_failed_pod_that_ended_last_tells_why_in_whatever_order_nodes_come(
    bench: Bench,
) -> None:
    key = await bench.make("CodeRun", "x", _code())
    await bench.reconciled(key)
    nodes = {
        name: {
            "id": name,
            "displayName": name,
            "type": "Pod",
            "phase": "Failed",
            "finishedAt": f"2026-01-01T00:00:0{second}Z",
            "outputs": {"exitCode": code, "parameters": [{"name": "without-a-value"}]},
        }
        for name, second, code in (("a", 3, "1"), ("b", 5, "2"), ("c", 4, "1"))
    }
    given = {"parameters": [{"name": "without-a-value"}]}
    await bench.workflow("x", phase="Failed", nodes=nodes, outputs=given)
    status = (await bench.reconciled(key))["status"]
    assert (status["reason"], status["message"]) == ("Refused", "b: ")


async def test_an_object_on_its_way_out_is_not_begun(bench: Bench) -> None:
    key = await bench.make("CodeRun", "x", _code())
    going = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    await bench.objects.patch(key, going)
    await bench.reconciled(key)
    assert await bench.objects.list("Workflow") == []
