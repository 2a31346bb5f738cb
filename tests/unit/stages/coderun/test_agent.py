"""The agent's pod: what comes out, whatever the agent does."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WriteCommit = Callable[..., str]
RunGit = Callable[..., str]
START = {"app.py": "x = 1\n", "tests/test_app.py": "def test_it():\n    assert True\n"}


def program(code: str) -> dict[str, str]:
    """An agent that is a Python program."""
    command = [sys.executable, "/etc/pressplay/agent/agent.py"]
    return {"command.json": json.dumps(command), "agent.py": code}


@pytest.fixture
def origin(tmp_path: Path, write_commit: WriteCommit) -> Path:
    write_commit(tmp_path / "origin", START)
    return tmp_path / "origin"


@pytest.fixture
def work(pods: Any, origin: Path, run_git: RunGit) -> Callable[..., Any]:
    """Runs an agent's program on the origin; answers the pods."""

    def run(code: str, **change: Any) -> Any:
        head = run_git(origin, "git", "rev-parse", "HEAD")
        pods.prepared(origin, base=head, head=head, **change)
        assert pods.run("agent", program(code)) == 0
        return pods

    return run


def test_uncommitted_changes_are_committed_under_the_roles_name(
    work: Callable[..., Any], tmp_path: Path, run_git: RunGit
) -> None:
    pods = work("open('app.py', 'a').write('y = 2\\n'); open('new.txt', 'w').write('n')")
    result = pods.result()
    assert (result["outcome"], result["exit_code"], result["kind"]) == ("changed", 0, "command")
    assert len(result["commits"]) == 1
    files = pods.files()
    assert files["app.py"] == b"x = 1\ny = 2\n"
    assert files["new.txt"] == b"n"
    looking = next(pods.root.glob("looking-*[0-9]"))
    said = run_git(looking, "git", "log", "-1", "--format=%an <%ae>%n%B", result["head"])
    assert said.startswith("rex[bot] <rex[bot]@users.noreply.pressplay.dev>\nCount the items\n")
    assert "Task: captain/app, issue #7" in said


def test_commits_of_the_agent_are_kept(work: Callable[..., Any]) -> None:
    pods = work(
        "import subprocess as s\n"
        "for n in 'ab':\n"
        "    open(n, 'w').write(n)\n"
        "    s.run(['git', 'add', '-A'], check=True)\n"
        "    s.run(['git', 'commit', '-qm', n], check=True)\n"
        "open('c', 'w').write('c')\n"
    )
    assert len(pods.result()["commits"]) == 3
    assert {"a", "b", "c"} <= set(pods.files())


def test_the_agent_gets_its_task_and_no_more_environment(work: Callable[..., Any]) -> None:
    pods = work(
        "import json, os\n"
        "json.dump(dict(os.environ), open('env.json', 'w'))\n"
        "open('task.txt', 'w').write(open(os.environ['PRESSPLAY_TASK_FILE']).read())\n"
    )
    seen = json.loads(pods.files()["env.json"])
    assert seen["PRESSPLAY_ROLE"] == "rex"
    assert len(seen["PRESSPLAY_BASE_SHA"]) == 40
    assert pods.files()["task.txt"] == b"# Task\n"
    assert not any("TOKEN" in name or name == "PRESSPLAY_REQUEST" for name in seen)
    assert {name for name in seen if name.startswith("PRESSPLAY_")} == {
        "PRESSPLAY_ROLE",
        "PRESSPLAY_TASK_FILE",
        "PRESSPLAY_SYSTEM_FILE",
        "PRESSPLAY_BASE_SHA",
        "PRESSPLAY_HEAD_SHA",
    }


def test_an_agent_that_changes_nothing_is_unchanged(work: Callable[..., Any]) -> None:
    pods = work("print('I would rather not')")
    assert pods.result()["outcome"] == "unchanged"
    assert pods.result()["message"] == "I would rather not"
    assert not (pods.root / "agent/out/work/changes.bundle").exists()


def test_an_agent_that_fails_is_told_by_its_exit_code(work: Callable[..., Any]) -> None:
    pods = work("open('half', 'w').write('h'); raise SystemExit(3)")
    result = pods.result()
    assert (result["outcome"], result["exit_code"]) == ("failed", 3)
    assert result["message"] == "the agent ended with exit code 3"


def test_an_agent_past_its_deadline_is_ended_with_its_children(work: Callable[..., Any]) -> None:
    pods = work(
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "subprocess.Popen(['sleep', '60'])\n"
        "print('thinking', flush=True)\n"
        "time.sleep(60)\n",
        timeout_s=1,
    )
    result = pods.result()
    assert (result["outcome"], result["exit_code"]) == ("timeout", None)
    assert "did not end within 1 s" in result["message"]


def test_hooks_and_settings_that_the_agent_plants_have_no_effect(
    work: Callable[..., Any], tmp_path: Path
) -> None:
    trap = f"touch {tmp_path}/pwned"
    pods = work(
        "import os, subprocess as s\n"
        f"trap = {trap!r}\n"
        "for hook in ('pre-commit', 'post-index-change', 'reference-transaction', 'post-commit'):\n"
        "    path = f'.git/hooks/{hook}'\n"
        "    os.makedirs('.git/hooks', exist_ok=True)\n"
        "    open(path, 'w').write(f'#!/bin/sh\\n{trap}\\n')\n"
        "    os.chmod(path, 0o755)\n"
        "for key in ('core.fsmonitor', 'filter.x.clean', 'filter.x.process', 'core.sshCommand'):\n"
        "    s.run(['git', 'config', key, trap], check=True)\n"
        "s.run(['git', 'config', 'core.worktree', '/'], check=True)\n"
        "open('.gitattributes', 'w').write('* filter=x\\n')\n"
        "open('new.txt', 'w').write('n')\n"
    )
    assert pods.result()["outcome"] == "changed"
    assert set(pods.files()) == {*START, ".gitattributes", "new.txt"}
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "damage",
    [
        "shutil.rmtree('.git')",
        "shutil.rmtree('.git'); os.symlink('/etc', '.git')",
        "os.unlink('.git/HEAD'); os.mkfifo('.git/HEAD')",
        "open('.git/HEAD', 'w').write('ref: refs/heads/../../../../etc/passwd')",
        "open('.git/HEAD', 'w').write('f' * 40)",
        "shutil.rmtree('.git/objects'); os.symlink('/', '.git/objects')",
        "shutil.rmtree('.git/objects')",
    ],
)
def test_a_damaged_repository_costs_the_history_and_not_the_files(
    work: Callable[..., Any], damage: str
) -> None:
    pods = work(f"import os, shutil\nopen('new.txt', 'w').write('n')\n{damage}\n")
    assert pods.result()["outcome"] == "changed"
    assert len(pods.result()["commits"]) == 1
    assert set(pods.files()) == {*START, "new.txt"}


def test_rewritten_history_becomes_one_commit_on_the_head(
    work: Callable[..., Any], origin: Path, write_commit: WriteCommit, run_git: RunGit
) -> None:
    write_commit(origin, {"app.py": "x = 2\n"})
    pods = work(
        "import subprocess as s\n"
        "s.run(['git', 'reset', '-q', '--hard', 'HEAD~1'], check=True)\n"
        "open('other', 'w').write('o')\n"
        "s.run(['git', 'add', '-A'], check=True)\n"
        "s.run(['git', 'commit', '-qm', 'forced'], check=True)\n"
    )
    head = run_git(origin, "git", "rev-parse", "HEAD")
    assert len(pods.result()["commits"]) == 1
    assert pods.files()["app.py"] == b"x = 1\n"
    looking = next(pods.root.glob("looking-*[0-9]"))
    assert run_git(looking, "git", "rev-parse", f"{pods.result()['head']}^") == head


def test_work_on_another_branch_counts(work: Callable[..., Any]) -> None:
    pods = work(
        "import subprocess as s\n"
        "s.run(['git', 'checkout', '-qb', 'mine'], check=True)\n"
        "open('a', 'w').write('a')\n"
        "s.run(['git', 'add', '-A'], check=True)\n"
        "s.run(['git', 'commit', '-qm', 'a'], check=True)\n"
        "s.run(['git', 'pack-refs', '--all'], check=True)\n"
    )
    assert len(pods.result()["commits"]) == 1
    assert "a" in pods.files()


def test_litter_of_tools_is_left_out(work: Callable[..., Any]) -> None:
    pods = work(
        "import os\n"
        "os.makedirs('__pycache__'); open('__pycache__/app.pyc', 'w').write('x')\n"
        "os.makedirs('.venv/bin'); open('.venv/bin/python', 'w').write('x')\n"
        "open('app.py', 'w').write('x = 3\\n')\n"
    )
    assert set(pods.files()) == set(START)


def test_a_workspace_that_was_swapped_for_a_link_is_a_failure(work: Callable[..., Any]) -> None:
    pods = work(
        "import os, shutil\nhere = os.getcwd()\nshutil.rmtree(here); os.symlink('/etc', here)\n"
    )
    assert pods.result()["outcome"] == "failed"
    assert "replaced its workspace" in pods.result()["message"]


def test_a_printed_token_reaches_neither_log_nor_result(
    work: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    token = "ghs_" + "A1b2" * 9
    key = "-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA75\\n-----END RSA PRIVATE KEY-----"
    pods = work(f"print('my token is {token}')\nprint('{key}')\nprint('{token}')")
    log = pods.artifact("agent", "rex/logs.txt").read_text()
    everything = capfd.readouterr().out + log + pods.out("agent", "work/result.json")
    assert token not in everything
    assert "MIIEpAIBAAKCAQEA75" not in everything
    assert "my token is ***" in log


def test_endless_output_is_cut_in_the_middle(work: Callable[..., Any]) -> None:
    pods = work("for n in range(60_000): print(f'line {n} ' + 'x' * 20)")
    log = pods.artifact("agent", "rex/logs.txt").read_text()
    assert len(log) < 700_000
    assert "line 0 " in log
    assert "lines left out" in log
    assert "line 59999 " in log


def test_a_title_of_a_stranger_becomes_one_line(work: Callable[..., Any], run_git: RunGit) -> None:
    title = "Hello\n\nSigned-off-by: Boss <boss@example.com>\x1b[31m " + "x" * 200
    pods = work("open('n', 'w').write('n')", title=title)
    pods.files()
    looking = next(pods.root.glob("looking-*[0-9]"))
    subject, _, body = run_git(
        looking, "git", "log", "-1", "--format=%B", pods.result()["head"]
    ).partition("\n")
    assert subject.startswith("Hello Signed-off-by: Boss <boss@example.com> [31m x")
    assert len(subject) <= 72
    assert "Signed-off-by" not in body


def test_a_missing_program_says_how_to_give_one(pods: Any, origin: Path, run_git: RunGit) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent") == 2
    assert "command.json" in pods.reason("agent")
    pods.prepared(origin, base=head, head=head, kind="command")
    assert pods.run("agent") == 2
    assert '["my-agent", "--yes"]' in pods.reason("agent")


def test_claude_without_a_way_to_a_model_is_refused_with_what_to_do(
    pods: Any, origin: Path, run_git: RunGit
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head, default_kind="claude")
    assert pods.run("agent") == 2
    assert "No way to a model" in pods.reason("agent")
    assert "ANTHROPIC_API_KEY" in pods.reason("agent")


def test_a_mounted_program_wins_over_the_installations_default(
    work: Callable[..., Any],
) -> None:
    assert work("pass", default_kind="claude").result()["kind"] == "command"


def test_a_program_that_cannot_be_started_is_refused(
    pods: Any, origin: Path, run_git: RunGit
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent", {"command.json": '["no-such-program"]'}) == 2
    assert "no-such-program" in pods.reason("agent")


SCENARIO = """
rex:
  message: Do it
  changes:
    - {write: sub/new.py, content: "a = 1\\n"}
    - {replace: app.py, old: "x = 1", new: "x = 2"}
"""


def test_a_scripted_agent_says_everywhere_that_it_is_one(
    pods: Any, origin: Path, run_git: RunGit
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent", {"scenario.yaml": SCENARIO}) == 0
    assert pods.result()["kind"] == "scripted"
    assert pods.files()["app.py"] == b"x = 2\n"
    assert pods.files()["sub/new.py"] == b"a = 1\n"
    log = pods.artifact("agent", "rex/logs.txt").read_text().splitlines()
    assert log
    assert all(line.startswith("scripted agent:") for line in log)
    looking = next(pods.root.glob("looking-*[0-9]"))
    said = run_git(looking, "git", "log", "-1", "--format=%B", pods.result()["head"])
    assert said.startswith("Do it\n")
    assert "not made by a model" in said


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("rex: {changes: [{write: ../out, content: x}]}", "leaves its folder"),
        ("rex: {changes: [{write: .git/hooks/x, content: x}]}", "lies in .git"),
        ("rex: {changes: [{replace: app.py, old: nothing, new: x}]}", "0 times"),
        ("rex: {changes: [{replace: none.py, old: a, new: x}]}", "not there"),
    ],
)
def test_a_scenario_that_does_not_fit_is_a_failure_with_its_reason(
    pods: Any, origin: Path, run_git: RunGit, scenario: str, words: str
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent", {"scenario.yaml": scenario}) == 0
    assert pods.result()["outcome"] == "failed"
    assert words in pods.result()["message"]


def test_a_role_without_a_part_changes_nothing(pods: Any, origin: Path, run_git: RunGit) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent", {"scenario.yaml": "qa: {}"}) == 0
    assert pods.result()["outcome"] == "unchanged"


def test_clippy_needs_no_program_and_commits_what_the_tools_make(
    pods: Any, tmp_path: Path, write_commit: WriteCommit
) -> None:
    head = write_commit(tmp_path / "ugly", {"app.py": "import os\nx={'a':1}\n"})
    pods.role = "clippy"
    pods.prepared(tmp_path / "ugly", base=head, head=head)
    assert pods.run("agent") == 0
    assert (pods.result()["kind"], pods.result()["outcome"]) == ("toolchain", "changed")
    assert pods.files()["app.py"] == b'x = {"a": 1}\n'
    assert pods.run("agent") == 0


def test_clippy_leaves_a_clean_tree_alone(pods: Any, origin: Path, run_git: RunGit) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.role = "clippy"
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent") == 0
    assert pods.result()["outcome"] == "unchanged"


def test_variables_of_the_object_reach_the_program_but_not_ours(
    pods: Any, origin: Path, run_git: RunGit
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    pods.request = {"env": [{"name": "LEVEL", "value": "3"}, {"name": "GIT_DIR", "value": "/etc"}]}
    code = "import os, json; json.dump(dict(os.environ), open('env.json', 'w'))"
    assert pods.run("agent", program(code)) == 0
    seen = json.loads(pods.files()["env.json"])
    assert seen["LEVEL"] == "3"
    assert "GIT_DIR" not in seen
