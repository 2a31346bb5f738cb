"""What a Workflow says about its run."""

import base64
import gzip
import json
from typing import Any

from pressplay.stages import runfacts


def node(name: str, template: str, phase: str = "Succeeded", **outputs: str) -> dict[str, Any]:
    return {
        "name": f"run-1.{name}",
        "displayName": name,
        "templateName": template,
        "type": "Pod",
        "phase": phase,
        "message": "main: Error (exit code 1)" if phase == "Failed" else "",
        "startedAt": "2026-01-02T03:04:05Z",
        "finishedAt": f"2026-01-02T03:04:{10 + len(name)}Z",
        "outputs": {
            "parameters": [{"name": key, "value": value} for key, value in outputs.items()]
        },
    }


FIRST = {"decision": "proceed", "owner": "acme", "repo": "todo", "base-sha": "a" * 40}
NODES = {
    "1": node("preflight", "preflight", **FIRST, subject="issue-7"),
    "2": node("look-again(0)", "preflight", **(FIRST | {"base-sha": "b" * 40}), subject="issue-7"),
    "3": node("acceptance", "acceptance", "Failed"),
    "4": node("seal", "seal"),
}
WORKFLOW: dict[str, Any] = {
    "metadata": {"name": "run-1"},
    "spec": {
        "workflowTemplateRef": {"name": "implementation-dag"},
        "arguments": {"parameters": [{"name": "issue", "value": "7"}, {"name": "empty"}]},
    },
    "status": {
        "phase": "Running",
        "startedAt": "2026-01-02T03:04:00Z",
        "outputs": {
            "parameters": [{"name": "pr", "value": "9"}, {"name": "head_sha", "value": "c" * 40}]
        },
        "nodes": NODES,
    },
}


def test_the_last_look_of_preflight_counts() -> None:
    facts = runfacts.of_workflow(WORKFLOW)
    assert (facts.owner, facts.repo, facts.subject) == ("acme", "todo", "issue-7")
    assert (facts.base_sha, facts.decision) == ("b" * 40, "proceed")


def test_what_was_deployed_comes_from_the_runs_outputs() -> None:
    facts = runfacts.of_workflow(WORKFLOW)
    assert (facts.pr, facts.head_sha) == ("9", "c" * 40)


def test_packed_nodes_are_unpacked() -> None:
    packed = base64.b64encode(gzip.compress(json.dumps(NODES).encode())).decode()
    status = {"phase": "Running", "compressedNodes": packed}
    facts = runfacts.of_workflow(WORKFLOW | {"status": status})
    assert facts.base_sha == "b" * 40


def test_a_workflow_that_has_not_begun_has_empty_facts() -> None:
    facts = runfacts.of_workflow({"metadata": {"name": "run-1"}, "spec": {}})
    assert (facts.name, facts.owner, facts.pr, facts.decision) == ("run-1", "", "", "")


def test_a_run_that_a_newer_one_stopped_says_so_whatever_preflight_said() -> None:
    annotations = {"pressplay.dev/superseded-by": "run-2"}
    facts = runfacts.of_workflow(
        WORKFLOW | {"metadata": {"name": "run-1", "annotations": annotations}}
    )
    assert (facts.decision, facts.superseded_by) == ("superseded", "run-2")
    assert facts.reason == "The newer run run-2 goes on instead"
    assert facts.to_json(status="Failed")["supersededBy"] == "run-2"


def test_a_runs_reason_is_what_its_stages_said_last() -> None:
    outputs = {"parameters": [{"name": "reason", "value": "qa: no"}]}
    facts = runfacts.of_workflow(WORKFLOW | {"status": WORKFLOW["status"] | {"outputs": outputs}})
    assert facts.reason == "qa: no"


def test_the_record_names_what_failed_and_leaves_out_its_own_step() -> None:
    record = runfacts.of_workflow(WORKFLOW).to_json(status="Failed")
    assert record["status"] == "Failed"
    assert record["parameters"] == {"issue": "7"}
    assert [each["name"] for each in record["failures"]] == ["acceptance"]
    assert [each["name"] for each in record["nodes"]] == [
        "preflight",
        "look-again(0)",
        "acceptance",
    ]
