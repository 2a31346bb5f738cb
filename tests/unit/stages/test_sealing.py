"""seal: the proof of a run, green or red, as one signed bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.evidence import verifying
from pressplay.evidence.judging import Verdict
from pressplay.evidence.signing import SigningKey
from pressplay.stages import sealing
from pressplay.stages.environment import Ending, StageEnvironment

SHA = "a" * 40
NOW = "2026-01-02T03:04:05Z"


class Scene:
    """A run with a signing key and, if wanted, evidence."""

    def __init__(self, make_env: Any, cluster: Any, folder: Path) -> None:
        self.cluster = cluster
        self.key = SigningKey.generate()
        settings = cluster.root(folder, "sealer")
        self.env: StageEnvironment = make_env(settings=settings, RUN="run-1", STATUS="Failed")
        self.env.signing_key_dir.mkdir()
        (self.env.signing_key_dir / "private-key").write_bytes(self.key.private_pem())

    def submit(self, decision: str) -> None:
        look = {
            "decision": decision,
            "owner": "acme",
            "repo": "todo",
            "subject": "issue-3",
            "base-sha": "b" * 40,
        }
        parameters = [{"name": name, "value": value} for name, value in look.items()]
        preflight = {
            "displayName": "preflight",
            "templateName": "preflight",
            "type": "Pod",
            "phase": "Succeeded",
            "finishedAt": NOW,
            "outputs": {"parameters": parameters},
        }
        acceptance = {
            "displayName": "acceptance",
            "templateName": "acceptance",
            "type": "Pod",
            "phase": "Failed",
            "message": "main: Error (exit code 1)",
            "finishedAt": NOW,
        }
        outputs = [{"name": "pr", "value": "7"}, {"name": "head_sha", "value": SHA}]
        self.cluster.operator.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "metadata": {"name": "run-1", "namespace": "agents"},
                "spec": {"workflowTemplateRef": {"name": "implementation-dag"}},
                "status": {
                    "phase": "Running",
                    "nodes": {"1": preflight, "2": acceptance},
                    "outputs": {"parameters": outputs},
                },
            }
        )

    def put(self, **files: str) -> None:
        for path, content in files.items():
            file = self.env.inputs / "evidence" / path.replace("__", "/").replace("_json", ".json")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    @property
    def bundle(self) -> Path:
        return self.env.artifacts / "bundle"


@pytest.fixture
def scene(make_env: Any, cluster: Any, tmp_path: Path) -> Scene:
    return Scene(make_env, cluster, tmp_path)


def test_a_red_run_is_sealed_with_the_facts_of_its_workflow(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c", deploy__urls_json="{}")
    assert sealing.run(scene.env).ending is Ending.PASS
    index = json.loads((scene.bundle / "index.json").read_text())
    assert (index["run"], index["subject"], index["repository"], index["headSha"]) == (
        "run-1",
        "issue-3",
        "acme/todo",
        SHA,
    )
    (blob,) = (each for each in index["blobs"] if each["path"] == "run.json")
    record = json.loads((scene.bundle / "blobs/sha256" / blob["sha256"]).read_text())
    assert record["status"] == "Failed"
    assert record["failures"] == [
        {
            "name": "acceptance",
            "template": "acceptance",
            "message": "main: Error (exit code 1)",
        }
    ]


def test_the_bundle_verifies_under_the_key_and_claims_no_pass(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c")
    sealing.run(scene.env)
    found = verifying.verify(scene.bundle, public_key=scene.key.public.pem.encode())
    assert found.valid, found.findings
    assert found.verdict is not Verdict.PASS


def test_what_became_of_the_run_is_said_again(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c")
    sealing.run(scene.env)
    assert (scene.env.out / "run-decision").read_text() == "proceed"
    assert (scene.env.out / "run-reason").read_text() == ""


def test_a_run_that_a_newer_one_stopped_is_sealed_as_superseded(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c")
    mark = {"metadata": {"annotations": {"pressplay.dev/superseded-by": "run-2"}}}
    scene.cluster.operator.patch("Workflow", "agents", "run-1", mark)
    sealing.run(scene.env)
    assert (scene.env.out / "run-decision").read_text() == "superseded"
    assert "run-2 goes on instead" in (scene.env.out / "run-reason").read_text()
    assert (scene.bundle / "index.json").is_file()


def test_the_output_is_the_digest_of_the_index(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c")
    sealing.run(scene.env)
    assert len((scene.env.out / "bundle").read_text()) == 64


def test_a_try_that_was_killed_does_not_stand_in_the_way(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c")
    (scene.bundle / "blobs").mkdir(parents=True)
    (scene.bundle / "blobs" / "half").write_text("x")
    sealing.run(scene.env)
    assert not (scene.bundle / "blobs" / "half").exists()


@pytest.mark.parametrize("decision", ["covered", "refused", "superseded"])
def test_a_run_that_never_began_leaves_no_bundle(scene: Scene, decision: str) -> None:
    scene.submit(decision)
    scene.put(policy_json="{}")
    assert sealing.run(scene.env).ending is Ending.PASS
    assert not scene.bundle.exists()
    assert not (scene.env.out / "bundle").exists()


def test_a_run_without_any_evidence_leaves_no_bundle(scene: Scene) -> None:
    scene.submit("proceed")
    assert sealing.run(scene.env).ending is Ending.PASS
    assert not scene.bundle.exists()


def test_a_secret_in_the_evidence_does_not_reach_the_bundle(scene: Scene) -> None:
    token = "ghs_" + "a" * 36
    scene.submit("proceed")
    scene.put(rex__commit=f"pushed with {token}")
    sealing.run(scene.env)
    for file in scene.bundle.rglob("*"):
        if file.is_file():
            assert token not in file.read_text()


def test_without_a_key_it_says_which_secret_is_missing(scene: Scene) -> None:
    scene.submit("proceed")
    scene.put(rex__commit="c")
    (scene.env.signing_key_dir / "private-key").unlink()
    with pytest.raises(Refused, match="evidence-signing"):
        sealing.run(scene.env)
