"""A bundle is believed only where everything in it can be made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pressplay.base import documents
from pressplay.evidence import bundles, signing, verifying
from pressplay.evidence.bundles import About
from pressplay.evidence.judging import Verdict
from pressplay.evidence.signing import SigningKey
from pressplay.evidence.verifying import Level, Verification

ABOUT = About(
    run="validate-r1-pr7-aaaaaaaaaa",
    subject="pr-7",
    repository="octo/app",
    head_sha="a" * 40,
    created="2026-01-02T03:04:05Z",
)
KEY = SigningKey.generate()
PEM = KEY.public.pem.encode()

Make = Callable[[dict[str, bytes]], Path]


@pytest.fixture
def make(write_tree: Callable[[dict[str, bytes]], Path], tmp_path: Path) -> Make:
    """Builds a bundle out of a tree."""

    def build(tree: dict[str, bytes]) -> Path:
        return bundles.build(write_tree(tree), tmp_path / "bundle", about=ABOUT, key=KEY).path

    return build


@pytest.fixture
def green(small: Any, make: Make) -> Path:
    """A small bundle that passes."""
    bundle = make(small.tree())
    assert verifying.verify(bundle, public_key=None).verdict is Verdict.PASS
    return bundle


def errors(found: Verification) -> list[str]:
    return [each.message for each in found.findings if each.level is Level.ERROR]


def test_a_green_bundle_is_valid_and_passes(scene: Any, make: Make) -> None:
    found = verifying.verify(make(scene.tree()), public_key=PEM)
    assert found == Verification(valid=True, verdict=Verdict.PASS, findings=())


def test_without_a_key_it_says_that_the_signer_is_unknown(scene: Any, make: Make) -> None:
    found = verifying.verify(make(scene.tree()), public_key=None)
    assert found.valid
    assert [each.level for each in found.findings] == [Level.NOTE]
    assert "not who signed" in found.findings[0].message


def test_a_red_bundle_is_valid_and_says_why_it_is_red(scene: Any, make: Make) -> None:
    found = verifying.verify(make(scene.tree(lambda _t, _n: (500, 1.0))), public_key=PEM)
    assert found.valid
    assert found.verdict is Verdict.FAIL
    assert any("0 of 50 requests succeeded" in each.message for each in found.findings)


def test_a_bundle_without_acceptance_is_valid_and_inconclusive(scene: Any, make: Make) -> None:
    tree = {k: v for k, v in scene.tree().items() if not k.startswith(("acceptance", "deploy"))}
    found = verifying.verify(make(tree), public_key=PEM)
    assert found.valid
    assert found.verdict is Verdict.INCONCLUSIVE


def test_another_public_key_is_an_error(scene: Any, make: Make) -> None:
    other = SigningKey.generate().public.pem.encode()
    found = verifying.verify(make(scene.tree()), public_key=other)
    assert not found.valid
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("signed by key" in each for each in errors(found))


def test_a_public_key_that_is_none_is_an_error(scene: Any, make: Make) -> None:
    found = verifying.verify(make(scene.tree()), public_key=b"nonsense")
    assert errors(found) == ["The public key is no PEM public key"]


def test_no_byte_of_a_bundle_can_change(make: Make) -> None:
    bundle = make({"rex/logs.txt": b"a small bundle\n", "rex/commit.txt": b"c" * 40})
    assert verifying.verify(bundle, public_key=PEM).valid
    for path in sorted(bundle.rglob("*")):
        if path.is_file():
            whole = path.read_bytes()
            for position in range(len(whole)):
                changed = bytearray(whole)
                changed[position] ^= 0x01
                path.write_bytes(changed)
                assert not verifying.verify(bundle, public_key=PEM).valid, (path, position)
            path.write_bytes(whole)
    assert verifying.verify(bundle, public_key=PEM).valid


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_no_byte_of_a_green_bundle_can_change_even_with_its_own_key(
    green: Path, data: st.DataObject
) -> None:
    bundle = green
    path = data.draw(st.sampled_from(sorted(p for p in bundle.rglob("*") if p.is_file())))
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        assert not verifying.verify(bundle, public_key=None).valid
    finally:
        path.write_bytes(whole)


def reseal(bundle: Path, change: Callable[[dict[str, Any]], object], key: SigningKey) -> None:
    """What a forger would do: change the index, and sign a matching statement."""
    index = json.loads((bundle / bundles.INDEX).read_bytes())
    envelope = (bundle / bundles.ENVELOPE).read_bytes()
    change(index)
    index["signer"] = {"keyid": key.public.keyid, "publicKey": key.public.pem}
    written = documents.canonical_json(index)
    (bundle / bundles.INDEX).write_bytes(written)
    statement = json.loads(signing.unseal(envelope, KEY.public))
    statement["subject"][-1]["digest"]["sha256"] = bundles.sha256(written)
    statement["predicate"] |= {
        "verdict": index["verdict"],
        "result": "PASSED" if index["verdict"] == "pass" else "FAILED",
    }
    (bundle / bundles.ENVELOPE).write_bytes(signing.seal(documents.canonical_json(statement), key))


def test_a_verdict_that_the_samples_do_not_carry_is_caught_even_when_it_is_signed(
    scene: Any, make: Make
) -> None:
    bundle = make(scene.tree(lambda _t, _n: (500, 1.0)))
    reseal(bundle, lambda index: index.update(verdict="pass", reasons=[]), KEY)
    found = verifying.verify(bundle, public_key=PEM)
    assert not found.valid
    assert "says pass, but the evidence says fail" in errors(found)


def test_a_bundle_that_a_stranger_signed_again_is_caught_by_the_right_key(
    scene: Any, make: Make
) -> None:
    bundle = make(scene.tree())
    reseal(bundle, lambda index: index.update(run="another-run"), SigningKey.generate())
    assert not verifying.verify(bundle, public_key=PEM).valid


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(headSha="c" * 40),
        lambda index: index.update(policySha256="c" * 64),
        lambda index: index.update(policySha256=""),
        lambda index: index["blobs"].reverse(),
        lambda index: index["blobs"].append(index["blobs"][-1]),
        lambda index: index["blobs"].pop(),
        lambda index: index["blobs"][0].update(size=1),
        lambda index: index["blobs"][0].update(path="../../etc/passwd"),
        lambda index: index.update(verdict="fail"),
        lambda index: index.update(extra=1),
    ],
)
def test_an_index_that_lies_is_caught_even_when_it_is_signed(
    scene: Any, make: Make, change: Callable[[dict[str, Any]], object]
) -> None:
    bundle = make(scene.tree())
    reseal(bundle, change, KEY)
    assert not verifying.verify(bundle, public_key=PEM).valid


def test_missing_and_extra_files_are_errors(scene: Any, make: Make) -> None:
    bundle = make(scene.tree())
    extra = bundle / bundles.BLOBS / ("0" * 64)
    extra.write_text("stranger")
    assert "is in no index" in errors(verifying.verify(bundle, public_key=PEM))
    extra.unlink()
    next((bundle / bundles.BLOBS).iterdir()).unlink()
    assert any("is missing" in e for e in errors(verifying.verify(bundle, public_key=PEM)))
    (bundle / bundles.ENVELOPE).unlink()
    found = errors(verifying.verify(bundle, public_key=PEM))
    assert found == ["envelope.dsse.json is missing"]


def test_links_and_pipes_are_errors_and_are_never_followed(
    scene: Any, make: Make, tmp_path: Path
) -> None:
    bundle = make(scene.tree())
    blob = next((bundle / bundles.BLOBS).iterdir())
    shutil.move(blob, tmp_path / "outside")
    blob.symlink_to(tmp_path / "outside")
    found = errors(verifying.verify(bundle, public_key=PEM))
    assert "is a link, a device or has no proper name" in found
    assert any("is missing" in each for each in found)
    blob.unlink()
    os.mkfifo(blob)
    assert not verifying.verify(bundle, public_key=PEM).valid


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"version": 1}',
        b"null",
        b"1e999",
        b'"\\ud800"',
    ],
)
@pytest.mark.parametrize("name", [bundles.INDEX, bundles.ENVELOPE])
def test_a_malformed_bundle_has_findings_and_raises_nothing(
    *, scene: Any, make: Make, name: str, content: bytes
) -> None:
    bundle = make(scene.tree())
    (bundle / name).write_bytes(content)
    found = verifying.verify(bundle, public_key=PEM)
    assert not found.valid
    assert errors(found)


def test_what_is_no_bundle_at_all_is_an_error(tmp_path: Path) -> None:
    assert errors(verifying.verify(tmp_path / "nothing", public_key=None))
    (tmp_path / "file").write_text("x")
    assert errors(verifying.verify(tmp_path / "file", public_key=None))
    assert errors(verifying.verify(tmp_path, public_key=PEM)) == ["index.json is missing"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(index=st.binary(max_size=60) | st.text('{}[]":,versionblob1').map(str.encode))
def test_an_index_from_anywhere_raises_nothing(tmp_path: Path, index: bytes) -> None:
    (tmp_path / bundles.INDEX).write_bytes(index)
    (tmp_path / bundles.ENVELOPE).write_bytes(b"{}")
    assert not verifying.verify(tmp_path, public_key=PEM).valid
