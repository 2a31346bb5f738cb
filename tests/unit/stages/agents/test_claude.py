"""The kind `claude`, with a program in the CLI's place that does what the CLI could."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pressplay.api import policy
from pressplay.base.errors import Refused
from pressplay.stages.agents import claude
from pressplay.stages.agents.port import Job, Worked
from pressplay.stages.handover import Context
from pressplay.stages.limits import Limits
from pressplay.stages.transcripts import Transcript

FAKE = Path(__file__).with_name("fake_claude.py")
SHA = "1" * 40

Work = Callable[..., tuple[Worked, str]]


def _context() -> Context:
    return Context(
        role="rex",
        run="implement-r1-i7",
        owner="captain",
        repo="app",
        pr="",
        issue="7",
        title="Count the items",
        branch="pressplay/issue-7",
        base_ref="main",
        base_sha=SHA,
        head_sha=SHA,
        fork=False,
        kind="claude",
        default_kind="",
        timeout_s=30,
        policy=policy.Record(policy=policy.DEFAULT, base_sha=SHA),
    )


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Lets the fake do a part; what came of it, and what people read."""

    def do(part: str, **change: Any) -> tuple[Worked, str]:
        for name in ("work", "program", "home"):
            (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / "task.md").write_text("/help is not a command, it is the task\n")
        (tmp_path / "system.md").write_text("--be good\n")
        words = [sys.executable, str(FAKE), part]
        (tmp_path / "program/claude.json").write_text(json.dumps(words))
        given: dict[str, Any] = {
            "context": _context(),
            "workspace": tmp_path / "work",
            "program": tmp_path / "program",
            "task": tmp_path / "task.md",
            "system": tmp_path / "system.md",
            "path": os.environ["PATH"],
            "home": tmp_path / "home",
            "timeout_s": 20.0,
            "model_url": "http://127.0.0.1:9",
            "limits": Limits(usd=5, turns=60),
        }
        transcript = Transcript(redact=lambda text: text, write=lambda text: None)
        worked = claude.work(Job(**(given | change)), transcript)
        return worked, transcript.text()

    return do


def test_the_task_comes_on_standard_input_and_never_as_an_argument(
    work: Work, tmp_path: Path
) -> None:
    worked, _ = work("records", model="opus")
    assert worked.exit_code == 0
    told = json.loads((tmp_path / "work/told.json").read_text())
    assert told["stdin"] == "/help is not a command, it is the task\n"
    assert "the task" not in " ".join(told["argv"])
    assert "--append-system-prompt=--be good\n" in told["argv"]
    assert {"--model=opus", "--max-turns=60", "--max-budget-usd=5"} <= set(told["argv"])


def test_no_settings_of_the_repository_are_asked_for(work: Work, tmp_path: Path) -> None:
    work("records")
    argv = json.loads((tmp_path / "work/told.json").read_text())["argv"]
    assert {"--bare", "--setting-sources=", "--strict-mcp-config"} <= set(argv)
    assert "--disable-slash-commands" in argv
    assert not any("dangerously" in each or "bypass" in each for each in argv)


def test_the_environment_is_ours_and_an_object_cannot_lead_the_cli_elsewhere(
    work: Work, tmp_path: Path
) -> None:
    variables = {
        "PIP_INDEX_URL": "https://mirror.example",
        "NODE_EXTRA_CA_CERTS": "/etc/ssl/ca.pem",
        "ANTHROPIC_BASE_URL": "https://evil.example",
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "NODE_OPTIONS": "--require /evil.js",
        "HOME": "/root",
    }
    work("records", variables=variables)
    found = json.loads((tmp_path / "work/told.json").read_text())["env"]
    assert found["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert found["ANTHROPIC_API_KEY"] == claude.KEY
    assert found["HOME"] == str(tmp_path / "home")
    assert found["PIP_INDEX_URL"] == "https://mirror.example"
    assert found["NODE_EXTRA_CA_CERTS"] == "/etc/ssl/ca.pem"
    assert found["DISABLE_AUTOUPDATER"] == "1"
    assert found["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert not {"CLAUDE_CODE_USE_BEDROCK", "NODE_OPTIONS", "PRESSPLAY_ROOT"} & set(found)


def test_cost_turns_session_and_version_are_kept(work: Work) -> None:
    worked, text = work("records")
    assert worked.cost["usd"] == 0.5
    assert worked.cost["turns"] == 2
    assert (worked.cost["model"], worked.cost["version"]) == ("m-1", "9.9.9")
    assert worked.cost["session"] == "s"
    assert "Written by Claude Code 9.9.9 (m-1)" in worked.message
    assert "claude: success, 2 turns, $0.5000" in text


@pytest.mark.parametrize(
    ("part", "code", "said"),
    [
        ("asks", 0, "asked a question, and nobody is there to answer: Which of the two do you"),
        ("turns", 1, "used up its 60 turns; raise max_turns"),
        ("budget", 1, r"used up its \$5; raise max_usd"),
        ("breaks", 1, "gave up: it broke"),
        ("refused", 1, r"service answered 403\): API Error: 403 pressplay: the budget of \$5"),
        ("dies", -9, "ended by signal 9; last: claude: version 9.9.9, model m-1"),
        ("leaves", 7, "exit code 7 and gave no result; last: fatal: no memory"),
        ("garbage", 1, "exit code 0 and gave no result; last: not json"),
    ],
)
def test_each_way_to_end_has_its_reason(work: Work, part: str, code: int, said: str) -> None:
    worked, text = work(part)
    assert worked.exit_code == code
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(worked.said)
    assert worked.exit_code == 0 or worked.said in text


def test_one_that_never_ends_is_ended_with_all_that_it_started(work: Work, tmp_path: Path) -> None:
    begun = time.monotonic()
    worked, text = work("hangs", timeout_s=0.4)
    assert time.monotonic() - begun < 15
    assert worked.exit_code is None
    assert worked.said == "the agent did not end within 0 s; last: I wait."
    assert "I wait." in text
    time.sleep(0.9)
    assert not (tmp_path / "work/child-lived-on").exists()


def test_without_a_way_to_a_model_nothing_is_started(work: Work, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="set ANTHROPIC_API_KEY"):
        work("records", model_url="")
    assert not (tmp_path / "work/told.json").exists()


def test_a_version_that_would_heed_the_repositorys_settings_is_refused(work: Work) -> None:
    with pytest.raises(Refused, match=r"knows no --output-format, --setting-sources.*update it"):
        work("old")


def test_a_program_that_does_not_start_is_refused(work: Work) -> None:
    with pytest.raises(Refused, match="does not start here: Usage"):
        work("broken")


def test_the_program_is_the_one_of_the_image_where_none_is_mounted(tmp_path: Path) -> None:
    assert claude.read_program(tmp_path) == ("claude",)


@pytest.mark.parametrize("text", ["[]", '"claude"', "[1]", "{}"])
def test_words_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / claude.FILE).write_text(text)
    with pytest.raises(Refused, match="must be a JSON list of words"):
        claude.read_program(tmp_path)
