"""What a run does: order, data, failure, retries, locks, stops, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.cluster.port import Key, Object
from pressplay.engine.nodes import Outcome, Outputs, Phase
from pressplay.engine.port import StepPod

if TYPE_CHECKING:
    from tests.unit.engine.conftest import Bench  # only a name here: pytest hands the object in

Pod = Callable[..., dict[str, Any]]


def _wrote(**parameters: str) -> Outcome:
    return Outcome(Phase.SUCCEEDED, "", Outputs(parameters, exit_code="0"))


def _failed(code: str = "1") -> Outcome:
    return Outcome(Phase.FAILED, f"main: Error (exit code {code})", Outputs(exit_code=code))


def _phases(workflow: Object) -> dict[str, str]:
    return {node["name"]: node["phase"] for node in workflow["status"]["nodes"].values()}


def _dag(*tasks: tuple[str, str], **more: Any) -> dict[str, Any]:
    made = [
        {"name": name, "template": name, **({"depends": depends} if depends else {})}
        for name, depends in tasks
    ]
    return {"name": "main", "dag": {"tasks": made}, **more}


async def test_a_dag_runs_in_the_order_of_its_dependencies(bench: Bench, pod: Pod) -> None:
    main = _dag(("c", "b"), ("b", "a"), ("a", ""))
    workflow = await bench.run(
        {"entrypoint": "main", "templates": [main, pod("a"), pod("b"), pod("c")]}
    )
    assert workflow["status"]["phase"] == "Succeeded"
    assert bench.pods.began == ["a", "b", "c"]
    assert set(_phases(workflow)) == {"wf", "wf.a", "wf.b", "wf.c"}


async def test_a_failed_task_stops_what_depends_on_it(bench: Bench, pod: Pod) -> None:
    bench.pods.answers["a"] = _failed()
    main = _dag(("a", ""), ("b", "a.Succeeded"), ("c", "b.Succeeded"))
    workflow = await bench.run(
        {"entrypoint": "main", "templates": [main, pod("a"), pod("b"), pod("c")]}
    )
    assert workflow["status"]["phase"] == "Failed"
    assert _phases(workflow) == {
        "wf": "Failed",
        "wf.a": "Failed",
        "wf.b": "Omitted",
        "wf.c": "Omitted",
    }


async def test_steps_pass_values_and_have_argos_names(bench: Bench, pod: Pod) -> None:
    seen: list[str] = []

    def consume(step: StepPod) -> Outcome:
        seen.append(step.given.parameters["word"])
        return _wrote()

    bench.pods.answers.update({"make": _wrote(word="hello"), "use": consume})
    word = {"name": "word", "value": "{{steps.make.outputs.parameters.word}}"}
    main = {
        "name": "main",
        "steps": [
            [{"name": "make", "template": "make"}],
            [{"name": "use", "template": "use", "arguments": {"parameters": [word]}}],
        ],
    }
    templates = [
        main,
        pod("make", outputs={"parameters": [{"name": "word", "valueFrom": {"path": "/out/w"}}]}),
        pod("use", inputs={"parameters": [{"name": "word"}]}),
    ]
    workflow = await bench.run({"entrypoint": "main", "templates": templates})
    assert seen == ["hello"]
    assert set(_phases(workflow)) == {"wf", "wf[0]", "wf[0].make", "wf[1]", "wf[1].use"}


async def test_a_false_when_skips_and_what_follows_is_omitted(bench: Bench, pod: Pod) -> None:
    main = _dag(("a", ""), ("b", "a.Succeeded"))
    main["dag"]["tasks"][0]["when"] = "'no' == 'yes'"
    workflow = await bench.run({"entrypoint": "main", "templates": [main, pod("a"), pod("b")]})
    assert workflow["status"]["phase"] == "Succeeded"
    assert _phases(workflow)["wf.a"] == "Skipped"
    assert _phases(workflow)["wf.b"] == "Omitted"
    assert bench.pods.began == []


async def test_a_reference_to_what_was_not_written_errs_by_name(bench: Bench, pod: Pod) -> None:
    main = _dag(("a", ""), ("b", "a"))
    value = "{{tasks.a.outputs.parameters.gone}}"
    main["dag"]["tasks"][1]["arguments"] = {"parameters": [{"name": "x", "value": value}]}
    declared = {"parameters": [{"name": "gone", "valueFrom": {"path": "/out/gone"}}]}
    taking = pod("b", inputs={"parameters": [{"name": "x"}]})
    templates = [main, pod("a", outputs=declared), taking]
    workflow = await bench.run({"entrypoint": "main", "templates": templates})
    assert workflow["status"]["phase"] == "Error"
    messages = [node.get("message", "") for node in workflow["status"]["nodes"].values()]
    assert any("tasks.a.outputs.parameters.gone" in message for message in messages)


async def test_global_outputs_are_there_after_a_red_run(bench: Bench, pod: Pod) -> None:
    bench.pods.answers["a"] = Outcome(
        Phase.FAILED, "main: Error (exit code 1)", Outputs({"why": "broken"}, exit_code="1")
    )
    outputs = {
        "parameters": [{"name": "why", "valueFrom": {"path": "/out/why"}, "globalName": "reason"}]
    }
    workflow = await bench.run(
        {"entrypoint": "main", "templates": [_dag(("a", "")), pod("a", outputs=outputs)]}
    )
    assert workflow["status"]["outputs"]["parameters"] == [{"name": "reason", "value": "broken"}]


@pytest.mark.parametrize(("code", "tries"), [("3", 3), ("1", 1)])
async def test_an_expression_retries_only_the_exit_code_that_it_names(
    bench: Bench, pod: Pod, code: str, tries: int
) -> None:
    bench.pods.answers["a"] = _failed(code)
    retry = {"limit": "2", "expression": "lastRetry.exitCode == '3'"}
    workflow = await bench.run({"entrypoint": "a", "templates": [pod("a", retryStrategy=retry)]})
    assert workflow["status"]["phase"] == "Failed"
    assert bench.pods.began == ["a"] * tries
    assert set(_phases(workflow)) == {"wf", *(f"wf({number})" for number in range(tries))}


async def test_a_retry_expression_that_cannot_be_read_ends_the_tries_and_says_why(
    bench: Bench, pod: Pod
) -> None:
    bench.pods.answers["a"] = _failed()
    retry = {"limit": "2", "expression": "lastRetry.exitCode =="}
    templates = [_dag(("a", "")), pod("a", retryStrategy=retry)]
    workflow = await bench.run({"entrypoint": "main", "templates": templates})
    assert workflow["status"]["phase"] == "Error"
    assert bench.pods.began == ["a"]
    messages = [node.get("message", "") for node in workflow["status"]["nodes"].values()]
    assert any("lastRetry.exitCode ==" in message for message in messages)


async def test_a_value_that_holds_a_tag_stays_a_value_in_a_step_that_is_tried_again(
    bench: Bench, pod: Pod
) -> None:
    held = "{{=1 + 1}}"
    inputs = {"parameters": [{"name": "v"}]}
    step = pod("a", retryStrategy={"limit": "1"}, inputs=inputs)
    step["container"]["args"] = ["{{inputs.parameters.v}}", "{{retries}}"]
    given = {"parameters": [{"name": "v", "value": "{{workflow.parameters.v}}"}]}
    task = {"name": "a", "template": "a", "arguments": given}
    main = {"name": "main", "dag": {"tasks": [task]}}
    bench.pods.answers["a"] = _failed()
    arguments = {"parameters": [{"name": "v", "value": held}]}
    await bench.run({"entrypoint": "main", "arguments": arguments, "templates": [main, step]})
    seen = [each.template.raw["container"]["args"] for each in bench.pods.steps]
    assert seen == [[held, "0"], [held, "1"]]


async def test_a_template_of_another_object_looks_up_names_in_its_own_home(
    bench: Bench, pod: Pod
) -> None:
    inner = {"name": "outer", "steps": [[{"name": "in", "template": "inside"}]]}
    await bench.create("WorkflowTemplate", "lib", {"templates": [inner, pod("inside")]})
    main = {
        "name": "main",
        "steps": [[{"name": "x", "templateRef": {"name": "lib", "template": "outer"}}]],
    }
    workflow = await bench.run({"entrypoint": "main", "templates": [main]})
    assert workflow["status"]["phase"] == "Succeeded"
    assert bench.pods.began == ["inside"]


async def test_a_workflow_from_a_template_takes_its_arguments_over_the_defaults(
    bench: Bench, pod: Pod
) -> None:
    seen: list[Any] = []

    def note(step: StepPod) -> Outcome:
        seen.append(step.template.raw["container"]["args"])
        return _wrote()

    bench.pods.answers["a"] = note
    template = {
        "entrypoint": "a",
        "arguments": {"parameters": [{"name": "p", "value": "1"}, {"name": "q", "value": "2"}]},
        "templates": [
            {
                "name": "a",
                "container": {
                    "image": "x",
                    "command": ["true"],
                    "args": ["{{workflow.parameters.p}}-{{workflow.parameters.q}}"],
                },
            }
        ],
    }
    await bench.create("WorkflowTemplate", "t", template)
    await bench.run(
        {
            "workflowTemplateRef": {"name": "t"},
            "arguments": {"parameters": [{"name": "p", "value": "9"}]},
        }
    )
    assert seen == [["9-2"]]


@pytest.mark.parametrize("red", [False, True])
async def test_the_exit_hook_runs_after_every_end_and_sees_the_status(
    bench: Bench, pod: Pod, *, red: bool
) -> None:
    seen: list[str] = []
    bench.pods.answers["a"] = _failed() if red else _wrote()

    def note(step: StepPod) -> Outcome:
        seen.append(step.given.parameters["s"])
        return _wrote()

    bench.pods.answers["bye"] = note
    hook = {
        "template": "bye",
        "arguments": {"parameters": [{"name": "s", "value": "{{workflow.status}}"}]},
    }
    spec = {
        "entrypoint": "a",
        "hooks": {"exit": hook},
        "templates": [pod("a"), pod("bye", inputs={"parameters": [{"name": "s"}]})],
    }
    workflow = await bench.run(spec)
    assert seen == ["Failed" if red else "Succeeded"]
    assert workflow["status"]["phase"] == seen[0]
    assert "wf.onExit" in _phases(workflow)


async def test_stop_ends_what_runs_begins_nothing_and_still_runs_the_exit_hook(
    bench: Bench, pod: Pod
) -> None:
    bench.pods.held["a"] = asyncio.Event()
    bench.pods.answers["a"] = _failed("143")
    spec = {
        "entrypoint": "main",
        "hooks": {"exit": {"template": "bye"}},
        "templates": [_dag(("a", ""), ("b", "a.Failed")), pod("a"), pod("b"), pod("bye")],
    }
    await bench.create("Workflow", "wf", spec)
    running = asyncio.ensure_future(bench.engine().run())
    await bench.until("wf", lambda _: bench.pods.began == ["a"])
    key = Key("Workflow", "agents", "wf")
    await bench.objects.patch(key, {"spec": {"shutdown": "Stop"}})
    workflow = await bench.until("wf", lambda wf: "finishedAt" in wf.get("status", {}))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bench.pods.began == ["a", "bye"]
    assert workflow["status"]["phase"] == "Failed"
    assert workflow["status"]["message"] == "Stopped with strategy 'Stop'"


async def test_two_runs_of_one_subject_never_hold_the_mutex_together(
    bench: Bench, pod: Pod
) -> None:
    bench.pods.held["a"] = asyncio.Event()
    locked = pod("a", synchronization={"mutexes": [{"name": "m-{{workflow.parameters.s}}"}]})
    spec = {
        "entrypoint": "a",
        "arguments": {"parameters": [{"name": "s", "value": "1"}]},
        "templates": [locked],
    }
    await bench.create("Workflow", "one", spec)
    await bench.create("Workflow", "two", spec)
    running = asyncio.ensure_future(bench.engine().run())
    one = await bench.until("one", lambda _: bench.pods.began == ["a"])
    assert one["status"]["synchronization"]["mutex"]["holding"][0]["mutex"] == "agents/Mutex/m-1"
    await asyncio.sleep(0.05)
    assert bench.pods.began == ["a"]
    bench.pods.held["a"].set()
    for name in ("one", "two"):
        await bench.until(name, lambda wf: "finishedAt" in wf.get("status", {}))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bench.pods.began == ["a", "a"]


async def test_a_deleted_run_gives_its_mutex_to_the_next(bench: Bench, pod: Pod) -> None:
    bench.pods.held["a"] = asyncio.Event()
    spec = {
        "entrypoint": "a",
        "templates": [pod("a", synchronization={"mutexes": [{"name": "m"}]})],
    }
    await bench.create("Workflow", "one", spec)
    await bench.create("Workflow", "two", spec)
    running = asyncio.ensure_future(bench.engine().run())
    await bench.until("one", lambda _: bench.pods.began == ["a"])
    await bench.objects.delete(Key("Workflow", "agents", "one"))
    await bench.until("two", lambda _: bench.pods.began == ["a", "a"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    two = await bench.until("two", lambda wf: wf["status"]["phase"] == "Running")
    # The end of the engine is not the end of the run: the record still says who holds it.
    assert two["status"]["synchronization"]["mutex"]["holding"][0]["mutex"] == "agents/Mutex/m"


async def test_after_a_restart_finished_steps_do_not_run_again(bench: Bench, pod: Pod) -> None:
    bench.pods.held["b"] = asyncio.Event()
    main = _dag(("a", ""), ("b", "a"), ("c", "b"))
    spec = {"entrypoint": "main", "templates": [main, pod("a"), pod("b"), pod("c")]}
    await bench.create("Workflow", "wf", spec)
    running = asyncio.ensure_future(bench.engine().run())
    await bench.until("wf", lambda _: bench.pods.began == ["a", "b"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    bench.pods.held.clear()
    workflow = await bench.finish("wf")
    assert workflow["status"]["phase"] == "Succeeded"
    assert bench.pods.began == ["a", "b", "b", "c"]


async def test_a_resource_step_waits_for_its_condition_and_reads_its_outputs(
    bench: Bench,
) -> None:
    manifest = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
        "  name: {{=toJson(workflow.name + '-x')}}\ndata: {seen: 'no'}\n"
    )
    resource = {
        "name": "r",
        "resource": {
            "action": "apply",
            "setOwnerReference": True,
            "successCondition": "data.seen in (yes)",
            "failureCondition": "data.seen in (never)",
            "manifest": manifest,
        },
        "outputs": {"parameters": [{"name": "o", "valueFrom": {"jsonPath": "{.data.word}"}}]},
    }
    await bench.create("Workflow", "wf", {"entrypoint": "r", "templates": [resource]})
    running = asyncio.ensure_future(bench.engine().run())
    key = Key("ConfigMap", "agents", "wf-x")
    async with asyncio.timeout(5):
        while (made := await bench.objects.get(key)) is None:
            await asyncio.sleep(0.002)
    assert made["metadata"]["ownerReferences"][0]["name"] == "wf"
    await bench.objects.patch(key, {"data": {"seen": "yes", "word": "hi"}})
    workflow = await bench.until("wf", lambda wf: "finishedAt" in wf.get("status", {}))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert workflow["status"]["phase"] == "Succeeded"
    assert workflow["status"]["nodes"]["wf"]["outputs"]["parameters"] == [
        {"name": "o", "value": "hi"}
    ]


async def test_a_deadline_ends_a_resource_that_never_answers(bench: Bench) -> None:
    resource = {
        "name": "r",
        "activeDeadlineSeconds": 0.05,
        "resource": {
            "action": "apply",
            "successCondition": "data.seen in (yes)",
            "manifest": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
        },
    }
    workflow = await bench.run({"entrypoint": "r", "templates": [resource]})
    assert workflow["status"]["phase"] == "Failed"
    assert "longer than the specified deadline" in workflow["status"]["message"]


async def test_a_deleted_run_is_ended_and_forgotten(bench: Bench, pod: Pod) -> None:
    bench.pods.held["a"] = asyncio.Event()
    await bench.create("Workflow", "wf", {"entrypoint": "a", "templates": [pod("a")]})
    running = asyncio.ensure_future(bench.engine().run())
    await bench.until("wf", lambda _: bench.pods.began == ["a"])
    await bench.objects.delete(Key("Workflow", "agents", "wf"))
    async with asyncio.timeout(5):
        while bench.pods.forgotten != ["wf"]:
            await asyncio.sleep(0.002)
    good = await bench.run({"entrypoint": "b", "templates": [pod("b")]}, name="good")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert good["status"]["phase"] == "Succeeded"


async def test_an_invalid_spec_fails_the_run_and_no_other(bench: Bench, pod: Pod) -> None:
    await bench.create("Workflow", "bad", {"entrypoint": "nowhere", "templates": [pod("a")]})
    good = await bench.run({"entrypoint": "a", "templates": [pod("a")]}, name="good")
    bad = await bench.until("bad", lambda wf: "finishedAt" in wf.get("status", {}))
    assert good["status"]["phase"] == "Succeeded"
    assert bad["status"]["phase"] == "Failed"
    assert bad["status"]["message"].startswith("invalid spec: ")
