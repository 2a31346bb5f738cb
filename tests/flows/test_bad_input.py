"""What cannot be used is answered well: what, where, what next, the right exit code, the proof.

The messages that are asserted here are those of docs/guides/troubleshooting.md.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.api import names
from pressplay.app.wiring import OPERATOR
from pressplay.pods import sandboxing

if TYPE_CHECKING:
    from tests.flows.conftest import Called, Machine

ISSUE = "# Greet with a wave\n\nSay hello, and a wave.\n"
SMALL = 2 * 1024 * 1024
"""Bytes of a disk that is soon full."""

TEST = (
    "import greeter\n\n\ndef test_it_waves():\n"
    '    assert greeter.answer("/")[1] == "hello, and a wave"\n'
)
WAVE = """#!/usr/bin/env python3
import os, pathlib
path = pathlib.Path("greeter.py")
if os.environ["PRESSPLAY_ROLE"] == "rex":
    path.write_text(path.read_text().replace("hello", "hello, and a wave"))
else:
    pathlib.Path("tests/test_wave.py").write_text({test!r})
"""


def git(where: Path, *arguments: str) -> str:
    # Many files would make git tidy up by itself, in the background and inside `.git`.
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "gc.auto=0")
    command: list[str] = ["git", "-C", str(where), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@dataclass
class World:
    """A machine that the tests of this file share, and one repository on it."""

    machine: Machine
    repository: Path
    folder: Path

    def change(self, path: str, before: str, after: str) -> None:
        """Edit a file of the repository and commit."""
        file = self.repository / path
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "-qm", "change")

    def agent(self, text: str = "") -> Path:
        """A program; by default one that does what is asked."""
        program = self.folder / "agent"
        program.write_text(text or WAVE.format(test=TEST))
        program.chmod(0o755)
        return program

    def run(
        self, *program: str | Path, issue: str = ISSUE, env: dict[str, str] | None = None
    ) -> Called:
        """`pressplay run` on the repository, as JSON."""
        path = self.folder / "issue.md"
        path.write_text(issue)
        arguments = ("run", "--repo", self.repository, "--issue", path, "--output", "json")
        return self.machine.call(*arguments, "--", *(program or (self.agent(),)), env=env)

    def state(self) -> dict[str, str]:
        """All of the repository but its branches."""
        inside = (self.repository / ".git").iterdir() if (self.repository / ".git").exists() else ()
        return {
            "status": git(self.repository, "status", "--porcelain", "--branch"),
            "head": git(self.repository, "rev-parse", "HEAD"),
            "config": (self.repository / ".git" / "config").read_text(),
            "files": "\n".join(sorted(each.name for each in inside)),
        }

    def previews(self) -> list[str]:
        """Of this repository."""
        mark = names.repo_hash(OPERATOR, self.repository.name)
        with self.machine.kube() as kube:
            found = kube.list("Namespace", "", labels=f"pressplay.dev/repo={mark}")
        return [each["metadata"]["name"] for each in found]

    def tidy(self) -> None:
        """Take the previews away, as a user would."""
        for pull in self.pulls():
            arguments = ("--repo", f"{OPERATOR}/{self.repository.name}", "--yes")
            done = self.machine.call("preview", "destroy", str(pull["number"]), *arguments)
            assert done.code == 0, done.out + done.err

    def pulls(self) -> list[dict[str, Any]]:
        found: dict[str, Any] = self.machine.world()["repositories"]
        pulls: list[dict[str, Any]] = found.get(self.repository.name, {"pulls": []})["pulls"]
        return pulls


@pytest.fixture
def world(
    shared: Machine, repository: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    """A repository with a name of its own; afterwards it is as it was, and no preview is left."""
    named = repository.rename(tmp_path / f"greeter-{abs(hash(request.node.name)) % 10**8}")
    found = World(shared, named, tmp_path)
    yield found
    left = found.previews()
    assert left == [], left


def refused(done: Called) -> str:
    """The message of a command that refused to start anything."""
    assert done.code == 2, done.out + done.err
    message: str = json.loads(done.out)["error"]["message"]
    return message


def failed(world: World, done: Called) -> dict[str, Any]:
    """The summary of a run that a gate stopped: not approved, and with its proof."""
    assert done.code == 1, done.out + done.err
    summary = done.json()
    assert all(not pull["reviews"] for pull in world.pulls())
    verified = world.machine.call("evidence", "verify", summary["bundle"], "--output", "json")
    assert verified.code == 0, verified.out
    assert verified.json()["verdict"] != "pass"
    return summary


# The repository


def test_an_unknown_repository_is_named(shared: Machine, tmp_path: Path) -> None:
    issue = tmp_path / "issue.md"
    issue.write_text(ISSUE)
    arguments = ("--issue", issue, "--output", "json", "--", "true")
    said = refused(shared.call("run", "--repo", tmp_path / "nowhere", *arguments))
    assert "there is no such folder" in said
    (tmp_path / "plain").mkdir()
    said = refused(shared.call("run", "--repo", tmp_path / "plain", *arguments))
    assert "is no git repository; run `git init` there and commit" in said


def test_a_repository_without_commits_is_told_to_commit(shared: Machine, tmp_path: Path) -> None:
    issue = tmp_path / "issue.md"
    issue.write_text(ISSUE)
    git(tmp_path, "init", "-q")
    done = shared.call(
        "run", "--repo", tmp_path, "--issue", issue, "--output", "json", "--", "true"
    )
    assert "has no commits; commit something to start from" in refused(done)


def test_uncommitted_work_is_no_part_of_the_run_and_stays(world: World) -> None:
    file = world.repository / "greeter.py"
    file.write_text(file.read_text() + "\n# not finished\n")
    (world.repository / "new.txt").write_text("mine")
    before = world.state()
    program = world.agent()
    issue = world.folder / "issue.md"
    issue.write_text(ISSUE)
    done = world.machine.call("run", "--repo", world.repository, "--issue", issue, "--", program)
    assert done.code == 0, done.out + done.err
    assert "uncommitted changes are not part of the run" in done.out
    assert world.state() == before
    assert "# not finished" in file.read_text()
    (pull,) = world.pulls()
    branch = pull["head"]
    assert "not finished" not in git(world.repository, "show", f"{branch}:greeter.py")
    assert "new.txt" not in git(world.repository, "ls-tree", "--name-only", branch)
    world.tidy()


@pytest.mark.timeout(900)
def test_fifty_thousand_files_are_a_repository_like_any_other(world: World) -> None:
    for folder in range(50):
        path = world.repository / "data" / str(folder)
        path.mkdir(parents=True)
        for number in range(1000):
            (path / f"{number}.txt").write_text(f"{folder} {number}\n")
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "-qm", "many files")
    before = world.state()
    done = world.run()
    assert done.code == 0, done.out + done.err
    assert world.state() == before
    world.tidy()


# What is asked


def test_an_empty_issue_is_refused(world: World) -> None:
    said = refused(world.run(issue="\n  \n"))
    assert "is empty; its first line is the title, the rest the task" in said


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("language: python", "langauge: python", "did you mean 'language'?"),
        ("language: python", "language: cobol", "language"),
        ("version: 1", "version: 1\nversion: 1", "version"),
        ("preview:\n", "preview: [\n", ".pressplay.yaml"),
        ("    command: [python3, greeter.py]\n", "", "preview.process.command"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_before_an_agent_works(
    world: World, before: str, after: str, complaint: str
) -> None:
    world.change(".pressplay.yaml", before, after)
    state = world.state()
    done = world.run()
    assert done.code == 2, done.out + done.err
    assert complaint in done.json()["reason"]
    assert world.pulls() == []
    assert world.state() == state


# Tools


def test_a_program_that_is_not_there_is_refused(world: World) -> None:
    said = refused(world.run("no-such-agent"))
    assert "no-such-agent is no program on PATH and no executable file" in said


def test_without_git_nothing_starts(world: World) -> None:
    python = Path(sys.executable).parent
    said = refused(world.run(env={"PATH": str(python)}))
    assert "Program not found: git; install it or put it on PATH" in said


# The agent


def test_an_agent_that_changes_nothing_is_told_so(world: World) -> None:
    summary = failed(world, world.run("true"))
    assert summary["pr"] == {}
    assert "the agent changed nothing and said nothing" in summary["reason"]


def test_an_agent_that_only_asks_a_question_is_quoted(world: World) -> None:
    program = world.agent("#!/bin/sh\necho 'Which greeting do you want?'; read answer; exit 0\n")
    summary = failed(world, world.run(program))
    assert summary["pr"] == {}
    assert "Which greeting do you want?" in summary["reason"]


def test_an_agent_that_never_ends_is_ended(world: World) -> None:
    world.change(".pressplay.yaml", "language: python", "language: python\nagent: {timeout: 10s}")
    program = world.agent("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n")
    summary = failed(world, world.run(program))
    assert "ran out of time" in summary["reason"]
    assert summary["seconds"] < 60


def test_an_agent_that_breaks_the_build_gets_no_further_than_the_tests(world: World) -> None:
    program = world.agent("#!/bin/sh\necho 'def broken(:' >> greeter.py\n")
    summary = failed(world, world.run(program))
    assert summary["urls"] == {}
    assert summary["reason"]


def test_an_agent_that_breaks_a_test_is_told_which(world: World) -> None:
    text = WAVE.format(test=TEST).replace('"hello, and a wave"', '"good bye"')
    summary = failed(world, world.run(world.agent(text)))
    assert "test_it_greets" in summary["reason"]
    assert summary["urls"] == {}


def test_an_agent_that_fails_says_how(world: World) -> None:
    program = world.agent("#!/bin/sh\necho 'no model today' >&2; exit 7\n")
    summary = failed(world, world.run(program))
    assert "the agent failed" in summary["reason"]
    assert "7" in summary["reason"]


def test_work_that_was_left_uncommitted_is_work(world: World) -> None:
    done = world.run()  # the agent of these tests never commits
    assert done.code == 0, done.out + done.err
    world.tidy()


# The app


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("raise SystemExit('the database is missing')", "the database is missing"),
        ("import time; time.sleep(600)", "did not answer"),
    ],
)
def test_an_app_that_does_not_come_up_fails_in_its_own_words(
    world: World, source: str, complaint: str
) -> None:
    start = 'if __name__ == "__main__":\n'
    world.change("greeter.py", start, f"{start}    {source}\n")
    world.change(".pressplay.yaml", "ready: /\n", "ready: /\n    timeout: 10s\n")
    summary = failed(world, world.run())
    assert complaint in summary["reason"]
    assert summary["urls"] == {}


def test_an_app_that_wants_a_port_that_is_taken_fails_in_its_own_words(world: World) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        world.change("greeter.py", 'int(os.environ["PORT"])', str(port))
        summary = failed(world, world.run())
    assert "Address already in use" in summary["reason"]


@pytest.mark.parametrize(("code", "statuses"), [(500, {"500"}), (404, {"404"})])
def test_an_app_that_answers_wrongly_is_not_approved(
    world: World, code: int, statuses: set[str]
) -> None:
    world.change(".pressplay.yaml", "ready: /\n", "ready: /ready\n")
    world.change("greeter.py", '(404, "no")', '((200, "ok") if path == "/ready" else (404, "no"))')
    text = WAVE.format(test=TEST).replace(
        'path.write_text(path.read_text().replace("hello", "hello, and a wave"))',
        f"path.write_text(path.read_text().replace('(200, \"hello\")', '({code}, \"hello, and a wave\")'))",  # noqa: E501 - one line of a program
    )
    summary = failed(world, world.run(world.agent(text)))
    assert summary["verdict"] == "fail"
    (pull,) = world.pulls()
    assert "success" not in [check[1] for check in pull["checks"]]
    report = Path(summary["bundle"]).rglob("report.json")
    found = [json.loads(path.read_text()) for path in report if "acceptance" in str(path)]
    assert not found or set(found[0]["endpoints"][0]["statuses"]) == statuses


def test_an_app_that_hangs_once_it_is_up_is_not_approved(world: World) -> None:
    world.change(".pressplay.yaml", "ready: /\n", "ready: /ready\n")
    world.change("greeter.py", '(404, "no")', '((200, "ok") if path == "/ready" else (404, "no"))')
    world.change(
        "greeter.py",
        "        code, text = answer(self.path)\n",
        '        if self.path == "/":\n            __import__("time").sleep(600)\n'
        "        code, text = answer(self.path)\n",
    )
    summary = failed(world, world.run())
    assert summary["verdict"] == "fail"
    assert summary["seconds"] < 120


# The machine


def test_a_disk_that_is_full_is_said_and_what_was_there_stays(world: World) -> None:
    sandbox = sandboxing.detect()
    if not isinstance(sandbox, sandboxing.Bubblewrap):
        pytest.skip(sandbox.warning)
    state = world.folder / "small"
    state.mkdir()
    issue = world.folder / "issue.md"
    issue.write_text(ISSUE)
    before = world.state()
    small = ("--dev-bind", "/", "/", "--size", str(SMALL), "--tmpfs", str(state))
    ours = (sys.executable, "-m", "pressplay.cli", "--state", str(state), "run", "--output", "json")
    asked = ("--repo", str(world.repository), "--issue", str(issue), "--", str(world.agent()))
    done = subprocess.run(
        [sandbox.program, *small, "--", *ours, *asked],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    said = json.loads(done.stdout)["error"]["message"]
    assert "No space left" in said
    assert str(state) in said
    assert world.state() == before


def test_two_runs_beside_each_other_both_end_well(world: World) -> None:
    issues = [world.folder / f"issue-{number}.md" for number in (1, 2)]
    for issue in issues:
        issue.write_text(f"# Greet with a wave: {issue.stem}\n")
    ends = _together(world, *issues)
    assert [done.code for done in ends] == [0, 0], [done.out + done.err for done in ends]
    numbers = {done.json()["pr"]["number"] for done in ends}
    assert len(numbers) == 2
    world.tidy()


def test_the_same_issue_twice_at_once_is_one_run(world: World) -> None:
    issue = world.folder / "issue.md"
    issue.write_text(ISSUE)
    ends = _together(world, issue, issue)
    assert [done.code for done in ends] == [0, 0], [done.out + done.err for done in ends]
    assert len({done.json()["pr"]["number"] for done in ends}) == 1
    (pull,) = world.pulls()
    assert len(pull["reviews"]) == 1
    world.tidy()


def _together(world: World, *issues: Path) -> list[Called]:
    program = world.agent()
    arguments = ("run", "--repo", world.repository, "--output", "json", "--issue")
    with ThreadPoolExecutor() as pool:
        begun = [
            pool.submit(world.machine.call, *arguments, issue, "--", program) for issue in issues
        ]
        return [each.result() for each in begun]
