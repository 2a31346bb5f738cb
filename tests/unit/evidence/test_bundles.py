"""A bundle holds its evidence by digest, the same every time, and no secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.evidence import bundles
from pressplay.evidence.bundles import About, Bundle
from pressplay.evidence.judging import Verdict
from pressplay.evidence.signing import SigningKey

ABOUT = About(
    run="validate-r1-pr7-aaaaaaaaaa",
    subject="pr-7",
    repository="octo/app",
    head_sha="a" * 40,
    created="2026-01-02T03:04:05Z",
)
KEY = SigningKey.generate()
TOKEN = "ghp_" + "a" * 36

Write = Callable[[dict[str, bytes]], Path]


def statement(bundle: Bundle) -> dict[str, Any]:
    envelope = json.loads((bundle.path / bundles.ENVELOPE).read_bytes())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    payload: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return payload


def test_every_file_becomes_a_blob_under_its_digest(
    scene: Any, write_tree: Write, tmp_path: Path
) -> None:
    tree = scene.tree()
    bundle = bundles.build(write_tree(tree), tmp_path / "bundle", about=ABOUT, key=KEY)
    assert bundle.verdict is Verdict.PASS
    blobs = bundle.index["blobs"]
    assert [blob["path"] for blob in blobs] == sorted(tree)
    for blob in blobs:
        content = (bundle.path / bundles.BLOBS / blob["sha256"]).read_bytes()
        assert content == tree[blob["path"]]
        assert bundles.sha256(content) == blob["sha256"]
        assert len(content) == blob["size"]
    types = {blob["path"]: blob["mediaType"] for blob in blobs}
    assert types["policy.json"] == "application/json"
    assert types["acceptance/samples.jsonl"] == "application/x-ndjson"
    assert types["rex/commit.txt"] == "text/plain"


def test_the_same_evidence_makes_the_same_bundle(
    scene: Any, write_tree: Write, tmp_path: Path
) -> None:
    tree = write_tree(scene.tree())
    one = bundles.build(tree, tmp_path / "one", about=ABOUT, key=KEY)
    two = bundles.build(tree, tmp_path / "two", about=ABOUT, key=KEY)
    for name in (bundles.INDEX, bundles.ENVELOPE):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_the_statement_is_about_the_head_commit_and_the_index(
    scene: Any, write_tree: Write, tmp_path: Path
) -> None:
    bundle = bundles.build(write_tree(scene.tree()), tmp_path / "bundle", about=ABOUT, key=KEY)
    said = statement(bundle)
    index = (bundle.path / bundles.INDEX).read_bytes()
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert said["subject"] == [
        {"name": "octo/app", "digest": {"gitCommit": "a" * 40}},
        {"name": "index.json", "digest": {"sha256": bundles.sha256(index)}},
    ]
    assert said["predicate"]["result"] == "PASSED"
    assert said["predicate"]["configuration"] == [
        {"name": "policy.json", "digest": {"sha256": bundle.index["policySha256"]}}
    ]
    assert said["predicate"]["passedTests"] == ["clippy", "qa", "acceptance", "files"]


def test_a_run_that_ended_early_still_gets_its_bundle(write_tree: Write, tmp_path: Path) -> None:
    nothing_known = About(
        run="implement-r1-i7", subject="", repository="", head_sha="", created=ABOUT.created
    )
    bundle = bundles.build(
        write_tree({"rex/logs.txt": b"gave up\n"}), tmp_path / "b", about=nothing_known, key=KEY
    )  # fmt: skip
    assert bundle.verdict is Verdict.INCONCLUSIVE
    assert "clippy/report.json is missing" in bundle.index["reasons"]
    said = statement(bundle)
    assert [subject["name"] for subject in said["subject"]] == ["index.json"]
    assert said["predicate"]["result"] == "FAILED"
    assert said["predicate"]["verdict"] == "inconclusive"
    empty = bundles.build(tmp_path / "no", tmp_path / "e", about=nothing_known, key=KEY)
    assert empty.index["blobs"] == []


def test_secrets_never_reach_a_bundle_and_the_index_says_where_they_were(
    scene: Any, write_tree: Write, tmp_path: Path
) -> None:
    tree = scene.tree() | {
        "rex/logs.txt": f"push with {TOKEN}\n".encode(),
        "qa/logs.txt": b"held-by-the-process\n",
    }
    bundle = bundles.build(
        write_tree(tree), tmp_path / "b", about=ABOUT, key=KEY, secrets=["held-by-the-process"]
    )
    assert bundle.verdict is Verdict.PASS
    for path in bundle.path.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()
            assert b"held-by-the-process" not in path.read_bytes()
    redacted = {blob["path"] for blob in bundle.index["blobs"] if blob.get("redacted")}
    assert redacted == {"rex/logs.txt", "qa/logs.txt"}


def test_a_bundle_is_not_mixed_with_what_is_there(
    scene: Any, write_tree: Write, tmp_path: Path
) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "file").write_text("x")
    with pytest.raises(Refused, match="is not empty"):
        bundles.build(write_tree(scene.tree()), target, about=ABOUT, key=KEY)


def test_a_run_that_names_itself_badly_is_refused(write_tree: Write, tmp_path: Path) -> None:
    bad = About(run="r", subject="", repository="no-slash", head_sha="", created=ABOUT.created)
    with pytest.raises(Refused, match="index: repository"):
        bundles.build(write_tree({}), tmp_path / "b", about=bad, key=KEY)


def test_two_files_with_the_same_content_are_one_blob(write_tree: Write, tmp_path: Path) -> None:
    tree = write_tree({"a.txt": b"same", "b.unknown": b"same"})
    bundle = bundles.build(tree, tmp_path / "b", about=ABOUT, key=KEY)
    assert len(list((bundle.path / bundles.BLOBS).iterdir())) == 1
    assert bundles.media_type("b.unknown") == "application/octet-stream"
