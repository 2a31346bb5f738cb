"""Verify's pod: what the gates let through, and what they say no to, with the reason."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pressplay.evidence import shapes

WriteCommit = Callable[..., str]
RunGit = Callable[..., str]

APP = """\
def total(prices: list[int]) -> int:
    return sum(prices)
"""
TEST = """\
from app import total


def test_total() -> None:
    assert total([1, 2]) == 3
"""
PYPROJECT = "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.11'\n"
START = {
    "pyproject.toml": PYPROJECT,
    "app.py": APP,
    "tests/test_app.py": TEST,
    ".gitignore": "__pycache__/\n",
}
DISCOUNT = APP.replace("sum(prices)", "sum(prices) * 9 // 10 if len(prices) > 2 else sum(prices)")


@pytest.fixture
def origin(tmp_path: Path, write_commit: WriteCommit) -> Path:
    write_commit(tmp_path / "origin", START)
    return tmp_path / "origin"


@pytest.fixture
def verify(pods: Any, origin: Path, run_git: RunGit) -> Callable[..., int]:
    """Runs an agent's program in a role, then verify; answers verify's exit code."""

    def run(code: str, role: str = "rex", base: str = "", **change: Any) -> int:
        head = run_git(origin, "git", "rev-parse", "HEAD")
        pods.role = role
        pods.request = {"env": [{"name": "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "value": "1"}]}
        pods.prepared(origin, base=base or head, head=head, **change)
        agent = {"command.json": json.dumps([sys.executable, "/etc/pressplay/agent/a.py"])}
        assert pods.run("agent", agent | {"a.py": code}) == 0
        code_of_verify: int = pods.run("verify")
        if code_of_verify in (0, 1):
            assert pods.verification()["passed"] == (code_of_verify == 0)
        return code_of_verify

    return run


def write(path: str, text: str) -> str:
    """Code of an agent that writes one file."""
    return (
        "import pathlib\n"
        f"p = pathlib.Path({path!r}); p.parent.mkdir(parents=True, exist_ok=True)\n"
        f"p.write_text({text!r})\n"
    )


# Rex


def test_a_change_of_rex_passes(verify: Callable[..., int], pods: Any) -> None:
    assert verify(write("app.py", DISCOUNT)) == 0
    assert pods.verification() == {
        "role": "rex",
        "passed": True,
        "reasons": [],
        "head": pods.result()["head"],
    }


def test_an_implementation_without_a_change_is_none(verify: Callable[..., int], pods: Any) -> None:
    assert verify("pass") == 1
    assert "changed nothing" in pods.reason("verify")


def test_a_failed_agent_does_not_pass(verify: Callable[..., int], pods: Any) -> None:
    assert verify(write("app.py", DISCOUNT) + "raise SystemExit(1)") == 1
    assert pods.reason("verify").startswith(
        "rex: the agent failed: the agent ended with exit code 1"
    )


def test_an_agent_that_ran_out_of_time_does_not_pass(verify: Callable[..., int], pods: Any) -> None:
    assert verify("import time; time.sleep(60)", timeout_s=1) == 1
    assert "ran out of time" in pods.reason("verify")


def test_commits_that_cancel_each_other_out_are_no_implementation(
    verify: Callable[..., int], pods: Any
) -> None:
    code = (
        "import subprocess as s\n"
        "open('x', 'w').write('x'); s.run(['git', 'add', 'x']); s.run(['git', 'commit', '-qmx'])\n"
        "s.run(['git', 'rm', '-q', 'x']); s.run(['git', 'commit', '-qmy'])\n"
    )
    assert verify(code) == 1
    assert "cancel each other out" in pods.reason("verify")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (".pressplay.yaml", "the policy file"),
        (".github/workflows/ci.yml", "configuration of CI"),
        ("sub/CLAUDE.md", "configuration of agents"),
    ],
)
def test_nobody_changes_the_rules_of_the_game(
    verify: Callable[..., int], pods: Any, path: str, what: str
) -> None:
    assert verify(write(path, "x: 1\n")) == 1
    assert f"{path} is {what}, which no agent may change" in pods.reason("verify")


def test_a_forbidden_file_that_a_later_commit_takes_back_is_still_refused(
    verify: Callable[..., int], pods: Any
) -> None:
    code = (
        "import os, subprocess as s\n"
        "os.makedirs('.github'); open('.github/x', 'w').write('x')\n"
        "s.run(['git', 'add', '-A']); s.run(['git', 'commit', '-qmx'])\n"
        "s.run(['git', 'rm', '-q', '.github/x']); open('y', 'w').write('y')\n"
    )
    assert verify(code) == 1
    assert ".github/x is configuration of CI" in pods.reason("verify")


def test_a_link_that_leads_out_is_refused(verify: Callable[..., int], pods: Any) -> None:
    assert verify("import os; os.symlink('../../etc/passwd', 'link')") == 1
    assert "leads out of the repository" in pods.reason("verify")


def test_a_link_inside_is_allowed(verify: Callable[..., int]) -> None:
    assert verify("import os; os.symlink('app.py', 'link')") == 0


def test_a_submodule_is_refused(verify: Callable[..., int], pods: Any) -> None:
    code = (
        "import subprocess as s\n"
        "s.run(['git', 'update-index', '--add', '--cacheinfo', '160000,' + '1' * 40 + ',sub'])\n"
        "s.run(['git', 'commit', '-qm', 'sub'])\n"
    )
    assert verify(code) == 1
    assert "sub is a submodule" in pods.reason("verify")


def test_a_large_file_is_refused(verify: Callable[..., int], pods: Any) -> None:
    assert verify("open('big', 'wb').write(b'0' * (5 * 1024 * 1024 + 1))") == 1
    assert "big has 5242881 bytes; at most 5 MiB" in pods.reason("verify")


@pytest.mark.parametrize("where", ["file", "message"])
def test_a_secret_is_refused_wherever_it_stands(
    verify: Callable[..., int], pods: Any, where: str
) -> None:
    token = "ghp_" + "Ab3d" * 9
    text = token if where == "file" else "x"
    message = token if where == "message" else "x"
    code = (
        "import subprocess as s\n"
        f"open('x', 'w').write('{text}')\n"
        f"s.run(['git', 'add', '-A']); s.run(['git', 'commit', '-qm', '{message}'])\n"
        "s.run(['git', 'rm', '-q', 'x']); s.run(['git', 'commit', '-qm', 'away'])\n"
        "open('y', 'w').write('y')\n"
    )
    assert verify(code) == 1
    assert "looks like a secret" in pods.reason("verify")
    assert token not in pods.reason("verify")


def test_a_secret_that_was_there_before_may_be_taken_away(
    verify: Callable[..., int], origin: Path, write_commit: WriteCommit
) -> None:
    write_commit(origin, {"old.txt": "ghp_" + "Ab3d" * 9 + "\n"})
    assert verify(write("old.txt", "read it from the vault\n")) == 0


def test_commits_in_somebody_elses_name_are_refused(verify: Callable[..., int], pods: Any) -> None:
    code = (
        "import subprocess as s\n"
        "open('x', 'w').write('x'); s.run(['git', 'add', '-A'])\n"
        "s.run(['git', 'commit', '-qm', 'x', '--author', 'Boss <boss@example.com>'])\n"
    )
    assert verify(code) == 1
    assert "its author was changed" in pods.reason("verify")


def test_a_bundle_that_was_swapped_is_refused(verify: Callable[..., int], pods: Any) -> None:
    assert verify(write("app.py", DISCOUNT)) == 0
    path = pods.root / "agent/out/work/result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"head": "1" * 40}))
    assert pods.run("verify") == 1
    assert "cannot be taken in" in pods.reason("verify")
    path.write_text(json.dumps(result | {"commits": []}))
    assert pods.run("verify") == 1
    assert "names a new head, but no commits" in pods.reason("verify")


def test_a_result_that_is_not_ours_is_refused(verify: Callable[..., int], pods: Any) -> None:
    assert verify(write("app.py", DISCOUNT)) == 0
    path = pods.root / "agent/out/work/result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"outcome": "splendid"}))
    assert pods.run("verify") == 2
    path.write_text(json.dumps(result | {"role": "qa"}))
    assert pods.run("verify") == 2


# Clippy


def clippy(pods: Any, origin: Path, head: str, *, base: str = "") -> None:
    pods.role = "clippy"
    pods.prepared(origin, base=base or head, head=head)
    assert pods.run("agent") == 0


def test_what_the_tools_make_passes_and_is_reported(
    pods: Any, origin: Path, write_commit: WriteCommit
) -> None:
    clippy(pods, origin, write_commit(origin, {"ugly.py": "import os\nx={'a':1}\n"}))
    assert pods.run("verify") == 0
    report = json.loads(pods.artifact("verify", "clippy/report.json").read_text())
    shapes.validate("clippy", report)
    assert report["fmtStatus"] == report["lintStatus"] == "pass"
    assert report["changedFiles"] == ["ugly.py"]
    assert report["language"] == "python"
    assert report["tools"][0].startswith("ruff ")


def test_a_change_answers_for_the_files_that_it_touches_and_no_others(
    pods: Any, origin: Path, write_commit: WriteCommit
) -> None:
    old = {"old.py": "print(undefined_name)\ny={'b':2}\n", "both.py": "x = 1\n"}
    base = write_commit(origin, old)
    head = write_commit(origin, {"both.py": "x={'a':1}\n", "notes.txt": "n\n"})
    clippy(pods, origin, head, base=base)
    assert pods.run("verify") == 0
    report = json.loads(pods.artifact("verify", "clippy/report.json").read_text())
    assert report["changedFiles"] == ["both.py"]
    assert report["warningsCount"] == 0
    assert pods.files()["old.py"].decode() == old["old.py"]


def test_what_no_tool_can_mend_in_a_touched_file_is_the_changes_matter(
    pods: Any, origin: Path, write_commit: WriteCommit
) -> None:
    base = write_commit(origin, {"old.py": "x = 1\n"})
    head = write_commit(origin, {"old.py": "x = undefined_name\n"})
    clippy(pods, origin, head, base=base)
    assert pods.run("verify") == 1
    assert "the linter has 1 findings" in pods.reason("verify")


def test_a_clean_tree_passes_without_a_commit(pods: Any, origin: Path, run_git: RunGit) -> None:
    clippy(pods, origin, run_git(origin, "git", "rev-parse", "HEAD"))
    assert pods.run("verify") == 0
    assert pods.verification()["head"] == run_git(origin, "git", "rev-parse", "HEAD")


def test_a_change_that_no_tool_makes_is_not_mechanical(
    pods: Any, origin: Path, write_commit: WriteCommit, run_git: RunGit
) -> None:
    head = write_commit(origin, {"ugly.py": "x={'a':1}\n"})
    clippy(pods, origin, head)
    # Somebody puts a change of their own behind the tool's.
    looking = pods.root / "own"
    run_git(looking, "git", "init", "-q", ".")
    run_git(
        looking,
        "git",
        "fetch",
        "-q",
        f"{pods.root}/prepare/out/workspace/source.bundle",
        "refs/pressplay/head",
    )
    bundle = pods.root / "agent/out/work/changes.bundle"
    run_git(looking, "git", "fetch", "-q", str(bundle), "refs/pressplay/work")
    run_git(looking, "git", "checkout", "-q", "FETCH_HEAD")
    (looking / "app.py").write_text("def total(prices: list[int]) -> int:\n    return 0\n")
    bot = {
        "GIT_AUTHOR_NAME": "clippy[bot]",
        "GIT_AUTHOR_EMAIL": "clippy[bot]@users.noreply.pressplay.dev",
        "GIT_COMMITTER_NAME": "clippy[bot]",
        "GIT_COMMITTER_EMAIL": "clippy[bot]@users.noreply.pressplay.dev",
    }
    run_git(looking, "git", "commit", "-q", "-a", "--amend", "--no-edit", env=bot)
    sly = run_git(looking, "git", "rev-parse", "HEAD")
    run_git(looking, "git", "update-ref", "refs/pressplay/work", sly)
    run_git(
        looking, "git", "bundle", "create", "-q", str(bundle), "refs/pressplay/work", f"^{head}"
    )
    path = pods.root / "agent/out/work/result.json"
    path.write_text(json.dumps(pods.result() | {"head": sly, "commits": [sly]}))
    assert pods.run("verify") == 1
    assert "not what the tools themselves make" in pods.reason("verify")


def test_what_no_tool_can_mend_stops_the_run_with_its_place(
    pods: Any, origin: Path, write_commit: WriteCommit
) -> None:
    clippy(pods, origin, write_commit(origin, {"bad.py": "print(undefined_name)\n"}))
    assert pods.run("verify") == 1
    assert "1 findings that it cannot fix: bad.py:1: F821" in pods.reason("verify")
    report = json.loads(pods.artifact("verify", "clippy/report.json").read_text())
    assert (report["lintStatus"], report["warningsCount"]) == ("fail", 1)


def test_a_file_that_is_no_python_is_a_finding(
    pods: Any, origin: Path, write_commit: WriteCommit
) -> None:
    clippy(pods, origin, write_commit(origin, {"bad.py": "def (:\n"}))
    assert pods.run("verify") == 1
    report = json.loads(pods.artifact("verify", "clippy/report.json").read_text())
    assert report["fmtStatus"] == "fail"


# QA

GOOD_TEST = """\
from app import total


def test_three_cost_less() -> None:
    assert total([10, 10, 10]) == 27
"""


@pytest.fixture
def changed(origin: Path, write_commit: WriteCommit, run_git: RunGit) -> str:
    """Rex's change stands on the base, whose id this is."""
    base = run_git(origin, "git", "rev-parse", "HEAD")
    write_commit(origin, {"app.py": DISCOUNT})
    return base


def test_a_test_that_fails_on_the_base_is_proof(
    verify: Callable[..., int], pods: Any, changed: str
) -> None:
    assert verify(write("tests/test_new.py", GOOD_TEST), role="qa", base=changed) == 0
    summary = json.loads(pods.artifact("verify", "qa/summary.json").read_text())
    shapes.validate("qa", summary)
    assert summary["qa"]["passed"] is True
    assert summary["pr"]["headSha"] == pods.result()["head"]
    assert {case["file"] for case in summary["testCases"]} == {
        "tests/test_app.py",
        "tests/test_new.py",
    }
    folder = pods.artifact("verify", "qa")
    assert all((folder / name).is_file() for name in summary["artifacts"])
    index = json.loads((folder / "proof/index.json").read_text())
    shapes.validate("proof", index)
    assert {each["path"] for each in index["files"]} == {
        "tests.txt",
        "head.xml",
        "head-new.xml",
        "base-new.xml",
    }
    log = (folder / "proof/tests.txt").read_text()
    assert "fails on the base, as it must: tests.test_new.test_three_cost_less" in log


def test_a_test_that_rex_wrote_counts_too(
    verify: Callable[..., int], changed: str, origin: Path, write_commit: WriteCommit
) -> None:
    write_commit(origin, {"tests/test_app.py": TEST + GOOD_TEST.partition("\n")[2]})
    assert verify("pass", role="qa", base=changed) == 0


def test_no_test_at_all_is_said_with_the_policys_field(
    verify: Callable[..., int], pods: Any, changed: str
) -> None:
    assert verify("pass", role="qa", base=changed) == 1
    assert "qa.must_fail_on_base" in pods.reason("verify")
    rules = {"version": 1, "qa": {"must_fail_on_base": False}}
    assert verify("pass", role="qa", base=changed, rules=rules) == 0


def test_a_test_that_passes_whatever_the_code_does_is_refused(
    verify: Callable[..., int], pods: Any, changed: str
) -> None:
    code = write("tests/test_new.py", "def test_nothing() -> None:\n    assert True\n")
    assert verify(code, role="qa", base=changed) == 1
    assert "they pass whatever the code does" in pods.reason("verify")
    summary = json.loads(pods.artifact("verify", "qa/summary.json").read_text())
    assert summary["qa"]["passed"] is False


def test_where_the_base_cannot_import_a_mutant_is_the_proof(
    verify: Callable[..., int], pods: Any, origin: Path, write_commit: WriteCommit, run_git: RunGit
) -> None:
    base = run_git(origin, "git", "rev-parse", "HEAD")
    write_commit(origin, {"extra.py": "def half(x: int) -> int:\n    return x // 2\n"})
    test = "from extra import half\n\n\ndef test_half() -> None:\n    assert half(4) == 2\n"
    assert verify(write("tests/test_extra.py", test), role="qa", base=base) == 0
    log = pods.artifact("verify", "qa/proof/tests.txt").read_text()
    assert "mutant extra.py:2" in log
    assert "killed" in log


def test_an_import_in_the_tests_body_is_no_failure_on_the_base_either(
    verify: Callable[..., int], pods: Any, origin: Path, write_commit: WriteCommit, run_git: RunGit
) -> None:
    base = run_git(origin, "git", "rev-parse", "HEAD")
    write_commit(origin, {"extra.py": "def half(x: int) -> int:\n    return x // 2\n"})
    test = "def test_half() -> None:\n    import extra\n\n    assert extra is not None\n"
    assert verify(write("tests/test_extra.py", test), role="qa", base=base) == 1
    assert "none of" in pods.reason("verify")
    assert "mutants" in pods.reason("verify")


def test_mutants_that_break_the_code_altogether_say_nothing_about_the_tests(
    verify: Callable[..., int], pods: Any, origin: Path, write_commit: WriteCommit, run_git: RunGit
) -> None:
    base = run_git(origin, "git", "rev-parse", "HEAD")
    write_commit(origin, {"extra.py": "KEPT = {1: None}[1]\n"})
    test = "import extra\n\n\ndef test_kept() -> None:\n    assert extra.KEPT is None\n"
    assert verify(write("tests/test_extra.py", test), role="qa", base=base) == 1
    assert "no mutant of the change could be judged" in pods.reason("verify")
    log = pods.artifact("verify", "qa/proof/tests.txt").read_text()
    assert "mutant extra.py:1 (alter the constant): no test came to judge it" in log


def test_qa_changes_tests_only(verify: Callable[..., int], pods: Any, changed: str) -> None:
    code = write("tests/test_new.py", GOOD_TEST) + write("app.py", APP)
    assert verify(code, role="qa", base=changed) == 1
    assert "app.py is outside of what QA may change (tests/**)" in pods.reason("verify")


def test_a_failing_suite_is_said_with_its_first_failure(
    verify: Callable[..., int], pods: Any, changed: str
) -> None:
    code = write("tests/test_new.py", GOOD_TEST.replace("27", "30"))
    assert verify(code, role="qa", base=changed) == 1
    assert "1 of 2 tests do not pass on the head" in pods.reason("verify")
    assert "test_three_cost_less" in pods.reason("verify")


def test_a_suite_that_does_not_collect_is_said(
    verify: Callable[..., int], pods: Any, changed: str
) -> None:
    assert (
        verify(write("tests/test_new.py", "import nothing_of_this\n"), role="qa", base=changed) == 1
    )
    assert "could not be collected" in pods.reason("verify")


def test_a_repository_without_tests_is_said(
    verify: Callable[..., int], pods: Any, origin: Path, write_commit: WriteCommit, run_git: RunGit
) -> None:
    base = run_git(origin, "git", "rev-parse", "HEAD")
    write_commit(origin, {"tests/test_app.py": None})
    assert verify("pass", role="qa", base=base) == 1
    assert "no test was found" in pods.reason("verify")


def test_new_tests_that_the_suite_does_not_reach_must_pass_all_the_same(
    verify: Callable[..., int], pods: Any, changed: str, origin: Path, write_commit: WriteCommit
) -> None:
    narrow = PYPROJECT + "[tool.pytest.ini_options]\ntestpaths = ['tests/old']\n"
    write_commit(origin, {"pyproject.toml": narrow, "tests/old/test_old.py": TEST})
    code = write("tests/test_new.py", GOOD_TEST.replace("27", "30"))
    assert verify(code, role="qa", base=changed) == 1
    assert "the new tests do not pass on the head" in pods.reason("verify")
