"""What is refused before anything runs, in Argo's words; what Argo accepted is accepted."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from differential import cases, recordings
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import validating
from pressplay.engine.nodes import Phase
from pressplay.engine.validation import graphs
from pressplay.engine.validation.places import Homes
from pressplay.manifests import loading

if TYPE_CHECKING:
    from tests.unit.engine.conftest import Bench  # only a name here: pytest hands the object in

_NOWHERE = Homes()
_PREFIX = "invalid spec: "
_NAMES = st.from_regex(r"[a-z]{1,3}", fullmatch=True)


def _leaf(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "container": {"image": "i", "command": ["true"]}, **more}


def _taking(name: str) -> dict[str, Any]:
    return _leaf(name, inputs={"parameters": [{"name": "x"}]})


def _steps(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "main", "steps": [[step] for step in steps], **more}


def _dag(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "main", "dag": {"tasks": list(tasks)}, **more}


def _call(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "template": "leaf", **more}


def _value(value: str) -> dict[str, Any]:
    return {"parameters": [{"name": "x", "value": value}]}


def _workflow(*templates: dict[str, Any], **more: Any) -> dict[str, Any]:
    spec = {"entrypoint": "main", "templates": list(templates), **more}
    return {"metadata": {"name": "wf"}, "spec": spec}


def _said(workflow: Mapping[str, Any], homes: Homes = _NOWHERE) -> str:
    try:
        validating.validate(workflow, homes=homes)
    except Refused as error:
        return str(error)
    return ""


@cache
def _corpus() -> dict[str, tuple[Mapping[str, Any], Homes, str | None]]:
    found = {}
    for case in cases.load_all():
        own, cluster = (
            {e["metadata"]["name"]: e["spec"] for e in case.fixtures if e["kind"] == kind}
            for kind in ("WorkflowTemplate", "ClusterWorkflowTemplate")
        )
        found[case.name] = (case.subject, Homes(own, cluster), _answer(case))
    return found


def _answer(case: cases.Case) -> str | None:
    """What Argo refused it with, empty where it began to run; None for what is no Workflow."""
    recorded = recordings.read(case) if recordings.path_of(case).exists() else None
    if recorded is None or case.subject["kind"] != "Workflow":
        return None
    message = str(recorded.get("message") or "")
    if recorded["phase"] == "Error" and not recorded["nodes"]:
        return None
    return message.removeprefix(_PREFIX) if message.startswith(_PREFIX) else ""


def test_what_argo_refused_is_refused_in_its_words_and_nothing_else_is() -> None:
    wrong = [
        f"{name}: Argo {answer!r}, here {said!r}"
        for name, (workflow, library, answer) in _corpus().items()
        if answer is not None and (said := _said(workflow, library)) != answer
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(bool(answer) for _, _, answer in _corpus().values()) >= 25


def test_every_shipped_template_can_be_run() -> None:
    shipped = [o for o in loading.shipped(namespace="n") if o["kind"] == "WorkflowTemplate"]
    library = {each["metadata"]["name"]: each["spec"] for each in shipped}
    for name, spec in library.items():
        given_ = [
            {"name": each["name"], "value": each.get("value", (each.get("enum") or ["1"])[0])}
            for each in spec.get("arguments", {}).get("parameters", ())
        ]
        run = {"workflowTemplateRef": {"name": name}, "arguments": {"parameters": given_}}
        if "entrypoint" not in spec:
            run["entrypoint"] = spec["templates"][0]["name"]
        assert not _said({"metadata": {"name": "run"}, "spec": run}, Homes(library)), name


def test_validating_changes_nothing() -> None:
    for workflow, library, _ in _corpus().values():
        if workflow["kind"] == "Workflow":
            before = copy.deepcopy((workflow, library))
            _said(workflow, library)
            assert (workflow, library) == before


_MAIN = _leaf("main")
_LEAF = _leaf("leaf")
_REFUSED: list[tuple[dict[str, Any], str]] = [
    (_workflow(_MAIN, entrypoint=""), "spec.entrypoint is required"),
    (_workflow(_MAIN, _MAIN), "spec.templates[1].name 'main' is not unique"),
    (_workflow({"name": "main"}), "template 'main' type is unknown"),
    (
        _workflow(_leaf("main", script={"image": "i", "source": ""})),
        "templates.main multiple template types specified. choose one of: container, "
        "containerSet, steps, script, resource, dag, suspend, template, template ref",
    ),
    (
        _workflow({"name": "main", "container": {}}),
        "templates.main.container.image may not be empty",
    ),
    (_workflow(_MAIN, onExit="gone"), "template name 'gone' undefined"),
    (_workflow(_MAIN, hooks={"h": {"template": "main"}}), "hooks.h Expression required"),
    (_workflow(_MAIN, podGC={"strategy": "Now"}), "podGC.strategy unknown strategy 'Now'"),
    (
        _workflow(_MAIN, _leaf("odd", inputs={"artifacts": [{"name": "a"}]})),
        "templates.odd error in templates.odd.inputs.artifacts.a: "
        "Artifact 'a' did not specify a path",
    ),
    (
        _workflow(_leaf("main", retryStrategy={"retryPolicy": "Never"})),
        "Never is not a valid RetryPolicy",
    ),
    (
        _workflow(_leaf("main", parallelism=1)),
        "templates.main.parallelism is only valid for steps and dag templates",
    ),
    (
        _workflow(_leaf("main", activeDeadlineSeconds="soon")),
        "templates.main.activeDeadlineSeconds must be a positive integer > 0 or an argo variable",
    ),
    (_workflow(_leaf("main", timeout="30")), "main has invalid duration format in timeout."),
    (
        _workflow(_steps(_call("a"), timeout="30s"), _LEAF),
        "Steps template doesn't support timeout field.",
    ),
    (
        _workflow(_leaf("main", outputs={"parameters": [{"name": "o", "valueFrom": {}}]})),
        "valueFrom type unspecified. choose one of: path, jqFilter, jsonPath, parameter, raw, "
        "expression",
    ),
    (
        _workflow(_leaf("main", outputs={"parameters": [{"name": "o"}]})),
        "templates.main.outputs.parameters.o does not have valueFrom or value specified",
    ),
    (
        _workflow(
            _steps(
                _call("a"),
                outputs={"parameters": [{"name": "o", "valueFrom": {"path": "/x"}}]},
            ),
            _LEAF,
        ),
        "templates.main.outputs.parameters.o.parameter or expression must be specified for "
        "Steps templates",
    ),
    (
        _workflow({"name": "main", "resource": {"action": "make", "manifest": "a: 1"}}),
        "templates.main.resource.action must be one of: get, create, apply, delete, replace, patch",
    ),
    (
        _workflow({"name": "main", "resource": {"action": "create", "manifest": "a: ["}}),
        "templates.main.resource.manifest must be a valid yaml",
    ),
    (
        _workflow(
            _steps({"name": "a", "template": "leaf", "withParam": "[]", "withItems": [1]}), _LEAF
        ),
        "templates.main.steps[0].a only one of withItems, withParam, withSequence can be specified",
    ),
    (
        _workflow(_steps(_call("a_b")), _LEAF),
        "templates.main.steps[0].name 'a_b' is invalid: name must consist of alpha-numeric "
        "characters or '-', and must start with an alpha-numeric character "
        "(e.g. My-name1-2, 123-NAME)",
    ),
    (
        _workflow(_steps(_call("a", arguments={"parameters": [{"name": "x"}]})), _LEAF),
        "templates.main.steps[0].a.arguments.x.value or "
        "templates.main.steps[0].a.arguments.x.valueFrom is required",
    ),
    (
        _workflow(_steps(_call("a", when="{{steps.b.status}} == x"), _call("b")), _LEAF),
        "templates.main.steps failed to resolve {{steps.b.status}}",
    ),
    (
        _workflow(_steps({"name": "a", "template": "leaf", "templateRef": {"name": "l"}}), _LEAF),
        "templates.main.steps[0].a template name cannot be specified with templateRef.",
    ),
    (_workflow(_dag()), "templates.main must have at least one task"),
    (
        _workflow(_dag(_call("a"), _call("a")), _LEAF),
        "templates.main sorting failed: duplicated nodeName a",
    ),
    (
        _workflow(_dag(_call("1a"), _call("b", depends="1a")), _LEAF),
        "templates.main.tasks.1a name cannot begin with a digit when using either 'depends' or "
        "'dependencies'",
    ),
    (
        _workflow(_dag(_call("a", continueOn={"failed": True}), _call("b", depends="a")), _LEAF),
        "templates.main cannot use 'continueOn' when using 'depends'. Instead use "
        "'dep-task.Failed'/'dep-task.Errored'",
    ),
    (
        _workflow({"name": "main", "dag": {"target": "z", "tasks": [_call("a")]}}, _LEAF),
        "templates.main.targets: target 'z' is not defined",
    ),
    (
        _workflow(
            _dag(_call("a"), _call("b", arguments=_value("{{tasks.a.status}}"))), _taking("leaf")
        ),
        "templates.main.tasks.a templates.leaf inputs.parameters.x was not supplied",
    ),
    (
        _workflow(_dag(_call("a"), _call("b", when="{{tasks.a.status}} == x")), _LEAF),
        "templates.main.tasks.b failed to resolve {{tasks.a.status}}",
    ),
]


@pytest.mark.parametrize(("workflow", "words"), _REFUSED, ids=[words for _, words in _REFUSED])
def test_it_is_refused_in_argos_words(workflow: dict[str, Any], words: str) -> None:
    assert _said(workflow) == words


_TAKEN: dict[str, dict[str, Any]] = {
    "a template that calls itself": _workflow(
        _steps({"name": "a", "template": "main", "when": "false"})
    ),
    "a template whose name only the run knows": _workflow(
        _steps(
            {"name": "a", "templateRef": {"name": "l", "template": "{{item}}"}, "withItems": ["x"]}
        )
    ),
    "an expression that is wrong": _workflow(_leaf("main", metadata={"labels": {"l": "{{=(}}"}})),
    "a tag of nobody's": _workflow(_leaf("main", metadata={"labels": {"l": "{{their.own}}"}})),
    "an item of what is worked out later": _workflow(
        _steps(_call("a", withParam="[]", arguments=_value("{{item.any}}"))), _taking("leaf")
    ),
    "defaults that bring the image": _workflow(
        {"name": "main", "container": {}}, templateDefaults={"container": {"image": "i"}}
    ),
    "a name inside a name": _workflow(
        _steps(
            _call("a", arguments=_value("{{workflow.parameters.{{inputs.parameters.which}}}}")),
            inputs={"parameters": [{"name": "which", "default": "p"}]},
        ),
        _taking("leaf"),
        arguments={"parameters": [{"name": "p", "value": "v"}]},
    ),
    "a step's end seen by the next": _workflow(
        _steps(_call("a"), _call("b", when="{{steps.a.status}} == Succeeded")), _LEAF
    ),
    "an exit handler that reads how it went": _workflow(
        _MAIN, _leaf("end", metadata={"annotations": {"a": "{{workflow.failures}}"}}), onExit="end"
    ),
}


@pytest.mark.parametrize("workflow", _TAKEN.values(), ids=_TAKEN.keys())
def test_it_is_taken(workflow: dict[str, Any]) -> None:
    # Argo looks at an exit handler again among all the templates, when it knows the same names.
    assert not _said(workflow)


@pytest.mark.parametrize(("length", "words"), [(100, ""), (900, "too deeply")])
def test_a_chain_is_taken_as_long_as_argo_goes_along_it_and_never_breaks(
    length: int, words: str
) -> None:
    links = [
        {"name": f"t{n}", "dag": {"tasks": [{"name": "a", "template": f"t{n + 1}"}]}}
        for n in range(length)
    ]
    said = _said(_workflow(*links, _leaf(f"t{length}"), entrypoint="t0"))
    assert words in said
    assert bool(words) == bool(said)


def test_a_long_text_of_nothing_but_beginnings_is_read_soon() -> None:
    text = "{{" * 200_000
    started = time.perf_counter()
    assert not _said(
        _workflow(_leaf("main", metadata={"annotations": {"a": text, "b": "{{=" * 200_000}}))
    )
    manifest = _workflow(
        {"name": "main", "resource": {"action": "create", "manifest": f"a: '{text}'"}}
    )
    assert not _said(manifest)
    assert _said(_workflow(_dag(_call("a", depends="a" * 200_000)), _LEAF))
    assert time.perf_counter() - started < 5


def test_a_templates_own_library_is_where_it_looks() -> None:
    library = {"templates": [_steps(_call("a")) | {"name": "outer"}, _LEAF]}
    call = {"name": "theirs", "templateRef": {"name": "l", "template": "outer"}}
    assert not _said(_workflow(_steps(call)), Homes({"l": library}))
    library = {"templates": library["templates"][:1]}
    said = _said(_workflow(_steps(call), _LEAF), Homes({"l": library}))
    assert said == (
        "templates.main.steps[0].theirs templates.outer.steps[0].a template name 'leaf' undefined"
    )


@given(st.dictionaries(_NAMES, st.lists(_NAMES, max_size=3), max_size=6))
def test_tasks_come_in_an_order_that_can_be_carried_out_or_not_at_all(
    wanted: dict[str, list[str]],
) -> None:
    tasks: list[Mapping[str, Any]] = [
        {"name": name, "dependencies": needed} for name, needed in wanted.items()
    ]
    try:
        order = [task["name"] for task in graphs.ordered(tasks)]
    except Refused as error:
        assert str(error).startswith(("invalid dependency ", "graph with cycle"))
        return
    assert sorted(order) == sorted(wanted)
    for name, needed in wanted.items():
        assert all(order.index(each) < order.index(name) for each in needed)


@given(st.lists(_NAMES, unique=True, min_size=1, max_size=6), st.data())
def test_a_dag_in_which_each_waits_for_earlier_ones_is_taken(
    names: list[str], data: st.DataObject
) -> None:
    tasks = [
        _call(name, dependencies=data.draw(st.lists(st.sampled_from(names[:number]), unique=True)))
        if number
        else _call(name)
        for number, name in enumerate(names)
    ]
    assert not _said(_workflow(_dag(*data.draw(st.permutations(tasks))), _LEAF))


async def test_what_is_refused_never_begins(bench: Bench) -> None:
    ended = await bench.run({"entrypoint": "main", "templates": [_steps(_call("a"))]})
    assert ended["status"]["phase"] == Phase.FAILED
    words = "invalid spec: templates.main.steps[0].a template name 'leaf' undefined"
    assert ended["status"]["message"] == words
    assert not ended["status"].get("nodes")
    assert not bench.pods.began


async def test_a_run_of_a_template_that_is_not_there_errs(bench: Bench) -> None:
    ended = await bench.run({"workflowTemplateRef": {"name": "nowhere"}})
    assert ended["status"]["phase"] == Phase.ERROR
    assert ended["status"]["message"] == 'workflowtemplates.argoproj.io "nowhere" not found'
