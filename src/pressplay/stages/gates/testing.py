"""QA's gate: all tests pass on the head, and the new ones notice where the change is missing.

A test that cannot fail proves nothing, so the new and changed tests are also run where they must
fail; see `proving`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pressplay.base import clocks
from pressplay.base.errors import Refused
from pressplay.stages import git
from pressplay.stages.environment import Foreign
from pressplay.stages.gates import proving, summaries
from pressplay.stages.gates.cases import Case
from pressplay.stages.gates.summaries import Criterion, Summary
from pressplay.stages.toolchains import preparing
from pressplay.stages.toolchains.port import CaseStatus, TestResult
from pressplay.stages.transcripts import Transcript

SUITE_S = 600.0
"""Seconds for the whole suite."""


def judge(case: Case) -> tuple[str, ...]:
    """Why QA says no; writes `summary.json` and the proof."""
    started = clocks.to_text(case.clock.now())
    head = case.scratch / "head"
    git.export_tree(case.directory, case.tip, head)
    transcript = Transcript(redact=case.env.redact, write=case.write)
    preparer = case.preparer(transcript)
    toolchain = preparer.choose(head)
    try:
        toolchain = preparer.ready(
            head, timeout_s=case.seconds_left(at_most=preparing.PREPARE_S)
        ).toolchain
    except Refused as error:
        # What the head asks for is the head's own doing, as a test that fails is.
        return (f"the head's dependencies cannot be had: {error}",)
    transcript.say(f"all tests on the head {case.tip[:10]}")
    with case.env.timed(Foreign.TESTS):
        suite = toolchain.test(
            head,
            junit=case.scratch / "proof" / "head.xml",
            timeout_s=case.seconds_left(at_most=SUITE_S),
            transcript=transcript,
        )
    criteria = [_suite_criterion(suite)]
    if not criteria[0].why and case.context.policy.policy.qa.must_fail_on_base:
        criteria.append(proving.must_fail_on_base(case, toolchain, transcript=transcript))
    summaries.write(
        case,
        Summary(
            started=started,
            language=toolchain.name,
            suite=suite,
            criteria=tuple(criteria),
            log=transcript.text(),
        ),
    )
    return tuple(criterion.why for criterion in criteria if criterion.why)


def _suite_criterion(suite: TestResult) -> Criterion:
    return Criterion(
        id="suite-passes",
        text="All tests pass on the head",
        why="" if suite.passed else "; ".join(_complaints(suite)),
    )


def _complaints(suite: TestResult) -> Iterator[str]:
    failed = [c for c in suite.cases if c.status in (CaseStatus.FAILED, CaseStatus.ERROR)]
    if suite.problem:
        yield f"the tests on the head give no result: {suite.problem}"
    if failed:
        first = f"{failed[0].name}: {failed[0].message}".strip(": ")
        yield f"{len(failed)} of {len(suite.cases)} tests do not pass on the head; first {first}"
    if not failed and not suite.problem:
        yield "the test runner says no on the head, though no test failed"
