"""preflight, against a real forge and a real API server, with the account's rights and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pressplay.api import names
from pressplay.base.errors import Refused, Unavailable
from pressplay.stages import preflight
from pressplay.stages.environment import Ending, StageEnvironment

POLICY = "version: 1\nlanguage: python\n"


class Scene:
    """One repository, one cluster, and the preflight of runs about them."""

    def __init__(self, make_env: Any, repository: Any, cluster: Any, folder: Path) -> None:
        self.repository = repository
        self.cluster = cluster
        self.operator = repository.forge.operator
        self._make_env = make_env
        self._folder = folder
        self.owner, self.name = repository.owner, repository.name

    def run(
        self, name: str, *, template: str = "implementation-dag", **metadata: Any
    ) -> dict[str, Any]:
        """Submit a run, as whoever submits it would."""
        made: dict[str, Any] = self.cluster.operator.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "metadata": {"name": name, "namespace": "agents", **metadata},
                "spec": {"workflowTemplateRef": {"name": template}},
            }
        )
        return made

    def finish(self, name: str, phase: str) -> None:
        self.cluster.operator.patch("Workflow", "agents", name, {"status": {"phase": phase}})

    def workflow(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.operator.get("Workflow", "agents", name)
        return found

    def env(self, name: str, *, settings: Any = None, **given: str) -> StageEnvironment:
        folder = self._folder / f"{name}-{given.get('LOOK', 'first')}"
        token = self.repository.forge.token(
            "rex",
            self.repository,
            **dict.fromkeys(("contents", "issues", "pull_requests", "checks", "metadata"), "read"),
        )
        made: StageEnvironment = self._make_env(
            settings={
                **self.repository.forge.settings,
                **self.cluster.root(folder, "preflight"),
                "PRESSPLAY_OUT": str(folder / "out"),
                "PRESSPLAY_ARTIFACTS": str(folder / "artifacts"),
                **(settings or {}),
            },
            **({"RUN": name, "OWNER": self.owner, "REPO": self.name} | given),
        )
        made.token_file.parent.mkdir(parents=True, exist_ok=True)
        made.token_file.write_text(token.reveal())
        return made

    def decide(self, name: str, *, settings: Any = None, **given: str) -> tuple[str, str]:
        """The decision and the reason of one look."""
        env = self.env(name, settings=settings, **given)
        outcome = preflight.run(env)
        assert outcome.ending is Ending.PASS
        return (env.out / "decision").read_text(), outcome.reason

    def issue(self, author: str = "", title: str = "Add a list") -> str:
        made = self.operator.open_issue(self.owner, self.name, title=title, speaking_for=author)
        return str(made.number)

    def pull(self, branch: str = "feature/x") -> tuple[str, str]:
        """An open pull request of Rex's; its number and head."""
        sha = self.repository.commit(branch, {f"{branch}.txt": "x\n"})
        with self.repository.client("rex") as rex:
            made = rex.open_pull(
                self.owner, self.name, head=branch, base="main", title="Add x", body=""
            )
        return str(made.number), sha

    def approve(self, sha: str, *, app: str = "qa-approver", conclusion: str = "success") -> None:
        with self.repository.client(app) as client:
            client.add_check_run(
                self.owner,
                self.name,
                name="pressplay/verdict",
                sha=sha,
                status="completed",
                conclusion=conclusion,
                external_id="earlier-run",
                title="t",
                summary="s",
            )


@pytest.fixture
def scene(make_env: Any, repository: Any, cluster: Any, tmp_path: Path) -> Scene:
    # An app whose start nobody need write down.
    repository.commit("main", {"app.py": 'import os\n\nPORT = os.environ["PORT"]\n'})
    return Scene(make_env, repository, cluster, tmp_path)


def test_a_trusted_persons_issue_proceeds(scene: Scene) -> None:
    sha = scene.repository.commit("main", {".pressplay.yaml": POLICY})
    issue = scene.issue()
    scene.run("run-1")
    env = scene.env("run-1", ISSUE=issue)
    assert preflight.run(env).reason == ""
    found = {file.name: file.read_text() for file in env.out.iterdir()}
    assert found == {
        "decision": "proceed",
        "owner": scene.owner,
        "repo": scene.name,
        "subject": f"issue-{issue}",
        "base": "main",
        "base-sha": sha,
        "ref": "",
        "sha": "",
    }
    record = json.loads((env.artifacts / "policy.json").read_text())
    assert record["source"] == f".pressplay.yaml@{sha}"
    assert record["policy"]["language"] == "python"


def test_a_run_marks_itself_with_what_it_is_about(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.run("run-1", labels={"app": "mine"})
    scene.decide("run-1", PR=pr, SHA=sha)
    metadata = scene.workflow("run-1")["metadata"]
    assert metadata["labels"] == {
        "app": "mine",
        "pressplay.dev/repo": names.repo_hash(scene.owner, scene.name),
        "pressplay.dev/subject": f"pr-{pr}",
        "pressplay.dev/pr": pr,
        "pressplay.dev/head": sha,
    }
    assert metadata["annotations"]["pressplay.dev/admitted"] == "true"


def test_without_a_policy_the_defaults_hold_and_a_warning_is_logged(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    issue = scene.issue()
    scene.run("run-1")
    env = scene.env("run-1", ISSUE=issue)
    preflight.run(env)
    record = json.loads((env.artifacts / "policy.json").read_text())
    assert record["source"] == "default"
    assert record["policy"]["preview"]["process"]["command"] == ["python3", "app.py"]
    said = capsys.readouterr().out
    assert "policy_missing" in said
    assert 'start_command found="python3 app.py"' in said


def test_a_library_is_refused_before_any_agent_works(scene: Scene) -> None:
    scene.repository.commit(
        "main", {"app.py": "print('no server')\n", "Cargo.toml": '[package]\nname = "bits"\n'}
    )
    issue = scene.issue()
    scene.run("run-1")
    env = scene.env("run-1", ISSUE=issue)
    with pytest.raises(Refused, match=r"preview.process.command.*\[cargo, build, --release\]"):
        preflight.run(env)
    assert not (env.out / "decision").exists()


def test_a_load_that_could_never_pass_is_refused_before_any_agent_works(scene: Scene) -> None:
    few = "version: 1\nacceptance: {load: {samples: 20}}\n"
    scene.repository.commit("main", {".pressplay.yaml": few})
    issue = scene.issue()
    scene.run("run-1")
    with pytest.raises(Refused, match="flawless app needs"):
        scene.decide("run-1", ISSUE=issue)


def test_a_pull_requests_policy_is_read_from_its_base(scene: Scene) -> None:
    sha = scene.repository.commit("main", {".pressplay.yaml": POLICY})
    branch = "feature/soft"
    soft = "version: 1\nlanguage: rust\nacceptance: {thresholds: {min_success_pct: 0.1}}\n"
    head = scene.repository.commit(branch, {".pressplay.yaml": soft})
    with scene.repository.client("rex") as rex:
        pull = rex.open_pull(scene.owner, scene.name, head=branch, base="main", title="t", body="")
    scene.run("run-1")
    env = scene.env("run-1", PR=str(pull.number), SHA=head)
    preflight.run(env)
    record = json.loads((env.artifacts / "policy.json").read_text())
    assert record["baseSha"] == sha
    assert record["policy"]["language"] == "python"


def test_a_policy_that_is_wrong_ends_the_run_and_names_the_key(scene: Scene) -> None:
    scene.repository.commit("main", {".pressplay.yaml": "version: 1\nlangage: rust\n"})
    issue = scene.issue()
    scene.run("run-1")
    with pytest.raises(Refused, match="language"):
        scene.decide("run-1", ISSUE=issue)


def test_a_strangers_issue_is_refused_with_the_reason(scene: Scene) -> None:
    issue = scene.issue("stranger")
    scene.run("run-1")
    env = scene.env("run-1", ISSUE=issue)
    reason = preflight.run(env).reason
    assert (env.out / "decision").read_text() == "refused"
    assert reason.startswith("stranger has no write permission")
    assert not (env.artifacts / "policy.json").exists()
    assert "annotations" not in scene.workflow("run-1")["metadata"]


def test_a_trusted_persons_label_lets_it_in(scene: Scene) -> None:
    issue = scene.issue("stranger")
    scene.run("run-1")
    event = {
        "action": "labeled",
        "label": {"name": "pressplay"},
        "sender": {"login": "operator"},
        "issue": {"number": int(issue)},
    }
    assert scene.decide("run-1", ISSUE=issue, EVENT=json.dumps(event)) == ("proceed", "")


def test_a_trusted_persons_comment_lets_it_in(scene: Scene) -> None:
    issue = scene.issue("stranger")
    comment = scene.operator.comment(scene.owner, scene.name, int(issue), body="/rex do it")
    scene.run("run-1")
    given = {"ISSUE": issue, "COMMENT_ID": str(comment.id)}
    assert scene.decide("run-1", **given) == ("proceed", "")


def test_a_strangers_comment_does_not(scene: Scene) -> None:
    issue = scene.issue()
    comment = scene.operator.comment(
        scene.owner, scene.name, int(issue), body="/rex", speaking_for="stranger"
    )
    scene.run("run-1")
    decision, reason = scene.decide("run-1", ISSUE=issue, COMMENT_ID=str(comment.id))
    assert decision == "refused"
    assert "stranger has no write permission" in reason


def test_a_pull_request_of_one_of_our_apps_proceeds(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.run("run-1")
    assert scene.decide("run-1", PR=pr, SHA=sha) == ("proceed", "")


def test_a_run_about_an_older_head_is_superseded(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.repository.commit("feature/x", {"more.txt": "y\n"})
    scene.run("run-1")
    decision, reason = scene.decide("run-1", PR=pr, SHA=sha)
    assert decision == "superseded"
    assert f"Head {sha[:10]} is no longer the head of pr-{pr}" in reason


def test_a_closed_pull_request_is_refused(scene: Scene) -> None:
    pr, _ = scene.pull()
    scene.operator.set_pull_state(scene.owner, scene.name, int(pr), state="closed")
    scene.run("run-1")
    decision, reason = scene.decide("run-1", PR=pr)
    assert (decision, reason) == (
        "refused",
        f"Pull request #{pr} is closed; there is nothing to do",
    )


def test_a_draft_is_refused_until_it_is_ready(scene: Scene) -> None:
    scene.repository.commit("feature/x", {"x.txt": "x\n"})
    pull = scene.operator.open_pull(
        scene.owner, scene.name, head="feature/x", base="main", title="Add x", draft=True
    )
    scene.run("run-1", template="pr-validation")
    decision, reason = scene.decide("run-1", PR=str(pull.number))
    assert decision == "refused"
    assert f"Pull request #{pull.number} is a draft; mark it ready for review" in reason


def test_a_branch_name_that_is_not_plain_goes_no_further(scene: Scene) -> None:
    pr, _ = scene.pull("feature/x+y")
    scene.run("run-1")
    env = scene.env("run-1", PR=pr)
    assert "comes from a branch whose name is not plain" in preflight.run(env).reason
    assert (env.out / "ref").read_text() == ""


def test_a_pull_requests_head_is_handed_on_as_it_was_looked_at(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.run("run-1", template="pr-validation")
    env = scene.env("run-1", PR=pr)
    preflight.run(env)
    assert (env.out / "ref").read_text() == "feature/x"
    assert (env.out / "sha").read_text() == sha


def test_a_pull_request_given_as_an_issue_is_refused(scene: Scene) -> None:
    pr, _ = scene.pull()
    scene.run("run-1")
    with pytest.raises(Refused, match="give it as parameter pr"):
        scene.decide("run-1", ISSUE=pr)


def test_a_head_with_a_valid_result_is_covered(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.approve(sha)
    scene.run("run-1")
    decision, reason = scene.decide("run-1", PR=pr, SHA=sha)
    assert (decision, reason) == ("covered", f"Head {sha[:10]} already has a valid result")


def test_an_issue_is_covered_by_its_own_pull_requests_result(scene: Scene) -> None:
    issue = scene.issue()
    pr, sha = scene.pull(names.run_branch(f"issue-{issue}"))
    scene.approve(sha)
    scene.run("run-1")
    decision, reason = scene.decide("run-1", ISSUE=issue)
    assert decision == "covered"
    assert f"Pull request #{pr}" in reason


def test_a_person_who_asks_for_a_repeat_gets_it(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.approve(sha)
    comment = scene.operator.comment(scene.owner, scene.name, int(pr), body="/retest")
    scene.run("run-1")
    given = {"PR": pr, "COMMENT_ID": str(comment.id)}
    assert scene.decide("run-1", **given) == ("proceed", "")


def test_a_failed_result_covers_nothing(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.approve(sha, conclusion="failure")
    scene.run("run-1")
    assert scene.decide("run-1", PR=pr, SHA=sha)[0] == "proceed"


def test_another_apps_check_run_of_that_name_covers_nothing(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.approve(sha)
    scene.run("run-1")
    settings = {"PRESSPLAY_APPROVER_APP": "somebody-else"}
    assert scene.decide("run-1", settings=settings, PR=pr, SHA=sha)[0] == "proceed"


def test_an_older_run_of_the_same_issue_is_stopped(scene: Scene) -> None:
    issue = scene.issue()
    scene.run("run-1")
    scene.run("run-2")
    assert scene.decide("run-1", ISSUE=issue)[0] == "proceed"
    assert scene.decide("run-2", ISSUE=issue)[0] == "proceed"
    old = scene.workflow("run-1")
    assert old["spec"]["shutdown"] == "Stop"
    assert old["metadata"]["annotations"]["pressplay.dev/superseded-by"] == "run-2"
    decision, reason = scene.decide("run-1", ISSUE=issue, LOOK="locked")
    assert (decision, reason) == ("superseded", "The newer run run-2 goes on instead")


def test_behind_the_lock_nobody_is_stopped(scene: Scene) -> None:
    issue = scene.issue()
    scene.run("run-1")
    scene.run("run-2")
    scene.decide("run-1", ISSUE=issue)
    assert scene.decide("run-2", ISSUE=issue, LOOK="locked")[0] == "proceed"
    assert "shutdown" not in scene.workflow("run-1")["spec"]


def test_a_strangers_run_stops_nobody(scene: Scene) -> None:
    issue = scene.issue()
    comment = scene.operator.comment(
        scene.owner, scene.name, int(issue), body="/rex", speaking_for="stranger"
    )
    scene.run("run-1")
    scene.run("run-2")
    scene.decide("run-1", ISSUE=issue)
    assert scene.decide("run-2", ISSUE=issue, COMMENT_ID=str(comment.id))[0] == "refused"
    assert "shutdown" not in scene.workflow("run-1")["spec"]
    assert scene.decide("run-1", ISSUE=issue, LOOK="locked")[0] == "proceed"


def test_a_second_run_on_the_same_head_is_covered(scene: Scene) -> None:
    pr, sha = scene.pull()
    scene.run("run-1")
    scene.run("run-2", template="pr-validation")
    scene.decide("run-1", PR=pr, SHA=sha)
    decision, reason = scene.decide("run-2", PR=pr, SHA=sha)
    assert (decision, reason) == ("covered", "Run run-1 is already at work on this head")


def test_the_run_that_made_the_pull_request_covers_its_validation(scene: Scene) -> None:
    issue = scene.issue()
    scene.run("run-1")
    scene.decide("run-1", ISSUE=issue)
    pr, sha = scene.pull(names.run_branch(f"issue-{issue}"))
    known = {"labels": {"pressplay.dev/pr": pr, "pressplay.dev/head": sha}}
    scene.cluster.operator.patch("Workflow", "agents", "run-1", {"metadata": known})
    scene.run("run-2", template="pr-validation")
    assert scene.decide("run-2", PR=pr, SHA=sha)[0] == "covered"


def test_after_three_failures_a_person_is_asked(scene: Scene) -> None:
    issue = scene.issue()
    for number in range(3):
        scene.run(f"run-{number}")
        assert scene.decide(f"run-{number}", ISSUE=issue)[0] == "proceed"
        scene.finish(f"run-{number}", "Failed")
    event = json.dumps({"action": "edited", "sender": {"login": "operator"}})
    scene.run("run-3")
    decision, reason = scene.decide("run-3", ISSUE=issue, EVENT=event)
    assert decision == "refused"
    assert "3 runs for issue-" in reason
    assert "a person must look, and may comment `/retest`" in reason
    comment = scene.operator.comment(scene.owner, scene.name, int(issue), body="/retest")
    scene.run("run-4")
    decided = scene.decide("run-4", ISSUE=issue, COMMENT_ID=str(comment.id), EVENT=event)
    assert decided[0] == "proceed"


def test_a_person_who_presses_play_again_and_again_is_not_asked_to_look(scene: Scene) -> None:
    issue = scene.issue()
    for number in range(5):
        scene.run(f"run-{number}")
        assert scene.decide(f"run-{number}", ISSUE=issue) == ("proceed", "")
        scene.finish(f"run-{number}", "Failed")


def test_a_task_is_about_the_head_of_the_default_branch(scene: Scene) -> None:
    sha = scene.repository.git("rev-parse", "main")
    scene.run("run-1")
    env = scene.env("run-1", TASK_ID="15.3")
    preflight.run(env)
    assert (env.out / "subject").read_text() == f"sha-{sha[:10]}"


def test_an_unprotected_default_branch_is_refused_with_the_remedy(scene: Scene) -> None:
    issue = scene.issue()
    scene.operator.set_protection(scene.owner, scene.name, "main", enabled=False)
    scene.run("run-1")
    with pytest.raises(Refused, match=r"not protected.*PRESSPLAY_ALLOW_UNPROTECTED=true"):
        scene.decide("run-1", ISSUE=issue)
    settings = {"PRESSPLAY_ALLOW_UNPROTECTED": "true"}
    assert scene.decide("run-1", settings=settings, ISSUE=issue)[0] == "proceed"


def test_several_repositories_need_names_that_keep_apart(scene: Scene) -> None:
    listed = {"PRESSPLAY_ALLOWED_REPOSITORIES": f"{scene.owner}/{scene.name},acme/other"}
    issue = scene.issue()
    scene.run("run-1")
    with pytest.raises(Refused, match="repo-pr"):
        scene.decide("run-1", settings=listed, ISSUE=issue)
    apart = listed | {"PRESSPLAY_NAMING": "repo-pr"}
    assert scene.decide("run-1", settings=apart, ISSUE=issue)[0] == "proceed"


def test_a_run_without_its_workflow_is_refused(scene: Scene) -> None:
    with pytest.raises(Refused, match="Workflow run-1 is not in namespace agents"):
        scene.decide("run-1", ISSUE=scene.issue())


def test_a_subject_that_nothing_stands_behind_is_refused(scene: Scene) -> None:
    scene.run("run-1")
    with pytest.raises(Refused, match="parameter issue is empty"):
        scene.decide("run-1", SUBJECT="issue-7")


def test_an_api_server_that_does_not_answer_can_be_tried_again(scene: Scene) -> None:
    issue = scene.issue()
    settings = {"PRESSPLAY_KUBE_URL": "http://127.0.0.1:9"}
    with pytest.raises(Unavailable):
        scene.decide("run-1", settings=settings, ISSUE=issue)
