"""`qa.must_fail_on_base`: can the new tests fail at all?

The tests that the whole change adds or alters, whoever wrote them, are laid over the base: at
least one must judge there and say no. A test that does not even compile or collect there (it
imports what is only coming) does not count; then mutants of the changed lines stand in for the
base, and one of them must make a new test fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.stages import git
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
FILES_LIMIT = 40
"""Changed source files in which mutants are made."""


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
        mutants = _spread(list(self._mutants()), MUTANTS_LIMIT)
        if not mutants:
            return (
                "the new tests do not fail on the base, and the change has no code of which a "
                f"mutant could be made ({FIELD})"
            )
        deadline = self._case.clock.monotonic() + MUTANTS_S
        tried = 0
        for mutant in mutants:
            left = min(deadline - self._case.clock.monotonic(), MUTANT_S)
            if left <= 0:
                break
            tried += 1
            if self._kills(mutant, timeout_s=left):
                return ""
        return (
            f"the new tests do not fail on the base, and none of {tried} mutants of the change "
            f"made them fail ({FIELD}): they pass whatever the code does"
        )

    def _mutants(self) -> Iterator[Mutant]:
        for change in self._sources[:FILES_LIMIT]:
            lines = git.added_lines(
                self._case.directory, self._base, self._case.tip, path=change.path
            )
            text = git.blob(self._case.directory, change.new_blob).decode(errors="replace")
            yield from islice(self._toolchain.mutants(change.path, text, lines=lines), 1000)

    def _kills(self, mutant: Mutant, *, timeout_s: float) -> bool:
        path = files.beneath(self._case.scratch / "head", mutant.path)
        original = path.read_bytes()
        path.write_text(mutant.text)
        try:
            found = self._run(self._case.scratch / "head", "mutant.xml", timeout_s=timeout_s)
        finally:
            path.write_bytes(original)
        killed = found.count(CaseStatus.FAILED) > 0
        fate = "killed" if killed else "survived"
        self._transcript.say(f"mutant {mutant.path}:{mutant.line} ({mutant.what}): {fate}")
        return killed

    def _run(self, tree: Path, report: str, *, timeout_s: float = TESTS_S) -> TestResult:
        self._transcript.say(f"new tests, {report.removesuffix('.xml')}: {', '.join(self._tests)}")
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


def _spread(mutants: Sequence[Mutant], limit: int) -> list[Mutant]:
    """At most `limit` of them, evenly over the whole change."""
    if len(mutants) <= limit:
        return list(mutants)
    return [mutants[index * len(mutants) // limit] for index in range(limit)]


def _first(result: TestResult) -> str:
    for case in result.cases:
        if case.status in (CaseStatus.FAILED, CaseStatus.ERROR):
            return f"{case.name}: {case.message}"
    return result.problem or "the test runner says no"
