"""What a language profile must be able to do, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pressplay.stages.transcripts import Transcript


class CaseStatus(StrEnum):
    """How one test ended. An error is no failure: the test itself never came to judge."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class TestCase:
    """One test; `file` is relative to the tree, `message` what it said when it failed."""

    __test__ = False

    name: str
    file: str
    status: CaseStatus
    message: str = ""


@dataclass(frozen=True)
class TestResult:
    """One run of tests; `problem` says why there is no result to speak of, else it is empty."""

    __test__ = False

    passed: bool
    cases: tuple[TestCase, ...] = ()
    problem: str = ""

    def count(self, status: CaseStatus) -> int:
        """How many tests ended so."""
        return sum(case.status is status for case in self.cases)


@dataclass(frozen=True)
class Findings:
    """What formatter and linter still have to say about a tree."""

    tools: tuple[str, ...]
    fmt_clean: bool
    lint_clean: bool
    warnings: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mutant:
    """A small change to one file that a good test notices."""

    path: str
    line: int
    what: str
    text: str


@dataclass(frozen=True)
class Prepared:
    """What a tree's dependencies need to be found by whatever runs in the tree.

    `variables` go into the environment; `programs` are folders to look for programs in before all
    others. `was_changed` says whether the cache is another one than before. `generated` are files,
    relative to the tree, that were put there and are no part of the repository. `notes` are for
    the log.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    was_changed: bool = False
    generated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Toolchain(Protocol):
    """One language. Every method is synchronous and may be repeated with the same result.

    `tree` is a folder that holds the files of one commit and no `.git`, unless it is an agent's
    workspace; nobody else writes in it meanwhile. Only `prepare` uses the network.
    """

    name: str
    lints_dependencies: bool
    """Whether `mend` and `check` compile the tree, so that `prepare` must come before them."""

    def fingerprint(self, tree: Path, *, cache: Path) -> str:
        """A digest of what the tree depends on; empty where that is nothing.

        A folder `cache` that was prepared for a tree with the same one serves this tree, too.
        """

    def prepare(
        self,
        tree: Path,
        *,
        cache: Path,
        variables: Mapping[str, str],
        timeout_s: float,
        transcript: Transcript,
    ) -> Prepared:
        """Fetch and build what the tree depends on into the folder `cache`, which is the pod's own.

        Idempotent: a cache that already serves this tree is left as it is, a tree that depends on
        nothing leaves none. `variables` lead package clients to their registries. The tree's own
        errors are for `test` to tell. What the tree says runs: only where no token is.

        Raises Unavailable where a registry does not answer, Refused for what it does not have or
        is not allowed to be asked for; both name the dependency.
        """

    def detect(self, tree: Path) -> bool:
        """Whether a repository with these files looks like one of this language."""

    def mend(self, tree: Path) -> tuple[str, ...]:
        """Let the tools apply their safe fixes and format, in place; lines for the log.

        The same tree gives the same result, on every machine with the same tools.
        """

    def check(self, tree: Path, *, paths: Sequence[str] | None = None) -> Findings:
        """What the tools find, without changing anything; with `paths` only in these files."""

    def is_test(self, path: str) -> bool:
        """Whether the file at `path` is one that holds tests, not one that helps them."""

    def test(
        self,
        tree: Path,
        *,
        junit: Path,
        timeout_s: float,
        transcript: Transcript,
        paths: Sequence[str] = (),
    ) -> TestResult:
        """Run all tests, or those in `paths`; `junit` gets the runner's own report."""

    def is_judgement(self, case: TestCase) -> bool:
        """Whether a failed test judged behaviour, and did not merely miss a name it wanted."""

    def mutants(self, path: str, text: str, *, lines: frozenset[int]) -> Iterator[Mutant]:
        """Mutants of the file's `lines` (from 1), always in the same order; may be none."""

    def settle(self, tree: Path, *, variables: Mapping[str, str]) -> None:
        """After a build of the repository's own in `tree`, with these variables in its environment:
        leave what runs where the repository expects it, and not what only speeds up a build.
        """
