"""The shipped pipelines, unchanged, carried out by real Argo on a real Kubernetes.

Two doubles stand in for what such a cluster lacks, see `live.previews`; all else is genuine: the
stages, the forge, the artifacts, the requests and our controllers.
"""

from __future__ import annotations

import json

import pytest
from live.scenarios import Seen

from live import scenarios

PIPELINE = ".pipeline"


@pytest.mark.scenario("goes_green")
def test_an_issue_goes_green_to_the_end_and_is_approved_unmerged(seen: Seen) -> None:
    assert seen.phase == "Succeeded", seen
    (pull,) = seen.notes["pulls"]
    assert (pull.state, pull.merged) == ("open", False)
    assert [(each.author, each.state) for each in seen.notes["reviews"]] == [
        ("qa-approver[bot]", "APPROVED")
    ]
    assert [(each.name, each.conclusion) for each in seen.notes["checks"]] == [
        ("pressplay/verdict", "success")
    ]


@pytest.mark.scenario("goes_green")
def test_a_green_run_hands_out_what_its_tasks_named(seen: Seen) -> None:
    (pull,) = seen.notes["pulls"]
    outputs = seen.outputs
    assert outputs["verdict"] == "pass", seen
    assert outputs["decision"] == "proceed"
    assert (outputs["pr"], outputs["head_sha"]) == (str(pull.number), pull.head_sha)
    assert json.loads(outputs["preview_urls"])["sha"] == pull.head_sha
    assert outputs["acceptance_report_path"] == f"{seen.name}/evidence/acceptance/report.json"
    assert len(outputs["evidence_bundle"]) == 64


@pytest.mark.scenario("goes_green")
def test_a_green_run_leaves_its_evidence_and_its_bundle_in_the_repository(seen: Seen) -> None:
    kept = {key.removeprefix(f"{seen.name}/") for key in seen.notes["keys"]}
    assert kept >= {
        "evidence/policy.json",
        "evidence/rex/logs.txt",
        "evidence/rex/commit.txt",
        "evidence/clippy/report.json",
        "evidence/qa/summary.json",
        "evidence/qa/proof/index.json",
        "evidence/deploy/urls.json",
        "evidence/acceptance/report.json",
        "evidence/acceptance/samples.jsonl",
        "evidence/approval/approval.json",
        "bundle/index.json",
    }, seen


@pytest.mark.scenario("goes_green")
def test_the_preview_of_a_green_run_stands_until_its_pull_request_is_closed(seen: Seen) -> None:
    assert seen.notes["preview"], seen
    assert not seen.notes["preview_stays"]


@pytest.mark.scenario("task_fails")
def test_a_task_that_fails_ends_the_run_red_and_nothing_after_it_begins(seen: Seen) -> None:
    assert seen.phase == "Failed", seen
    assert seen.phase_of(f"{PIPELINE}.implement") == "Failed"
    for later in ("clippy-format", "qa-testing", "deploy", "acceptance", "approve"):
        assert seen.phase_of(f"{PIPELINE}.{later}") in ("", "Omitted"), seen


@pytest.mark.scenario("task_fails")
def test_a_request_whose_object_fails_fails_its_step(seen: Seen) -> None:
    assert seen.notes["request"]["status"]["phase"] == "Failed", seen
    waited = seen.node(f"{PIPELINE}.implement[2].create-coderun")
    assert waited["phase"] == "Failed"
    assert "status.phase" in waited["message"]


@pytest.mark.scenario("request_is_not_valid")
def test_a_request_that_the_cluster_refuses_fails_its_step_with_the_words_of_the_crd(
    seen: Seen,
) -> None:
    asked = seen.node("[0].ask")
    assert (asked["phase"], asked["outputs"]["exitCode"]) == ("Failed", "64"), seen
    assert "spec.repo in body should match" in asked["message"]
    assert seen.phase == "Failed"


@pytest.mark.scenario("request_is_cancelled")
def test_a_request_that_is_cancelled_fails_its_step(seen: Seen) -> None:
    assert seen.notes["request"]["status"]["phase"] == "Cancelled", seen
    assert seen.phase_of(f"{PIPELINE}.implement[2].create-coderun") == "Failed"
    assert seen.phase == "Failed"


@pytest.mark.scenario("request_is_never_answered")
def test_a_request_that_is_never_answered_ends_at_the_deadline_of_its_step(seen: Seen) -> None:
    assert seen.notes["request"]["status"]["phase"] == "Running", seen
    waited = seen.node("[2].create-coderun")
    assert waited["phase"] == "Failed", seen
    assert "deadline" in waited["message"].lower(), seen
    assert seen.phase == "Failed"


@pytest.mark.scenario("forge_is_out_for_the_stage")
def test_a_stage_that_ends_with_exit_code_3_is_tried_again(seen: Seen) -> None:
    first = seen.node(".preflight(0)")
    assert (first["phase"], first["outputs"]["exitCode"]) == ("Failed", "3"), seen
    assert seen.phase_of(".preflight(1)") == "Succeeded"
    assert seen.phase == "Succeeded"


@pytest.mark.scenario("forge_is_out_for_the_token")
def test_an_init_container_that_ends_with_exit_code_3_is_tried_again(seen: Seen) -> None:
    first = seen.node(".preflight(0)")
    assert first["phase"] in ("Failed", "Error"), seen
    assert seen.phase_of(".preflight(1)") == "Succeeded", seen
    assert seen.phase == "Succeeded"


@pytest.mark.scenario("judged_red")
def test_outputs_of_tasks_are_there_on_a_red_run(seen: Seen) -> None:
    assert seen.phase == "Failed", seen
    assert seen.phase_of(f"{PIPELINE}.acceptance") == "Failed"
    outputs = seen.outputs
    assert outputs["verdict"] == "fail"
    assert json.loads(outputs["preview_urls"])["hosts"]
    assert outputs["acceptance_report_path"] == f"{seen.name}/evidence/acceptance/report.json"
    assert outputs["acceptance_logs_path"] == f"{seen.name}/evidence/acceptance/logs.txt"
    assert len(outputs["evidence_bundle"]) == 64
    assert outputs["head_sha"]
    assert "/absent" in outputs["reason"]


@pytest.mark.scenario("judged_red")
def test_a_red_run_keeps_its_evidence_and_takes_its_preview_away(seen: Seen) -> None:
    assert f"{seen.name}/evidence/acceptance/report.json" in seen.notes["keys"], seen
    assert f"{seen.name}/bundle/index.json" in seen.notes["keys"]
    assert not seen.notes["preview"]


@pytest.mark.scenario("task_fails")
def test_the_exit_hook_seals_and_cleans_up_after_a_failure(seen: Seen) -> None:
    assert seen.phase_of(".onExit") == "Succeeded", seen
    assert seen.phase_of(".onExit[0].seal") == "Succeeded"
    assert seen.phase_of(".onExit[1].cleanup") == "Succeeded"
    assert len(seen.outputs["evidence_bundle"]) == 64


@pytest.mark.scenario("somebody_stops_it")
def test_the_exit_hook_seals_and_cleans_up_after_a_stop(seen: Seen) -> None:
    assert seen.phase == "Failed", seen
    assert seen.phase_of(".onExit[0].seal") == "Succeeded", seen
    assert seen.phase_of(".onExit[1].cleanup") == "Succeeded", seen
    assert seen.notes["request"]["status"]["phase"] == "Cancelled", seen
    assert seen.notes["work"]["status"]["phase"] == "Failed"


@pytest.mark.scenario("newer_run_comes")
def test_a_newer_run_of_a_subject_stops_the_older_and_goes_on_behind_its_lock(seen: Seen) -> None:
    assert seen.phase == "Failed", seen
    newer = seen.notes["newer"]
    assert seen.run["spec"]["shutdown"] == "Stop"
    assert seen.run["metadata"]["annotations"]["pressplay.dev/superseded-by"] == newer
    assert seen.outputs["decision"] == "superseded"
    assert newer in seen.outputs["reason"]
    begun = seen.notes["begun"]
    assert begun["metadata"]["name"] == newer
    assert begun["status"]["phase"] == "Running"


@pytest.mark.scenario("controller_dies")
def test_a_run_goes_on_to_its_end_when_the_controller_is_killed_in_the_middle(seen: Seen) -> None:
    assert set(seen.notes["before"]).isdisjoint(seen.notes["after"])
    assert seen.phase == "Succeeded", seen
    assert seen.outputs["verdict"] == "pass"


def test_every_scenario_that_a_test_names_exists(request: pytest.FixtureRequest) -> None:
    looked = {
        marker.args[0]
        for item in request.session.items
        if (marker := item.get_closest_marker("scenario"))
    }
    known = {each.__name__ for each in scenarios.ALL}
    assert looked <= known
