"""The Python profile with the real ruff and the real pytest."""

import os
import sys
from pathlib import Path

import pytest

from pressplay.base import redaction
from pressplay.base.errors import Refused
from pressplay.stages.toolchains import choosing, junit
from pressplay.stages.toolchains.port import CaseStatus, TestCase, TestResult
from pressplay.stages.toolchains.python import Python
from pressplay.stages.transcripts import Transcript

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def write(tree: Path, **files: str) -> None:
    for name, text in files.items():
        path = tree / name.replace("__", "/").replace("_py", ".py").replace("_toml", ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(tree: Path, *, timeout_s: float = 30, paths: tuple[str, ...] = ()) -> TestResult:
    transcript = Transcript(redact=redaction.redact, write=lambda _: None)
    return Python(path=PATH, variables=QUICK).test(
        tree,
        junit=tree.parent / "junit.xml",
        timeout_s=timeout_s,
        transcript=transcript,
        paths=paths,
    )


def test_the_tools_mend_and_the_repositorys_configuration_counts(tree: Path) -> None:
    (tree / "pyproject.toml").write_text("[tool.ruff.format]\nquote-style = 'single'\n")
    (tree / "a.py").write_text('import os\nx={"a":1}\n')
    python = Python(path=PATH, variables={})
    assert not python.check(tree).fmt_clean
    python.mend(tree)
    assert (tree / "a.py").read_text() == "x = {'a': 1}\n"
    findings = python.check(tree)
    assert (findings.fmt_clean, findings.lint_clean, findings.warnings) == (True, True, 0)
    assert sorted(path.name for path in tree.iterdir()) == ["a.py", "pyproject.toml"]


def test_findings_name_their_place(tree: Path) -> None:
    (tree / "a.py").write_text("print(nothing)\n")
    findings = Python(path=PATH, variables={}).check(tree)
    assert not findings.lint_clean
    assert findings.warnings == 1
    assert findings.lines == ("a.py:1: F821 Undefined name `nothing`",)


def test_a_broken_configuration_is_a_finding(tree: Path) -> None:
    (tree / "ruff.toml").write_text("no-such-key = 1\n")
    (tree / "a.py").write_text("x = 1\n")
    findings = Python(path=PATH, variables={}).check(tree)
    assert not findings.lint_clean
    assert any("no-such-key" in line for line in findings.lines)


def test_tests_run_in_both_usual_layouts_and_leave_no_trace(tree: Path) -> None:
    (tree / "src/pkg").mkdir(parents=True)
    (tree / "src/pkg/__init__.py").write_text("X = 1\n")
    (tree / "flat.py").write_text("Y = 2\n")
    (tree / "tests").mkdir()
    test = "from pkg import X\nfrom flat import Y\ndef test_it():\n    assert (X, Y) == (1, 2)\n"
    (tree / "tests/test_it.py").write_text(test)
    result = run(tree)
    assert result.passed
    assert result.cases == (
        TestCase(name="tests.test_it.test_it", file="tests/test_it.py", status=CaseStatus.PASSED),
    )
    assert not list(tree.rglob("__pycache__")) + list(tree.rglob(".pytest_cache"))


def test_failures_errors_and_skips_are_told_apart(tree: Path) -> None:
    (tree / "test_a.py").write_text(
        "import pytest\n"
        "def test_fails(): assert 1 == 2\n"
        "def test_misses(): import not_there\n"
        "@pytest.fixture\n"
        "def broken(): raise RuntimeError('x')\n"
        "def test_errs(broken): pass\n"
        "@pytest.mark.skip\n"
        "def test_skips(): pass\n"
    )
    result = run(tree)
    assert not result.passed
    assert [case.status.value for case in result.cases] == ["failed", "failed", "error", "skipped"]
    python = Python(path=PATH, variables={})
    assert [python.is_judgement(case) for case in result.cases] == [True, False, False, False]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "no test was found"),
        ({"test_a.py": "import not_there\n"}, "could not be collected"),
        (
            {"test_a.py": "def test_a(): pass\n", "pytest.ini": "[pytest]\naddopts = --bad\n"},
            "called in a way",
        ),
        ({"test_a.py": "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"}, "no test ran"),
        ({"test_a.py": "import os\ndef test_a(): os._exit(0)\n"}, "left no readable report"),
    ],
)
def test_a_run_without_a_result_says_why(tree: Path, files: dict[str, str], problem: str) -> None:
    for name, text in files.items():
        (tree / name).write_text(text)
    result = run(tree)
    assert not result.passed
    assert problem in result.problem


def test_a_run_that_does_not_end_is_ended_with_a_clear_word(tree: Path) -> None:
    (tree / "test_a.py").write_text("import time\ndef test_a(): time.sleep(60)\n")
    result = run(tree, timeout_s=2)
    assert result.problem == "the tests did not end within 2 s"


def test_a_path_that_looks_like_an_option_is_a_path(tree: Path) -> None:
    (tree / "--co").mkdir()
    (tree / "--co/test_a.py").write_text("def test_a(): pass\n")
    assert run(tree, paths=("--co/test_a.py",)).passed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<testsuites>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><testsuites><testcase name='&a;'/></testsuites>",
    ],
)
def test_a_report_that_is_broken_or_a_trap_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "j.xml").write_text(text)
    assert junit.read(tmp_path / "j.xml") is None


def test_a_report_that_is_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "real.xml").write_text("<testsuites/>")
    (tmp_path / "j.xml").symlink_to(tmp_path / "real.xml")
    assert junit.read(tmp_path / "real.xml") == ()
    assert junit.read(tmp_path / "j.xml") is None


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("tests/test_a.py", True),
        ("pkg/a_test.py", True),
        ("tests/conftest.py", False),
        ("tests/test_data.json", False),
        ("testing.py", False),
    ],
)
def test_which_files_hold_tests(path: str, holds: bool) -> None:
    assert Python(path=PATH, variables={}).is_test(path) is holds


def test_a_language_is_chosen_by_name_or_by_its_files(tree: Path) -> None:
    with pytest.raises(Refused, match="No known language"):
        choosing.choose("", tree, path=PATH)
    assert choosing.choose("python", tree, path=PATH).name == "python"
    (tree / "setup.py").write_text("")
    assert choosing.choose("", tree, path=PATH).name == "python"
    with pytest.raises(Refused, match=r"'cobol'.*available: rust, python"):
        choosing.choose("cobol", tree, path=PATH)


def test_a_missing_tool_says_what_to_install(tree: Path) -> None:
    with pytest.raises(Refused, match="toolchain-python"):
        Python(path="/nonexistent", variables={}).check(tree)
