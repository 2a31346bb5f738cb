"""What passes between the four pods of an agent run: small JSON files and git bundles.

The pods share no volume. `prepare` writes the workspace once, and nobody after it may change it;
`work` was written beside an agent and is believed only as far as it can be checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pressplay.api import parameters, policy
from pressplay.base import documents, files
from pressplay.base.errors import Refused
from pressplay.stages import bundles, git
from pressplay.stages.environment import StageEnvironment

REQUEST = "workspace/request.json"
CONTEXT = "workspace/context.json"
TASK = "workspace/task.md"
SYSTEM = "workspace/system.md"
POLICY = "workspace/policy.json"
SOURCE = "workspace/source.bundle"
RESULT = "work/result.json"
CHANGES = "work/changes.bundle"
VERIFICATION = "verification/verification.json"

JSON_LIMIT = 1024 * 1024
"""Largest JSON file that is read, in bytes."""

BASE, HEAD, WORK = "base", "head", "work"
"""The names of the commits in the bundles."""

MECHANICAL = "clippy"
"""The role that is played by the toolchain's own tools."""

TESTING = "qa"
"""The role that writes tests only."""


@dataclass(frozen=True)
class Context:
    """What one agent run is about; `branch` is the only one that may be pushed.

    `title` is a stranger's text. `kind` is the kind of agent that was asked for, empty where
    nobody did; then a program that is mounted decides, and at last `default_kind`.
    `base_is_default` says whether the base is the default branch's: any other may be what an agent
    wrote, and leaves nothing behind for other runs.
    """

    role: str
    run: str
    owner: str
    repo: str
    pr: str
    issue: str
    title: str
    branch: str
    base_ref: str
    base_sha: str
    head_sha: str
    fork: bool
    kind: str
    default_kind: str
    timeout_s: int
    policy: policy.Record
    base_is_default: bool = False

    @property
    def identity(self) -> git.Identity:
        """The author of the commits of this run."""
        return git.bot(self.role)

    @property
    def subject(self) -> str:
        """What the run is about, for people: `issue #7`, `pull request #9` or a commit."""
        if self.issue:
            return f"issue #{self.issue}"
        return f"pull request #{self.pr}" if self.pr else f"commit {self.head_sha[:10]}"

    def to_json(self) -> dict[str, Any]:
        """What is written to `context.json`; the author stands in it for readers."""
        values = {name: value for name, value in vars(self).items() if name != "policy"}
        author = vars(self.identity)
        return {**values, "author": dict(author), "policy": self.policy.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Context:
        """The inverse of `to_json`. Raises Refused."""
        given = {name: each for name, each in value.items() if name != "author"}
        try:
            given["policy"] = policy.Record.from_json(given["policy"])
            found = cls(**given)
        except (KeyError, TypeError) as error:
            raise Refused(f"context.json is not what prepare writes: {error}") from error
        for name in ("base_sha", "head_sha"):
            git.check_sha(str(given[name]), what=f"context.json: {name}")
        parameters.check("github-app", found.role)
        return found


@dataclass(frozen=True)
class Verification:
    """Verify's answer about the commit `head`; `reasons` say why not."""

    role: str
    passed: bool
    reasons: tuple[str, ...]
    head: str

    def to_json(self) -> dict[str, Any]:
        """What is written to `verification.json`."""
        return {**vars(self), "reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Verification:
        """The inverse of `to_json`; only the literal true counts as passed."""
        return cls(
            role=str(value.get("role")),
            passed=value.get("passed") is True,
            reasons=tuple(str(each) for each in value.get("reasons") or ()),
            head=str(value.get("head")),
        )


def read(env: StageEnvironment, name: str) -> dict[str, Any]:
    """One of the JSON objects above, from the inputs. Raises Refused where it is missing."""
    path = files.beneath(env.inputs, name)
    if not path.is_file():
        raise Refused(f"No {name} among the inputs; the step before this one must write it")
    if path.stat().st_size > JSON_LIMIT:
        raise Refused(f"{name} is larger than {JSON_LIMIT >> 20} MiB")
    value = documents.read_json(path.read_bytes(), source=name)
    if not isinstance(value, dict):
        raise Refused(f"{name} is not a JSON object")
    return cast("dict[str, Any]", value)


def read_context(env: StageEnvironment) -> Context:
    """The context that `prepare` wrote."""
    return Context.from_json(read(env, CONTEXT))


def write(env: StageEnvironment, name: str, value: Mapping[str, Any]) -> None:
    """Write one of the JSON objects above to the outputs."""
    path = env.out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def take_source(env: StageEnvironment, directory: Path, context: Context) -> None:
    """Fetch the bundle that `prepare` wrote into our own git directory."""
    found = bundles.take(directory, files.beneath(env.inputs, SOURCE))
    if found != {BASE: context.base_sha, HEAD: context.head_sha}:
        raise Refused("source.bundle does not hold the commits that context.json names")


def take_changes(env: StageEnvironment, directory: Path, tip: str) -> None:
    """Fetch the agent's commits, of which `tip` must be the newest. Raises Refused."""
    bundle = files.beneath(env.inputs, CHANGES)
    if not bundle.is_file():
        raise Refused("result.json speaks of commits, but there is no changes.bundle beside it")
    if bundles.take_foreign(directory, bundle) != {WORK: tip}:
        raise Refused("changes.bundle does not hold the commit that result.json names as head")
