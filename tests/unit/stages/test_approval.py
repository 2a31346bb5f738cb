"""approve, against a real forge: what is posted, when, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pressplay.api.forge import CheckRun, Pull, Review
from pressplay.api.policy import Acceptance, Load, Policy, Record, Thresholds
from pressplay.base.errors import Refused, Unavailable
from pressplay.evidence import judging, reports, samples
from pressplay.evidence.judging import Verdict
from pressplay.evidence.samples import Sample
from pressplay.evidence.targets import Address, Urls
from pressplay.forge.client import Forge
from pressplay.stages import approval, runfacts
from pressplay.stages.environment import Ending

NOW = "2026-01-02T03:04:05Z"
ACCEPTANCE = Acceptance(
    load=Load(samples=35),
    thresholds=Thresholds(min_success_pct=0.5, confidence=0.8),
    looks=(1.0,),
)
POLICY = json.dumps(
    {
        "version": 1,
        "acceptance": {
            "load": {"samples": 35},
            "thresholds": {"min_success_pct": 0.5, "confidence": 0.8},
            "looks": [1.0],
        },
    }
)


def evidence(record: Record, sha: str, *, status: int = 200, count: int = 35) -> dict[str, bytes]:
    """The whole evidence of a run whose preview always answered with `status`."""
    host = "pr-7.preview.localhost"
    urls = Urls(
        hosts=(host,),
        ns="impl-pr-7",
        release="todo-pr-7",
        endpoints=(Address(host, path="/", url=f"http://{host}/", connect="127.0.0.1:30001"),),
        deployer="process",
        sha=sha,
    )
    taken = [
        Sample(
            endpoint="GET /",
            host=host,
            path="/",
            method="GET",
            look=1,
            n=n,
            started_ms=50.0 * n,
            latency_ms=20.0,
            status=status,
            ok=status == 200,
            error="" if status == 200 else "status",
        )
        for n in range(1, count + 1)
    ]
    judged = judging.judge(taken, acceptance=record.policy.acceptance, urls=urls)
    files: dict[str, Any] = {
        "policy.json": record.to_json(),
        "clippy/report.json": {
            "language": "rust",
            "tools": ["rustfmt"],
            "fmtStatus": "pass",
            "lintStatus": "pass",
            "warningsCount": 0,
            "changedFiles": [],
            "timestamp": NOW,
        },
        "qa/summary.json": {
            "version": 1,
            "pr": {"owner": "acme", "repo": "todo", "number": 7, "headSha": sha},
            "qa": {"passed": True, "startedAt": NOW, "finishedAt": NOW},
        },
        "qa/proof/index.json": {"files": []},
        "deploy/urls.json": urls.to_json(),
        "acceptance/report.json": reports.report(judged, urls=urls, timestamp=NOW),
    }
    tree = {path: json.dumps(content).encode() for path, content in files.items()}
    return tree | {"acceptance/samples.jsonl": samples.write(taken).encode()}


def workflow(owner: str, repo: str, *, pr: int, sha: str, base_sha: str) -> dict[str, Any]:
    look = {
        "decision": "proceed",
        "owner": owner,
        "repo": repo,
        "subject": "issue-3",
        "base-sha": base_sha,
    }
    node = {
        "templateName": "preflight",
        "phase": "Succeeded",
        "finishedAt": NOW,
        "outputs": {"parameters": [{"name": n, "value": v} for n, v in look.items()]},
    }
    known = {"pr": str(pr), "head_sha": sha}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "run-1", "namespace": "agents"},
        "spec": {"workflowTemplateRef": {"name": "implementation-dag"}},
        "status": {
            "phase": "Running",
            "nodes": {"1": node},
            "outputs": {"parameters": [{"name": n, "value": v} for n, v in known.items()]},
        },
    }


@dataclass
class Scene:
    """A pull request of Rex's that came through every gate."""

    repository: Any
    number: int
    sha: str
    workflow: dict[str, Any]
    record: Record
    tree: dict[str, bytes]

    def give(self, forge: Forge | None = None, **change: Any) -> approval.Answer:
        facts = replace(runfacts.of_workflow(self.workflow), **change)
        if forge is not None:
            return approval.give(forge, facts=facts, tree=self.tree, approver="qa-approver")
        with self.repository.client("qa-approver") as client:
            return approval.give(client, facts=facts, tree=self.tree, approver="qa-approver")

    def checks(self) -> list[CheckRun]:
        with self.repository.client("qa-approver") as forge:
            found = forge.check_runs(self.repository.owner, self.repository.name, self.sha)
            return list(found)

    def reviews(self) -> list[Review]:
        with self.repository.client("qa-approver") as forge:
            found = forge.reviews(self.repository.owner, self.repository.name, self.number)
            return list(found)

    def posted(self) -> tuple[list[str], list[str]]:
        """Conclusions of the check runs, states of the reviews."""
        return [each.conclusion for each in self.checks()], [each.state for each in self.reviews()]


@pytest.fixture
def scene(repository: Any) -> Scene:
    base_sha = repository.commit("main", {".pressplay.yaml": POLICY}, push=False)
    sha = repository.commit("pressplay/issue-3", {"app.py": "print(1)\n"}, push=False)
    repository.push("main", "pressplay/issue-3")
    with repository.client("rex") as rex:
        pull = rex.open_pull(
            repository.owner,
            repository.name,
            head="pressplay/issue-3",
            base="main",
            title="Add an app",
            body="",
        )
    source = f".pressplay.yaml@{base_sha}"
    record = Record(Policy(acceptance=ACCEPTANCE, source=source), base_sha)
    return Scene(
        repository=repository,
        number=pull.number,
        sha=sha,
        workflow=workflow(
            repository.owner, repository.name, pr=pull.number, sha=sha, base_sha=base_sha
        ),
        record=record,
        tree=evidence(record, sha),
    )


def test_a_pass_is_approved_by_one_check_run_and_one_review_of_that_head(scene: Scene) -> None:
    answer = scene.give()
    assert answer.outcome().ending is Ending.PASS
    (check,), (review,) = scene.checks(), scene.reviews()
    assert (check.name, check.conclusion, check.external_id) == (
        "pressplay/verdict",
        "success",
        "run-1",
    )
    assert (review.state, review.commit_id, review.author) == (
        "APPROVED",
        scene.sha,
        "qa-approver[bot]",
    )
    assert f"<!-- pressplay run=run-1 head={scene.sha} -->" in review.body


def test_giving_it_again_posts_nothing_more(scene: Scene) -> None:
    first, second = scene.give(), scene.give()
    assert first.review is not None
    assert second.review is not None
    assert second.review.id == first.review.id
    assert scene.posted() == (["success"], ["APPROVED"])


def test_a_second_run_on_the_same_head_speaks_for_itself(scene: Scene) -> None:
    scene.give()
    scene.give(name="run-2")
    assert len(scene.reviews()) == 2


@pytest.mark.parametrize(
    ("status", "count", "verdict", "conclusion", "ending"),
    [
        (500, 35, Verdict.FAIL, "failure", Ending.FAIL),
        (200, 20, Verdict.INCONCLUSIVE, "neutral", Ending.INCONCLUSIVE),
    ],
)
def test_no_pass_is_told_by_the_check_run_and_never_approved(
    scene: Scene, status: int, count: int, verdict: Verdict, conclusion: str, ending: Ending
) -> None:
    scene.tree = evidence(scene.record, scene.sha, status=status, count=count)
    answer = scene.give()
    assert answer.verdict is verdict
    assert answer.outcome().ending is ending
    assert f"The verdict is {verdict.value}" in answer.outcome().reason
    assert scene.posted() == ([conclusion], [])


def test_a_report_that_claims_more_than_the_samples_say_is_a_fail(scene: Scene) -> None:
    bad = evidence(scene.record, scene.sha, status=500)
    scene.tree["acceptance/samples.jsonl"] = bad["acceptance/samples.jsonl"]
    assert scene.give().verdict is Verdict.FAIL
    assert scene.posted() == (["failure"], [])


def test_evidence_about_another_head_is_a_fail(scene: Scene) -> None:
    scene.tree = evidence(scene.record, "f" * 40)
    assert scene.give().verdict is Verdict.FAIL
    assert scene.reviews() == []


def test_missing_evidence_is_no_approval(scene: Scene) -> None:
    del scene.tree["qa/summary.json"]
    assert scene.give().verdict is Verdict.INCONCLUSIVE
    assert scene.reviews() == []


def test_a_head_that_moved_gets_neither(scene: Scene) -> None:
    newer = scene.repository.commit("pressplay/issue-3", {"more.py": "print(2)\n"})
    answer = scene.give()
    assert answer.outcome().ending is Ending.FAIL
    assert f"has moved on to {newer[:10]}" in answer.reason
    assert scene.posted() == ([], [])


def test_armed_auto_merge_withholds_both(scene: Scene) -> None:
    operator = scene.repository.forge.operator
    where = (scene.repository.owner, scene.repository.name, scene.number)
    operator.set_auto_merge(*where, enabled=True)
    assert "auto-merge armed" in scene.give().reason
    assert scene.posted() == ([], [])
    operator.set_auto_merge(*where, enabled=False)
    assert scene.give().approved


def test_a_closed_pull_request_gets_neither(scene: Scene) -> None:
    operator = scene.repository.forge.operator
    operator.set_pull_state(
        scene.repository.owner, scene.repository.name, scene.number, state="closed"
    )
    assert "is closed" in scene.give().reason
    assert scene.posted() == ([], [])


PULL = Pull(
    number=7,
    title="t",
    body="",
    author="rex[bot]",
    state="open",
    draft=False,
    merged=False,
    auto_merge=False,
    head_ref="x",
    head_sha="a" * 40,
    head_repo="acme/todo",
    base_ref="main",
    base_sha="b" * 40,
    html_url="u",
)


@pytest.mark.parametrize(
    ("pull", "told"),
    [
        (PULL, ""),
        (replace(PULL, draft=True), "is a draft"),
        (replace(PULL, merged=True, state="closed"), "is merged"),
        (replace(PULL, author="qa-approver[bot]"), "the approver's own"),
        (replace(PULL, head_sha="c" * 40), "has moved on"),
        (replace(PULL, auto_merge=True), "auto-merge"),
    ],
)
def test_what_withholds_an_approval(pull: Pull, told: str) -> None:
    reason = approval.withheld(pull, head_sha="a" * 40, approver="qa-approver")
    assert told in reason
    assert bool(told) == bool(reason)


def test_a_policy_that_is_not_the_base_branchs_is_refused(scene: Scene) -> None:
    soft = replace(
        scene.record, policy=replace(scene.record.policy, acceptance=Acceptance(looks=(1.0,)))
    )
    scene.tree = evidence(soft, scene.sha)
    with pytest.raises(Refused, match=r"not what \.pressplay\.yaml says"):
        scene.give()
    assert scene.posted() == ([], [])


def test_a_policy_of_another_commit_is_refused(scene: Scene) -> None:
    other = replace(scene.record, base_sha=scene.sha)
    scene.tree = evidence(other, scene.sha)
    with pytest.raises(Refused, match="but preflight read"):
        scene.give()
    assert scene.posted() == ([], [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"decision": "covered"}, "not let in"),
        ({"superseded_by": "run-2"}, "gave way to run-2"),
        ({"base_sha": ""}, "does not say its sha"),
        ({"owner": ""}, "does not say its owner"),
        ({"outputs": {}}, "does not say its pr"),
        ({"outputs": {"pr": "1;2", "head_sha": "a" * 40}}, "Parameter pr"),
    ],
)
def test_a_run_that_does_not_say_what_it_is_about_is_refused(
    change: dict[str, Any], told: str
) -> None:
    facts = runfacts.of_workflow(workflow("acme", "todo", pr=7, sha="a" * 40, base_sha="b" * 40))
    approval.check_facts(facts)
    with pytest.raises(Refused, match=told):
        approval.check_facts(replace(facts, **change))


def test_the_wrong_app_is_told_which_setting_to_mend(scene: Scene) -> None:
    facts = runfacts.of_workflow(scene.workflow)
    with (
        scene.repository.client("qa-approver") as forge,
        pytest.raises(Refused, match="set it to qa-approver"),
    ):
        approval.give(forge, facts=facts, tree=scene.tree, approver="other-app")
    assert scene.reviews() == []


class Dying(httpx2.BaseTransport):
    """Passes requests on and, after so many, is killed before the answer is seen."""

    def __init__(self, after: int) -> None:
        self._inner = httpx2.HTTPTransport()
        self._left = after

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        response.read()
        self._left -= 1
        if self._left < 0:
            response.close()
            raise KeyboardInterrupt
        return response

    def close(self) -> None:
        self._inner.close()


def dying(scene: Scene, after: int) -> Forge:
    token = scene.repository.forge.token("qa-approver", scene.repository)
    return Forge(api_url=scene.repository.forge.api_url, token=token, transport=Dying(after))


def test_killed_after_any_request_it_still_posts_exactly_once(scene: Scene) -> None:
    kills = 0
    while True:
        with dying(scene, kills) as forge:
            try:
                scene.give(forge)
            except KeyboardInterrupt:
                kills += 1
            else:
                break
    assert kills > 4
    assert scene.posted() == (["success"], ["APPROVED"])


def test_killed_late_and_then_ever_earlier_it_still_posts_exactly_once(scene: Scene) -> None:
    for after in (4, 3, 2, 1, 0):
        with dying(scene, after) as forge, pytest.raises(KeyboardInterrupt):
            scene.give(forge)
    scene.give()
    assert scene.posted() == (["success"], ["APPROVED"])


def test_the_stage_reads_everything_itself(
    scene: Scene, make_env: Any, cluster: Any, tmp_path: Path
) -> None:
    env = prepared(scene, make_env, cluster, tmp_path)
    assert approval.run(env).ending is Ending.PASS
    record = json.loads((env.artifacts / "approval/approval.json").read_text())
    assert record["approved"] is True
    assert record["headSha"] == scene.sha
    assert scene.posted() == (["success"], ["APPROVED"])


def test_the_stage_says_why_it_withholds(
    scene: Scene, make_env: Any, cluster: Any, tmp_path: Path
) -> None:
    env = prepared(scene, make_env, cluster, tmp_path)
    scene.repository.commit("pressplay/issue-3", {"more.py": "print(2)\n"})
    outcome = approval.run(env)
    assert outcome.ending is Ending.FAIL
    record = json.loads((env.artifacts / "approval/approval.json").read_text())
    assert (record["approved"], record["reason"]) == (False, outcome.reason)


def test_a_forge_that_does_not_answer_can_be_tried_again(
    scene: Scene, make_env: Any, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pressplay.forge.transport.FIRST_PAUSE_S", 0.0)
    settings = {"GITHUB_API_URL": "http://127.0.0.1:9/api/v3"}
    env = prepared(scene, make_env, cluster, tmp_path, settings=settings)
    with pytest.raises(Unavailable):
        approval.run(env)


def prepared(
    scene: Scene, make_env: Any, cluster: Any, folder: Path, *, settings: Any = None
) -> Any:
    cluster.operator.create(scene.workflow)
    env = make_env(
        settings={
            **scene.repository.forge.settings,
            **cluster.root(folder, "approver"),
            **(settings or {}),
        },
        RUN="run-1",
    )
    token = scene.repository.forge.token("qa-approver", scene.repository)
    env.token_file.parent.mkdir(parents=True)
    env.token_file.write_text(token.reveal())
    for path, content in scene.tree.items():
        (env.inputs / "evidence" / path).parent.mkdir(parents=True, exist_ok=True)
        (env.inputs / "evidence" / path).write_bytes(content)
    return env
