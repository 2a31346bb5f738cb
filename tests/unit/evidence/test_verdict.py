"""A run passes only where every gate's evidence is there and says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pressplay.evidence import samples, verdict
from pressplay.evidence.judging import Verdict

HEAD = "a" * 40


def judged(tree: dict[str, bytes], **options: Any) -> verdict.RunVerdict:
    return verdict.run_verdict(tree, **({"head_sha": HEAD} | options))


def texts(found: verdict.RunVerdict) -> list[str]:
    return [reason.text for reason in found.reasons]


def changed(tree: dict[str, bytes], path: str, *keys: str, value: object) -> dict[str, bytes]:
    document = json.loads(tree[path])
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return tree | {path: json.dumps(document).encode()}


def test_whole_and_green_evidence_passes(scene: Any) -> None:
    found = judged(scene.tree())
    assert found.verdict is Verdict.PASS
    assert found.reasons == ()
    assert found.judgement is not None
    assert set(found.gates().values()) == {Verdict.PASS}


@pytest.mark.parametrize("path", verdict.REQUIRED)
def test_a_missing_file_is_inconclusive(scene: Any, path: str) -> None:
    tree = scene.tree()
    del tree[path]
    found = judged(tree)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f"{path} is missing" in texts(found)


def test_no_evidence_at_all_is_inconclusive() -> None:
    found = judged({}, head_sha="")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the head commit is not known" in texts(found)


@pytest.mark.parametrize(
    ("path", "keys", "value", "text"),
    [
        ("clippy/report.json", ["fmtStatus"], "fail", "formatting: fail"),
        ("clippy/report.json", ["lintStatus"], "fail", "lint: fail"),
        ("qa/summary.json", ["qa", "passed"], False, "QA did not pass"),
        ("acceptance/report.json", ["verdict"], "fail", "does not say what the samples say"),
        ("acceptance/report.json", ["p95_ms"], 1, "does not say what the samples say: p95_ms"),
        ("acceptance/report.json", ["ns"], "other", "does not say what the samples say: ns"),
        ("acceptance/report.json", ["sha"], "c" * 40, "about commit cccccccccc"),
        ("deploy/urls.json", ["sha"], "c" * 40, "about commit cccccccccc"),
        ("deploy/urls.json", ["sha"], "short", "deploy/urls.json: urls: sha"),
        ("clippy/report.json", ["fmtStatus"], "ok", "clippy/report.json: clippy: fmtStatus"),
    ],
)
def test_evidence_that_says_no_or_contradicts_itself_fails(
    *, scene: Any, path: str, keys: list[str], value: object, text: str
) -> None:
    found = judged(changed(scene.tree(), path, *keys, value=value))
    assert found.verdict is Verdict.FAIL
    assert any(text in each for each in texts(found)), texts(found)


def test_skipped_lint_is_no_pass_but_no_fail(scene: Any) -> None:
    tree = changed(scene.tree(), "clippy/report.json", "lintStatus", value="skipped")
    assert judged(tree).verdict is Verdict.INCONCLUSIVE


def test_another_head_fails_even_where_everything_is_green(scene: Any) -> None:
    found = judged(scene.tree(), head_sha="c" * 40)
    assert found.verdict is Verdict.FAIL
    assert found.gates()["acceptance"] is Verdict.FAIL


def test_a_red_acceptance_fails_the_run_with_its_reason(scene: Any) -> None:
    found = judged(scene.tree(lambda _target, _n: (500, 1.0)))
    assert found.verdict is Verdict.FAIL
    assert any("0 of 50 requests succeeded" in each for each in texts(found))


def test_a_report_that_passes_over_samples_that_fail_is_caught(scene: Any) -> None:
    tree = scene.tree(lambda _target, _n: (500, 1.0))
    tree["acceptance/report.json"] = scene.tree()["acceptance/report.json"]
    found = judged(tree)
    assert found.verdict is Verdict.FAIL
    assert any("does not say what the samples say" in each for each in texts(found))


def test_a_policy_softened_after_the_fact_is_caught(scene: Any) -> None:
    tree = scene.tree(lambda _target, n: (500 if n % 20 == 0 else 200, 1.0))
    assert judged(tree).verdict is Verdict.INCONCLUSIVE
    softened = changed(
        tree, "policy.json", "policy", "acceptance", "thresholds", "min_success_pct", value=0.5
    )
    assert judged(softened).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("acceptance/samples.jsonl", b"{"),
        ("acceptance/samples.jsonl", b"\xff"),
        ("policy.json", b"[" * 5000),
        ("deploy/urls.json", b""),
        ("qa/summary.json", b"null"),
        ("approval/approval.json", b"{}"),
    ],
)
def test_files_that_cannot_be_read_fail_the_run(scene: Any, path: str, content: bytes) -> None:
    found = judged(scene.tree() | {path: content})
    assert found.verdict is Verdict.FAIL
    assert any(text.startswith(path) for text in texts(found))


def test_impossible_samples_fail_the_run(scene: Any) -> None:
    tree = scene.tree()
    taken = samples.read(tree["acceptance/samples.jsonl"])
    tree["acceptance/samples.jsonl"] = samples.write(taken[1:]).encode()
    found = judged(tree)
    assert found.verdict is Verdict.FAIL
    assert any("without gap" in each for each in texts(found))


def test_proof_that_is_gone_or_changed_fails_qa(scene: Any) -> None:
    tree = scene.tree()
    assert judged(tree | {"qa/proof/http.txt": b"other"}).gates()["qa"] is Verdict.FAIL
    del tree["qa/proof/http.txt"]
    found = judged(tree)
    assert "qa/proof/http.txt is listed as proof, but missing" in texts(found)


def test_proof_that_only_redaction_changed_still_counts(scene: Any) -> None:
    tree = scene.tree() | {"qa/proof/http.txt": b"***"}
    assert judged(tree, redacted=frozenset({"qa/proof/http.txt"})).verdict is Verdict.PASS
