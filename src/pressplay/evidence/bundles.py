"""A bundle: the evidence of one run as content-addressed blobs, an index, and a signature.

    index.json             every file's path, sha256, size and media type; the run; the verdict
    blobs/sha256/{hex}     the files
    envelope.dsse.json     an in-toto Statement about the head commit and the index, signed

The same evidence makes the same index, byte for byte, but for the moment it was made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pressplay.base import documents
from pressplay.base.errors import Refused
from pressplay.evidence import shapes, signing, trees, verdict
from pressplay.evidence.judging import Verdict
from pressplay.evidence.signing import SigningKey
from pressplay.evidence.trees import Cleaned
from pressplay.evidence.verdict import RunVerdict

INDEX = "index.json"
BLOBS = "blobs/sha256"
ENVELOPE = "envelope.dsse.json"

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"

_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".patch": "text/plain",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webm": "video/webm",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".zip": "application/zip",
}


@dataclass(frozen=True)
class About:
    """What a bundle is about: `repository` is owner/name; what is not known is empty.

    `created` is a moment in RFC 3339.
    """

    run: str
    subject: str
    repository: str
    head_sha: str
    created: str


@dataclass(frozen=True)
class Bundle:
    """A bundle that was written: where, and what its index says."""

    path: Path
    index: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """The verdict that the evidence carries."""
        return Verdict(self.index["verdict"])


def build(
    tree: Path, target: Path, *, about: About, key: SigningKey, secrets: Sequence[str] = ()
) -> Bundle:
    """Write the bundle of the evidence in `tree` to `target`, which must be empty or absent.

    Secrets are replaced first, `secrets` among them, and a file that this changed is marked in
    the index. Raises Refused where a secret stays visible, and for evidence beyond the limits.
    """
    if target.exists() and any(target.iterdir()):
        raise Refused(f"{target} is not empty; a bundle needs a folder of its own")
    cleaned = trees.clean(trees.read_tree(tree), secrets=secrets)
    judged = verdict.run_verdict(cleaned.files, head_sha=about.head_sha, redacted=cleaned.redacted)
    index = _index(cleaned, judged, about=about, key=key)
    shapes.validate("index", index)
    blobs = target / BLOBS
    blobs.mkdir(parents=True)
    for content in cleaned.files.values():
        (blobs / sha256(content)).write_bytes(content)
    written = documents.canonical_json(index)
    (target / INDEX).write_bytes(written)
    statement = documents.canonical_json(make_statement(index, judged, index_bytes=written))
    (target / ENVELOPE).write_bytes(signing.seal(statement, key))
    return Bundle(target, index)


def make_statement(
    index: dict[str, Any], judged: RunVerdict, *, index_bytes: bytes
) -> dict[str, Any]:
    """The in-toto Statement (v1) about an index; its predicate is a test result (v0.1).

    That predicate knows no doubt: whatever is not a pass is FAILED there, and `verdict` says more.
    """
    subject: list[dict[str, Any]] = [
        {"name": INDEX, "digest": {"sha256": sha256(index_bytes)}},
    ]
    if index["headSha"]:
        commit = {"name": index["repository"], "digest": {"gitCommit": index["headSha"]}}
        subject.insert(0, commit)
    policy = index["policySha256"]
    gates = judged.gates()
    passed = index["verdict"] == Verdict.PASS
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED" if passed else "FAILED",
            "configuration": (
                [{"name": verdict.POLICY, "digest": {"sha256": policy}}] if policy else []
            ),
            "passedTests": [name for name, each in gates.items() if each is Verdict.PASS],
            "failedTests": [name for name, each in gates.items() if each is not Verdict.PASS],
            "run": index["run"],
            "verdict": index["verdict"],
        },
    }


def media_type(path: str) -> str:
    """By the ending, from a fixed table: the machine's own would make other indexes elsewhere."""
    return _MEDIA_TYPES.get(Path(path).suffix.lower(), "application/octet-stream")


def sha256(content: bytes) -> str:
    """The digest in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def _index(
    cleaned: Cleaned, judged: RunVerdict, *, about: About, key: SigningKey
) -> dict[str, Any]:
    files = cleaned.files
    return {
        "version": 1,
        "run": about.run,
        "subject": about.subject,
        "repository": about.repository,
        "headSha": about.head_sha,
        "policySha256": sha256(files[verdict.POLICY]) if verdict.POLICY in files else "",
        "verdict": judged.verdict.value,
        "reasons": [reason.text[:4000] for reason in judged.reasons[:100]],
        "created": about.created,
        "signer": {"keyid": key.public.keyid, "publicKey": key.public.pem},
        "blobs": [
            {
                "path": path,
                "sha256": sha256(content),
                "size": len(content),
                "mediaType": media_type(path),
                **({"redacted": True} if path in cleaned.redacted else {}),
            }
            for path, content in sorted(files.items())
        ],
    }
