"""The Python profile: ruff formats and lints, pytest tests.

Both come from where the stage's interpreter comes from; the repository's own configuration of them
counts. What the repository itself depends on must be installed there too: nothing is fetched.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.base.processes import Finished
from pressplay.stages import children
from pressplay.stages.toolchains import junit as junit_reports
from pressplay.stages.toolchains import python_mutants
from pressplay.stages.toolchains.port import CaseStatus, Findings, Mutant, TestCase, TestResult
from pressplay.stages.transcripts import Transcript

TOOL_S = 120.0
"""Seconds for one call of the formatter or linter."""

LINES_LIMIT = 200
"""Findings that are told one by one."""

_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "pytest.ini", "tox.ini")

# What Python raises where code is not there at all: no behaviour was judged.
_MISSING = ("ImportError", "ModuleNotFoundError", "NameError", "AttributeError", "SyntaxError")

# pytest's documentation, "Exit codes".
_PROBLEMS = {
    2: "the test run was interrupted; a test file could not be collected",
    3: "pytest met an error of its own",
    4: "pytest was called in a way that its configuration in the repository does not allow",
    5: "no test was found",
}


class Python:
    """See `port.Toolchain`. `path` is where ruff is found, `variables` are for the tests."""

    name = "python"

    def __init__(self, *, path: str, variables: Mapping[str, str]) -> None:
        self._path = path
        self._variables = variables

    def detect(self, tree: Path) -> bool:
        return any((tree / mark).is_file() for mark in _MARKS) or any(tree.glob("*.py"))

    def mend(self, tree: Path) -> tuple[str, ...]:
        # Fixes first: what they leave behind is then formatted.
        fixed = self._ruff(tree, "check", "--fix", "--exit-zero", "--quiet")
        formatted = self._ruff(tree, "format")
        said = f"{fixed.complaint()}\n{formatted.complaint()}"
        return tuple(line for line in said.splitlines() if line.strip())

    def check(self, tree: Path) -> Findings:
        version = self._ruff(tree, "--version").text().strip()
        fmt = self._ruff(tree, "format", "--check")
        lint = self._ruff(tree, "check", "--output-format", "json")
        found = _read_findings(lint, tree)
        lines = [line for line in fmt.complaint().splitlines() if not fmt.ok]
        return Findings(
            tools=(version,),
            fmt_clean=fmt.ok,
            lint_clean=lint.ok,
            warnings=len(found),
            lines=tuple([*lines, *found][:LINES_LIMIT]),
        )

    def is_test(self, path: str) -> bool:
        name = PurePosixPath(path).name
        return name.endswith("_test.py") or (name.startswith("test_") and name.endswith(".py"))

    def test(
        self,
        tree: Path,
        *,
        junit: Path,
        timeout_s: float,
        transcript: Transcript,
        paths: Sequence[str] = (),
    ) -> TestResult:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as home:
            code = processes.stream(
                _pytest(junit, paths),
                env=children.variables(
                    path=self._path, home=Path(home), more={**self._variables, **_import_path(tree)}
                ),
                cwd=tree,
                timeout_s=timeout_s,
                on_output=transcript.feed,
            )
        if code is None:
            return TestResult(
                passed=False, problem=f"the tests did not end within {timeout_s:.0f} s"
            )
        return _judge(code, junit)

    def is_judgement(self, case: TestCase) -> bool:
        return case.status is CaseStatus.FAILED and not case.message.startswith(_MISSING)

    def mutants(self, path: str, text: str, *, lines: frozenset[int]) -> Iterator[Mutant]:
        if not path.endswith(".py"):
            return iter(())
        return python_mutants.mutants(path, text, lines=lines)

    def _ruff(self, tree: Path, *arguments: str) -> Finished:
        program = shutil.which("ruff", path=self._path)
        if program is None:
            raise Refused(
                "Program not found: ruff; install the extra pressplay[toolchain-python] where the "
                "steps run"
            )
        with tempfile.TemporaryDirectory() as home:
            finished = processes.run(
                [program, *arguments, *([] if "--version" in arguments else ["--no-cache", "."])],
                env=children.variables(path=self._path, home=Path(home), more={"NO_COLOR": "1"}),
                cwd=tree,
                timeout_s=TOOL_S,
            )
        if finished.timed_out:
            raise Refused(f"ruff {arguments[0]} did not end within {TOOL_S:.0f} s")
        return finished


def _pytest(junit: Path, paths: Sequence[str]) -> list[str]:
    return [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
        # Where the plugin is installed, its random order would make two runs differ.
        *("-p", "no:randomly"),
        # This family of the report says in which file a test stands.
        *("-o", "junit_family=xunit1", f"--junitxml={junit}"),
        # Behind a dot, a path that begins with a dash is no option.
        *(f"./{path}" for path in paths),
    ]


def _import_path(tree: Path) -> dict[str, str]:
    """Both usual layouts work without an installation."""
    folders = [str(tree / "src")] if (tree / "src").is_dir() else []
    return {"PYTHONPATH": ":".join([*folders, str(tree)])}


def _judge(code: int, junit: Path) -> TestResult:
    cases = junit_reports.read(junit)
    if cases is None:
        return TestResult(
            passed=False,
            problem=_PROBLEMS.get(code, f"pytest ended with {code} and left no readable report"),
        )
    found = TestResult(passed=False, cases=cases)
    if code == 0 and found.count(CaseStatus.PASSED) == 0:
        return TestResult(passed=False, cases=cases, problem="no test ran and passed")
    return TestResult(passed=code == 0, cases=cases, problem=_PROBLEMS.get(code, ""))


def _read_findings(finished: Finished, tree: Path) -> list[str]:
    """Ruff's findings, a line each; its complaint where it could not work at all."""
    try:
        found = json.loads(finished.stdout)
    except ValueError:
        return finished.complaint().splitlines() or ["ruff gave no answer"]
    return [_finding(each, tree) for each in found]


def _finding(found: Mapping[str, Any], tree: Path) -> str:
    path = Path(str(found.get("filename")))
    name = path.relative_to(tree) if path.is_relative_to(tree) else path
    row = (found.get("location") or {}).get("row")
    return f"{name}:{row}: {found.get('code') or 'syntax'} {found.get('message')}"
