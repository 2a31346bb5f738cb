"""What a stage returns or raises becomes an exit code, a reason and a word to the user."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.stages import wrapper
from pressplay.stages.environment import Ending, Outcome, StageEnvironment

TOKEN = "ghp_" + "a" * 36


@pytest.fixture
def env(tmp_path: Path) -> StageEnvironment:
    return StageEnvironment(variables={"PRESSPLAY_OUT": str(tmp_path / "out")})


def raising(error: BaseException) -> Callable[[StageEnvironment], Outcome]:
    def stage(_env: StageEnvironment) -> Outcome:
        raise error

    return stage


def test_a_pass_without_a_reason_leaves_no_reason_file(env: StageEnvironment) -> None:
    assert wrapper.run("x", lambda _: Outcome(), env) == 0
    assert not (env.out / "reason").exists()


def test_a_pass_with_a_reason_writes_it_and_is_no_error(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrapper.run("x", lambda _: Outcome(reason="covered"), env) == 0
    assert (env.out / "reason").read_text() == "covered"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("stage", "code", "reason"),
    [
        (lambda _: Outcome(Ending.FAIL, "too\n slow"), 1, "too slow"),
        (lambda _: Outcome(Ending.INCONCLUSIVE, "few"), 4, "few"),
        (lambda _: Outcome(Ending.FAIL), 1, "Ended with exit code 1 and gave no reason"),
        (raising(Refused("Parameter x is bad; use y")), 2, "Parameter x is bad; use y"),
        (raising(Unavailable("GitHub answers 502")), 3, "GitHub answers 502"),
        (raising(OSError(errno.ENOSPC, "full", "/out/x")), 3, "No space left on device at /out/x"),
        (raising(KeyError("x")), 70, "Stage x met a bug of its own (KeyError); see its log"),
        (raising(RecursionError()), 70, "Stage x met a bug of its own (RecursionError)"),
        (raising(wrapper.Stopped(143)), 143, "Stage x was stopped from outside"),
    ],
)
def test_every_ending_has_its_code_and_one_line_of_reason(
    *,
    env: StageEnvironment,
    capsys: pytest.CaptureFixture[str],
    stage: wrapper.Stage,
    code: int,
    reason: str,
) -> None:
    assert wrapper.run("x", stage, env) == code
    written = (env.out / "reason").read_text()
    assert written.startswith(reason)
    assert "\n" not in written
    assert capsys.readouterr().err == f"Error: {written}\n"


def test_the_trace_of_a_bug_goes_to_the_log_without_secrets(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrapper.run("x", raising(ValueError(TOKEN)), env) == 70
    said = capsys.readouterr()
    assert "Traceback" in said.out
    assert "ValueError: ***" in said.out
    assert TOKEN not in said.out + said.err


def test_a_secret_in_a_refusal_is_not_repeated(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrapper.run("x", raising(Refused(f"bad token {TOKEN}")), env) == 2
    assert TOKEN not in capsys.readouterr().err + (env.out / "reason").read_text()


def test_a_reason_that_cannot_be_written_does_not_change_the_code(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    env.out.parent.joinpath("out").write_text("a file where the folder should be")
    assert wrapper.run("x", raising(Refused("no")), env) == 2
    assert "reason could not be written" in capsys.readouterr().err


def test_a_message_that_says_error_says_it_once(
    env: StageEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapper.run("x", raising(Refused("Error: as the contract words it")), env)
    assert capsys.readouterr().err == "Error: as the contract words it\n"
