"""How far a run is, read from what the server says of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pressplay.cli import progress

NOW = datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC)
RUN = "implement-r1-i1"


def _node(display: str, phase: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{display}",
        "name": f"{RUN}.{display}",
        "displayName": display,
        "type": "Pod",
        "phase": phase,
        "startedAt": "2026-01-01T00:00:00Z",
        "templateName": display,
        **more,
    }


def _workflow(*nodes: dict[str, Any], name: str = RUN, **outputs: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {}},
        "spec": {"arguments": {"parameters": [{"name": "task", "value": "implement"}]}},
        "status": {
            "phase": "Running",
            "nodes": {node["id"]: node for node in nodes},
            "outputs": {"parameters": [{"name": n, "value": v} for n, v in outputs.items()]},
        },
    }


def test_stages_are_in_the_pipelines_order_and_those_to_come_are_known() -> None:
    found = progress.read(
        _workflow(
            _node("set-params", "Running"),
            _node("preflight", "Succeeded", finishedAt="2026-01-01T00:00:07Z"),
        ),
        [],
        planned=("preflight", "set-params", "approve"),
        now=NOW,
    )
    assert [(each.name, each.phase, each.seconds) for each in found.stages] == [
        ("preflight", "Succeeded", 7),
        ("set-params", "Running", 60),
        ("approve", "", 0),
    ]


def test_a_running_stage_says_which_step_of_its_own_workflow_runs() -> None:
    child = _workflow(
        _node("prepare", "Succeeded"),
        _node("warm", "Running", startedAt="2026-01-01T00:00:30Z"),
        _node("agent", "Running"),
        name=f"{RUN}-implement",
    )
    found = progress.read(
        _workflow(_node("implement", "Running", type="Steps")), [child], planned=(), now=NOW
    )
    (stage,) = found.stages
    assert stage.note == "warm, agent"
    assert found.pod is not None
    assert found.pod.step == "agent", "what works beside the agent is less interesting"
    assert found.pod.name.startswith(f"{RUN}-implement-agent-")


def test_pull_request_and_spend_are_known_as_soon_as_a_step_tells_them() -> None:
    children = [
        _workflow(name="a", pr="7", pr_url="http://forge/pull/7", cost='{"usd": 0.25}'),
        _workflow(name="b", cost="0.5"),
        _workflow(name="c", cost="not a number"),
    ]
    workflow = _workflow()
    workflow["metadata"]["labels"]["pressplay.dev/pr"] = "7"
    found = progress.read(workflow, children, planned=(), now=NOW)
    assert (found.pull, found.pull_url, found.usd) == ("7", "http://forge/pull/7", 0.75)


def test_spend_that_nobody_told_is_not_nothing() -> None:
    assert progress.read(_workflow(), [_workflow(name="a")], planned=(), now=NOW).usd is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (json.dumps({"endpoints": [{"url": "http://preview/"}]}), "http://preview/"),
        (json.dumps({"endpoints": []}), ""),
        ("[1]", ""),
        ("{", ""),
        ("", ""),
    ],
)
def test_the_preview_is_read_from_what_deploy_said(text: str, url: str) -> None:
    assert progress.preview_url({"preview_urls": text}) == url


def test_the_stages_of_a_template_are_found_wherever_they_are_called() -> None:
    template = {
        "spec": {
            "templates": [
                {"dag": {"tasks": [{"name": "preflight"}, {"name": "pipeline"}]}},
                {"steps": [[{"name": "seal"}], [{"name": "cleanup"}]]},
                {"container": {}},
            ]
        }
    }
    assert progress.stages_of(template) == ("preflight", "seal", "cleanup")
    assert progress.stages_of({}) == ()


def test_a_skipped_stage_says_why() -> None:
    found = progress.read(
        _workflow(_node("deploy", "Skipped", message="when 'a' == 'b' evaluated false")),
        [],
        planned=(),
        now=NOW,
    )
    assert found.stages[0].note == "when 'a' == 'b' evaluated false"
