"""`qa.must_fail_on_base`: can the new tests fail at all?

The tests that the whole change adds or alters, whoever wrote them, are laid over the base: at
least one must judge there and say no. A test that does not even compile or collect there (it
imports what is only coming) does not count; then mutants of the changed lines stand in for the
base, and one of them must make a new test fail. A mutant with which no test comes to judge (it
does not compile, it never ends) says nothing about the tests, and counts neither way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path

from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.stages import git
from pressplay.stages.environment import Foreign
from pressplay.stages.gates import rules
from pressplay.stages.gates.cases import Case
from pressplay.stages.gates.summaries import Criterion
from pressplay.stages.git import Change
from pressplay.stages.toolchains.port import CaseStatus, Mutant, TestResult, Toolchain
from pressplay.stages.transcripts import Transcript

FIELD = "qa.must_fail_on_base"
TESTS_S = 240.0
"""Seconds for the new tests on one tree."""
MUTANTS_S = 300.0
"""Seconds for all mutants together."""
MUTANT_S = 60.0
MUTANTS_LIMIT = 24
"""Mutants that a test came to judge."""
MUTANTS_TRIED = 72
"""Mutants that are run at most, for those that say nothing."""
FILES_LIMIT = 40
"""Changed source files in which mutants are made."""


class _Fate(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    UNJUDGED = "no test came to judge it"


def must_fail_on_base(case: Case, toolchain: Toolchain, *, transcript: Transcript) -> Criterion:
    """Whether the new tests can tell the head from what it was made of."""
    proof = _Proof(case, toolchain, transcript=transcript)
    return Criterion(
        id="new-tests-can-fail",
        text="The new tests pass on the head and fail where the change is missing",
        why=proof.complaint(),
    )


class _Proof:
    def __init__(self, case: Case, toolchain: Toolchain, *, transcript: Transcript) -> None:
        self._case = case
        self._toolchain = toolchain
        self._transcript = transcript
        context = case.context
        # Where the base branch went on meanwhile, its own news are no part of the change.
        self._base = git.merge_base(case.directory, context.base_sha, case.tip) or context.base_sha
        changed = git.changes(case.directory, self._base, case.tip)
        present = [change for change in changed if rules.is_file(change)]
        patterns = context.policy.policy.qa.paths
        self._overlay = [each for each in present if rules.matches(each.path, patterns)]
        self._sources = [each for each in present if each not in self._overlay]
        self._tests = [each.path for each in self._overlay if toolchain.is_test(each.path)]

    def complaint(self) -> str:
        """Why the proof fails, "" if it stands."""
        if not self._tests:
            return (
                f"no test was added or changed, and the policy asks for one ({FIELD}); add a test "
                "that fails without the change"
            )
        on_head = self._run(self._case.scratch / "head", "head-new.xml")
        if not on_head.passed:
            return f"the new tests do not pass on the head: {_first(on_head)}"
        if self._fail_on_base():
            return ""
        return self._survivors()

    def _fail_on_base(self) -> bool:
        tree = self._case.scratch / "base"
        git.export_tree(self._case.directory, self._base, tree)
        for change in self._overlay:
            _place(tree, change, git.blob(self._case.directory, change.new_blob))
        on_base = self._run(tree, "base-new.xml")
        failed = [c.name for c in on_base.cases if self._toolchain.is_judgement(c)]
        for name in failed:
            self._transcript.say(f"fails on the base, as it must: {name}")
        return bool(failed)

    def _survivors(self) -> str:
        """Run the new tests on mutants of the change until one is noticed."""
        mutants = _spread(list(self._mutants()), MUTANTS_LIMIT)[:MUTANTS_TRIED]
        if not mutants:
            return (
                "the new tests do not fail on the base, and the change has no code of which a "
                f"mutant could be made ({FIELD})"
            )
        deadline = self._case.clock.monotonic() + MUTANTS_S
        survived = 0
        for mutant in mutants:
            left = min(deadline - self._case.clock.monotonic(), MUTANT_S)
            if left <= 0 or survived == MUTANTS_LIMIT:
                break
            fate = self._try(mutant, timeout_s=left)
            if fate is _Fate.KILLED:
                return ""
            survived += fate is _Fate.SURVIVED
        return _verdict(survived)

    def _mutants(self) -> Iterator[Mutant]:
        for change in self._sources[:FILES_LIMIT]:
            lines = git.added_lines(
                self._case.directory, self._base, self._case.tip, path=change.path
            )
            text = git.blob(self._case.directory, change.new_blob).decode(errors="replace")
            yield from islice(self._toolchain.mutants(change.path, text, lines=lines), 1000)

    def _try(self, mutant: Mutant, *, timeout_s: float) -> _Fate:
        path = files.beneath(self._case.scratch / "head", mutant.path)
        original = path.read_bytes()
        path.write_text(mutant.text)
        try:
            found = self._run(self._case.scratch / "head", "mutant.xml", timeout_s=timeout_s)
        finally:
            path.write_bytes(original)
        fate = _fate_of(found)
        self._transcript.say(f"mutant {mutant.path}:{mutant.line} ({mutant.what}): {fate}")
        return fate

    def _run(self, tree: Path, report: str, *, timeout_s: float = TESTS_S) -> TestResult:
        self._transcript.say(f"new tests, {report.removesuffix('.xml')}: {', '.join(self._tests)}")
        with self._case.env.timed(Foreign.TESTS):
            return self._toolchain.test(
                tree,
                junit=self._case.scratch / "proof" / report,
                timeout_s=self._case.seconds_left(at_most=timeout_s),
                transcript=self._transcript,
                paths=self._tests,
            )


def _place(tree: Path, change: Change, content: bytes) -> None:
    path = files.beneath(tree, change.path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise Refused(f"Test {change.path} does not fit onto the base: {error}") from error


def _fate_of(found: TestResult) -> _Fate:
    if found.count(CaseStatus.FAILED):
        return _Fate.KILLED
    return _Fate.SURVIVED if found.passed else _Fate.UNJUDGED


def _verdict(survived: int) -> str:
    """Why the proof does not stand when no mutant was killed."""
    if not survived:
        return (
            "the new tests do not fail on the base, and no mutant of the change could be judged "
            f"({FIELD}): each broke the code altogether"
        )
    return (
        f"the new tests do not fail on the base, and none of {survived} mutants of the change "
        f"made them fail ({FIELD}): they pass whatever the code does"
    )


def _spread(mutants: Sequence[Mutant], limit: int) -> list[Mutant]:
    """All of them, `limit` evenly over the whole change before the others, which are evenly
    spread in the same way.
    """
    step = max(1, -(-len(mutants) // limit))
    return [each for start in range(step) for each in mutants[start::step]]


def _first(result: TestResult) -> str:
    for case in result.cases:
        if case.status in (CaseStatus.FAILED, CaseStatus.ERROR):
            return f"{case.name}: {case.message}"
    return result.problem or "the test runner says no"
