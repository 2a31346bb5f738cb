"""Reading what `cargo test` prints, whatever the tests print in between."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.toolchains import rust_reports
from pressplay.stages.toolchains.port import CaseStatus, TestCase
from pressplay.stages.toolchains.rust_reports import Reader, Target

LIB = "shelf-0123456789abcdef"
API = "api-fedcba9876543210"
TARGETS = {
    LIB: Target(package="shelf", name="shelf", file="src/lib.rs"),
    API: Target(package="shelf", name="api", file="tests/api.rs"),
}
DOCUMENTED = {"shelf": "shelf"}

WHOLE = f"""\
   Compiling shelf v0.1.0 (/tmp/shelf)
    Finished `test` profile [unoptimized] target(s) in 0.81s
     Running unittests src/lib.rs (/t/debug/deps/{LIB})

running 6 tests
test more::errs ... FAILED
from childtest more::child ... ok
test more::ig ... ignored, slow
test more::sp - should panic ... FAILED
test tests::it_works ... ok
test more::fails ... FAILED

failures:

---- more::errs stdout ----
bla
Error: "no"

---- more::sp stdout ----
note: test did not panic as expected at src/lib.rs:29:8
---- more::fails stdout ----

thread 'more::fails' (14351) panicked at src/lib.rs:26:18:
assertion `left == right` failed: why: 3
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    more::errs
    more::fails
    more::sp

test result: FAILED. 2 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.11s

error: test failed, to rerun pass `--lib`
     Running tests/api.rs (/t/debug/deps/{API})

running 2 tests
test a ... ok
test b ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests shelf

running 3 tests
test src/lib.rs - two (line 19) ... FAILED
test src/lib.rs - three (line 30) - compile ... ok
test src/lib.rs - two (line 16) ... ok

failures:

---- src/lib.rs - two (line 19) stdout ----
error[E0425]: cannot find function `nothing` in crate `shelf`
  --> src/lib.rs:21:8

Couldn't compile the test.

failures:
    src/lib.rs - two (line 19)

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.09s

error: doctest failed, to rerun pass `--doc`
error: 2 targets failed:
    `--lib`
    `--doc`
"""


def read(text: str, targets: Mapping[str, Target] = TARGETS) -> tuple[TestCase, ...]:
    reader = Reader(targets, documented=DOCUMENTED)
    for line in text.splitlines():
        reader.feed(line)
    return reader.finish()


def counts(text: str) -> list[tuple[str, str]]:
    return [(case.name, case.status.value) for case in read(text)]


def batch(*lines: str, passed: int = 0, failed: int = 0) -> str:
    word = "FAILED" if failed else "ok"
    return "\n".join(
        (
            f"     Running tests/api.rs (/t/debug/deps/{API})",
            "",
            f"running {passed + failed} tests",
            *lines,
            "",
            f"test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; "
            "0 filtered out; finished in 0.00s",
            "",
        )
    )


def test_a_whole_run_is_read() -> None:
    assert counts(WHOLE) == [
        ("shelf::more::child", "passed"),
        ("shelf::more::errs", "failed"),
        ("shelf::more::fails", "failed"),
        ("shelf::more::ig", "skipped"),
        ("shelf::more::sp", "failed"),
        ("shelf::tests::it_works", "passed"),
        ("shelf::api::a", "passed"),
        ("shelf::api::b", "passed"),
        ("shelf::src/lib.rs - three (line 30)", "passed"),
        ("shelf::src/lib.rs - two (line 16)", "passed"),
        ("shelf::src/lib.rs - two (line 19)", "error"),
    ]


def test_a_failure_says_why_and_where() -> None:
    said = {case.name: (case.file, case.message) for case in read(WHOLE) if case.message}
    assert said == {
        "shelf::more::errs": ("src/lib.rs", 'Error: "no"'),
        "shelf::more::fails": (
            "src/lib.rs",
            "assertion `left == right` failed: why: 3 left: 1 right: 2 (src/lib.rs:26:18)",
        ),
        "shelf::more::sp": ("src/lib.rs", "test did not panic as expected at src/lib.rs:29:8"),
        "shelf::src/lib.rs - two (line 19)": (
            "src/lib.rs",
            "error[E0425]: cannot find function `nothing` in crate `shelf`",
        ),
    }


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            ["thread 'a' panicked at 'assertion failed: x', src/lib.rs:3:5", "note: run with"],
            "assertion failed: x (src/lib.rs:3:5)",
        ),
        (
            [
                "thread 'a' panicked at 'assertion failed: `(left == right)`",
                "  left: `1`,",
                " right: `2`', src/lib.rs:3:5",
            ],
            "assertion failed: `(left == right)` left: `1`, right: `2` (src/lib.rs:3:5)",
        ),
        (["thread 'a' panicked at src/lib.rs:3:5:", "boom"], "boom (src/lib.rs:3:5)"),
        (["thread 'a' panicked at 'broken off"], "'broken off"),
        (["said something", ""], "said something"),
        ([], ""),
    ],
)
def test_messages_of_old_and_new_versions_are_read(block: list[str], message: str) -> None:
    assert rust_reports.message_of(block) == message


def test_with_one_thread_output_stands_between_name_and_result() -> None:
    text = batch("test a ... from child", "and more", "ok", "test b ... loudFAILED", passed=1)
    assert counts(text)[:2] == [("shelf::api::a", "passed"), ("shelf::api::b", "failed")]


def test_a_name_that_is_lost_is_still_counted() -> None:
    text = batch("te\x00st a ... ok", "test b ... ok", passed=3)
    assert counts(text) == [
        ("shelf::api::b", "passed"),
        (f"shelf::api::{rust_reports.LOST}", "passed"),
        (f"shelf::api::{rust_reports.LOST}", "passed"),
    ]


def test_a_test_that_prints_the_words_of_the_runner_changes_no_other() -> None:
    lines = (
        "test a ... FAILED",
        "",
        "failures:",
        "",
        "---- a stdout ----",
        "failures:",
        "    b",
        "thread 'a' panicked at tests/api.rs:1:1:",
        "no",
        "",
        "failures:",
        "    a",
    )
    assert counts(batch(*lines, failed=1)) == [("shelf::api::a", "failed")]


def test_a_program_that_dies_leaves_an_error_that_says_how() -> None:
    text = f"""\
     Running tests/api.rs (/t/debug/deps/{API})

running 2 tests
test a ... ok
error: test failed, to rerun pass `--test api`

Caused by:
  process didn't exit successfully: `/t/debug/deps/{API}` (signal: 6, SIGABRT: process abort signal)
     Running unittests src/lib.rs (/t/debug/deps/{LIB})

running 1 test
test x ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
"""
    cases = read(text)
    assert [(case.name, case.status.value) for case in cases] == [
        ("shelf::api::a", "passed"),
        ("shelf::api", "error"),
        ("shelf::x", "passed"),
    ]
    assert cases[1].message == (
        "(the test program ended before its tests did) (signal: 6, SIGABRT: process abort signal)"
    )


@pytest.mark.parametrize(
    ("end", "status", "message"),
    [
        ("", "passed", ""),
        ("error: test failed, to rerun pass `--test api`", "failed", "two of three are wrong"),
    ],
)
def test_a_harness_of_its_own_is_one_test(end: str, status: str, message: str) -> None:
    text = f"     Running tests/api.rs (/t/debug/deps/{API})\ntwo of three are wrong\n{end}\n"
    (case,) = read(text)
    assert (case.name, case.status.value, case.message) == ("shelf::api", status, message)


def test_a_program_that_nobody_built_is_none() -> None:
    text = batch("test a ... ok", passed=1).replace(API, "other-0000000000000000")
    assert read(text) == ()


_NOISE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=30)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,8}(::[a-z][a-z_]{0,8})?", fullmatch=True),
        st.sampled_from(["ok", "FAILED", "ignored"]),
        min_size=1,
        max_size=8,
    ),
    st.lists(_NOISE, max_size=4),
)
def test_the_counts_are_those_of_the_summary_whatever_is_printed(
    tests: dict[str, str], noise: list[str]
) -> None:
    lines = [f"test {name} ... {word}" for name, word in tests.items()]
    noisy = [
        each for pair in zip(lines, [*noise, *[""] * len(lines)], strict=False) for each in pair
    ]
    failed = sorted(name for name, word in tests.items() if word == "FAILED")
    tail = ["", "failures:", *(f"---- {name} stdout ----" for name in failed), "", "failures:"]
    tail += [f"    {name}" for name in failed]
    words = list(tests.values())
    text = "\n".join(
        (
            f"     Running tests/api.rs (/t/debug/deps/{API})",
            f"running {len(tests)} tests",
            *noisy,
            *(tail if failed else ()),
            f"test result: x. {words.count('ok')} passed; {len(failed)} failed; "
            f"{words.count('ignored')} ignored; 0 measured".replace(
                "x.", "FAILED." if failed else "ok."
            ),
        )
    )
    cases = read(text)
    for status, word in (
        (CaseStatus.PASSED, "ok"),
        (CaseStatus.FAILED, "FAILED"),
        (CaseStatus.SKIPPED, "ignored"),
    ):
        assert sum(case.status is status for case in cases) == words.count(word)


@given(st.lists(st.sampled_from([*WHOLE.splitlines(), "    x", "ok", "test"]), max_size=60))
def test_no_output_breaks_the_reader(lines: list[str]) -> None:
    cases = read("\n".join(lines))
    assert all(case.name for case in cases)
