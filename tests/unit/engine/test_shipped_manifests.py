"""The shipped pipeline on the engine: its order comes from the YAML and from nowhere else."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pressplay.cluster.port import Key, Object, key_of
from pressplay.engine.nodes import Outcome, Outputs, Phase
from pressplay.manifests import loading

if TYPE_CHECKING:
    from tests.unit.engine.conftest import Bench  # only a name here: pytest hands the object in

_PREFLIGHT = {
    "decision": "proceed",
    "reason": "",
    "owner": "o",
    "repo": "r",
    "subject": "issue-1",
    "base": "main",
    "base-sha": "a" * 40,
    "ref": "",
    "sha": "",
}
_CONTEXT = {
    "github-app": "rex",
    "repository": "o/r",
    "owner": "o",
    "repo": "r",
    "pr": "",
    "sha": "",
    "subject": "issue-1",
    "issue": "1",
    "commentId": "",
    "ref": "",
    "taskId": "",
    "taskRef": "",
    "attempt": "",
}
_RUN_OUTPUTS = {"pr": "2", "ref": "pressplay/issue-1", "head_sha": "b" * 40, "urls": "{}"}


def _wrote(values: dict[str, str]) -> Outcome:
    return Outcome(Phase.SUCCEEDED, "", Outputs(values, exit_code="0"))


def _answers() -> dict[str, Outcome]:
    return {
        "preflight": _wrote(_PREFLIGHT),
        "set-params": _wrote({"base": "main", "base-sha": "a" * 40}),
        "context": _wrote(_CONTEXT),
        "validate-prompt": _wrote({"systemPromptPath": "/etc/agents/rex_system-prompt.md"}),
        "acceptance": _wrote({"verdict": "pass"}),
    }


async def _carry_out(bench: Bench, order: list[str], kind: str) -> None:
    """What the controllers do: every agent run succeeds."""
    async for change in bench.objects.watch(kind):
        if change.type == "ADDED":
            order.append(change.object["spec"]["task"])
            status = {"phase": "Succeeded", "outputs": _RUN_OUTPUTS}
            await bench.objects.patch(key_of(change.object), {"status": status})


async def _play(
    bench: Bench, edit: Callable[[Object], None], *, template: str = "implementation-dag"
) -> tuple[Object, list[str]]:
    """Run a pipeline after `edit` changed a copy of it; the order in which things began."""
    order: list[str] = bench.pods.began
    bench.pods.answers.update(_answers())
    for obj in loading.shipped(namespace="agents"):
        if obj["metadata"]["name"] == template:
            edit(obj := copy.deepcopy(obj))
        if obj["kind"] == "WorkflowTemplate" or obj["metadata"]["name"] == "pressplay-limits":
            await bench.objects.create(obj)
    carrying = [
        asyncio.ensure_future(_carry_out(bench, order, kind)) for kind in ("CodeRun", "DocsRun")
    ]
    about = "pr" if template == "pr-validation" else "issue"
    arguments = {"parameters": [{"name": about, "value": "1"}]}
    spec = {"workflowTemplateRef": {"name": template}, "arguments": arguments}
    try:
        return await bench.run(spec), order
    finally:
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


def _tasks(obj: Object) -> dict[str, dict[str, Any]]:
    pipeline = next(t for t in obj["spec"]["templates"] if t["name"] == "pipeline")
    return {task["name"]: task for task in pipeline["dag"]["tasks"]}


async def test_the_shipped_pipeline_runs_in_its_order(bench: Bench) -> None:
    workflow, order = await _play(bench, lambda _: None)
    assert workflow["status"]["phase"] == "Succeeded"
    wanted = ["preflight", "preflight", "set-params"]
    for task in ("implement", "clippy-format", "qa-testing"):
        wanted += ["context", "validate-prompt", task]
    assert order == [*wanted, "deploy", "acceptance", "approve", "seal", "cleanup"]


async def test_a_validation_is_the_same_without_implementing(bench: Bench) -> None:
    workflow, order = await _play(bench, lambda _: None, template="pr-validation")
    assert workflow["status"]["phase"] == "Succeeded"
    wanted = ["preflight", "preflight", "set-params"]
    for task in ("clippy-format", "qa-testing"):
        wanted += ["context", "validate-prompt", task]
    assert order == [*wanted, "deploy", "acceptance", "approve", "seal", "cleanup"]
    asked = {step.template.name: step.given.parameters for step in bench.pods.steps}
    assert asked["context"]["pr"] == "2"
    agent_run = await bench.objects.get(Key("CodeRun", "agents", "wf-clippy-format"))
    assert agent_run is not None
    assert agent_run["spec"]["baseSha"] == "a" * 40


def test_a_validation_waits_for_whatever_is_at_work_on_its_subject() -> None:
    templates = {
        obj["metadata"]["name"]: obj["spec"]["templates"]
        for obj in loading.shipped(namespace="agents")
        if obj["kind"] == "WorkflowTemplate"
    }
    locks = [
        next(t for t in templates[name] if t["name"] == "pipeline")["synchronization"]
        for name in ("implementation-dag", "pr-validation")
    ]
    assert locks[0] == locks[1]


async def test_a_step_put_in_and_a_dependency_taken_out_change_the_order(bench: Bench) -> None:
    def edit(obj: Object) -> None:
        tasks = _tasks(obj)
        announce = {
            "name": "announce",
            "template": "announce",
            "depends": "clippy-format.Succeeded",
        }
        pipeline = next(t for t in obj["spec"]["templates"] if t["name"] == "pipeline")
        pipeline["dag"]["tasks"].insert(0, announce)
        container = {"image": "x", "command": ["true"]}
        obj["spec"]["templates"].append({"name": "announce", "container": container})
        tasks["qa-testing"]["depends"] = "announce.Succeeded"
        del tasks["approve"]["depends"]

    workflow, order = await _play(bench, edit)
    assert workflow["status"]["phase"] == "Succeeded"
    assert order.index("clippy-format") < order.index("announce") < order.index("qa-testing")
    assert order.index("approve") < order.index("set-params")


async def test_a_covered_run_ends_at_once_and_well(bench: Bench) -> None:
    covered = {**_PREFLIGHT, "decision": "covered", "reason": "done already"}
    answers = _answers()
    answers["preflight"] = _wrote(covered)

    def edit(_: Object) -> None:
        bench.pods.answers["preflight"] = answers["preflight"]

    workflow, order = await _play(bench, edit)
    assert workflow["status"]["phase"] == "Succeeded"
    assert order == ["preflight", "seal", "cleanup"]
