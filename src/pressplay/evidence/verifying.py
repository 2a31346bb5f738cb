"""Checking a bundle without a network and without any state: is it whole, and what does it prove?

Nothing in a bundle is believed: every digest is made again, the signature is checked, and the
verdict is recomputed from the raw samples and the policy. A bundle is never the cause of an
exception here; what is wrong with it becomes findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from pressplay.base import documents
from pressplay.base.errors import Refused
from pressplay.evidence import bundles, shapes, signing, trees, verdict
from pressplay.evidence.judging import Verdict
from pressplay.evidence.signing import PublicKey


class Level(StrEnum):
    """An error makes a bundle invalid, a note does not."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing to know about a bundle.

    `path` is a file of the bundle or of the evidence, or the gate that speaks.
    """

    level: Level
    path: str
    message: str


@dataclass(frozen=True)
class Verification:
    """The answer: an invalid bundle proves nothing, so its verdict is inconclusive."""

    valid: bool
    verdict: Verdict
    findings: tuple[Finding, ...]


def verify(bundle: Path, *, public_key: bytes | None) -> Verification:
    """Check the bundle in the folder `bundle` against `public_key` (PEM).

    Without one, the key inside the bundle is used: that shows that nothing was changed since, but
    not who made it.
    """
    check = _Check()
    recomputed = Verdict.INCONCLUSIVE
    try:
        recomputed = check.bundle(trees.read_tree(bundle), public_key)
        check.strangers(bundle)
    except Refused as error:
        check.error("bundle", str(error))
    except OSError as error:
        check.error("bundle", f"cannot be read: {error.strerror}")
    valid = all(finding.level is not Level.ERROR for finding in check.findings)
    return Verification(
        valid=valid,
        verdict=recomputed if valid else Verdict.INCONCLUSIVE,
        findings=tuple(check.findings),
    )


class _Check:
    """One verification as it goes on; collects findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def error(self, where: str, message: str) -> None:
        """Note what makes the bundle invalid."""
        self.findings.append(Finding(Level.ERROR, where, message))

    def bundle(self, files: Mapping[str, bytes], public_key: bytes | None) -> Verdict:
        """Check the files of a bundle; give the recomputed verdict. Raises Refused to stop."""
        for name in (bundles.INDEX, bundles.ENVELOPE):
            if name not in files:
                raise Refused(f"{name} is missing")
        written = files[bundles.INDEX]
        index = _read_index(written)
        evidence = self._blobs(files, index)
        self._policy(evidence, index)
        redacted = frozenset(blob["path"] for blob in index["blobs"] if "redacted" in blob)
        judged = verdict.run_verdict(evidence, head_sha=index["headSha"], redacted=redacted)
        for reason in judged.reasons:
            self.findings.append(Finding(Level.NOTE, reason.gate, reason.text))
        if judged.verdict != index["verdict"]:
            message = f"says {index['verdict']}, but the evidence says {judged.verdict}"
            self.error(bundles.INDEX, message)
        statement = bundles.make_statement(index, judged, index_bytes=written)
        self._signature(files[bundles.ENVELOPE], index, statement, public_key=public_key)
        return judged.verdict

    def strangers(self, bundle: Path) -> None:
        """Whatever is neither folder nor plain file has no place in a bundle."""
        for path in trees.survey(bundle)[1]:
            self.error(ascii(path)[1:-1], "is a link, a device or has no proper name")

    def _blobs(self, files: Mapping[str, bytes], index: dict[str, Any]) -> dict[str, bytes]:
        """The evidence by its paths, each blob checked; what no one lists is an error."""
        evidence: dict[str, bytes] = {}
        known = {bundles.INDEX, bundles.ENVELOPE}
        for blob in index["blobs"]:
            name = f"{bundles.BLOBS}/{blob['sha256']}"
            known.add(name)
            content = files.get(name)
            if content is None:
                self.error(blob["path"], f"blob {blob['sha256'][:12]} is missing")
            elif bundles.sha256(content) != blob["sha256"] or len(content) != blob["size"]:
                self.error(blob["path"], "its content is not what the index says")
            else:
                evidence[blob["path"]] = content
        for name in sorted(set(files) - known):
            self.error(name, "is in no index")
        return evidence

    def _policy(self, evidence: Mapping[str, bytes], index: dict[str, Any]) -> None:
        content = evidence.get(verdict.POLICY)
        if index["policySha256"] != (bundles.sha256(content) if content is not None else ""):
            self.error(verdict.POLICY, "is not the policy that the index names")

    def _signature(
        self,
        envelope: bytes,
        index: dict[str, Any],
        statement: dict[str, Any],
        *,
        public_key: bytes | None,
    ) -> None:
        signer = PublicKey.from_pem(index["signer"]["publicKey"])
        if signer.pem != index["signer"]["publicKey"] or signer.keyid != index["signer"]["keyid"]:
            self.error(bundles.INDEX, "its key and its key id do not belong together")
        trusted = signer
        if public_key is None:
            message = "no public key was given: this shows that nothing changed, not who signed"
            self.findings.append(Finding(Level.NOTE, bundles.ENVELOPE, message))
        else:
            trusted = PublicKey.from_pem(public_key)
        if trusted != signer:
            message = f"signed by key {signer.keyid[:12]}, not by {trusted.keyid[:12]}"
            self.error(bundles.ENVELOPE, message)
        if signing.unseal(envelope, trusted) != documents.canonical_json(statement):
            self.error(bundles.ENVELOPE, "its statement is not the one that the evidence makes")


def _read_index(written: bytes) -> dict[str, Any]:
    value = documents.read_json(written, source=bundles.INDEX)
    shapes.validate("index", value)
    index = cast("dict[str, Any]", value)
    if documents.canonical_json(index) != written:
        raise Refused(f"{bundles.INDEX}: not in its canonical form")
    paths = [blob["path"] for blob in index["blobs"]]
    if paths != sorted(set(paths)):
        raise Refused(f"{bundles.INDEX}: its paths are not sorted, or one is given twice")
    return index
