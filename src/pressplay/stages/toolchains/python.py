"""The Python profile: ruff formats and lints, pytest tests.

The repository's own configuration of them counts. Where the repository depends on something, its
tests run in an environment of their own that `prepare` makes; else in the stage's own.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.base.processes import Finished
from pressplay.stages import children
from pressplay.stages.toolchains import junit as junit_reports
from pressplay.stages.toolchains import python_environment, python_mutants, python_requirements
from pressplay.stages.toolchains.port import (
    CaseStatus,
    Findings,
    Mutant,
    Prepared,
    TestCase,
    TestResult,
)
from pressplay.stages.toolchains.python_environment import Environment, Installation
from pressplay.stages.transcripts import Transcript

TOOL_S = 120.0
"""Seconds for one call of the formatter or linter."""

_VENV = "venv"

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
    5: "no test was found; add one where pytest looks, such as tests/test_app.py",
}


class Python:
    """See `port.Toolchain`. `path` is where ruff is found, `variables` are for the tests."""

    name = "python"
    lints_dependencies = False

    def __init__(self, *, path: str, variables: Mapping[str, str]) -> None:
        self._path = path
        self._variables = variables

    def detect(self, tree: Path) -> bool:
        return any((tree / mark).is_file() for mark in _MARKS) or any(tree.glob("*.py"))

    def fingerprint(self, tree: Path, *, cache: Path) -> str:
        if not python_requirements.read(tree):
            return ""
        return python_environment.digest_of(tree, cache.absolute() / _VENV)

    def prepare(
        self,
        tree: Path,
        *,
        cache: Path,
        variables: Mapping[str, str],
        timeout_s: float,
        transcript: Transcript,
    ) -> Prepared:
        deadline = time.monotonic() + timeout_s
        declared = python_requirements.read(tree)
        if not declared:
            return Prepared()
        folder = cache.absolute() / _VENV
        digest = python_environment.digest_of(tree, folder)
        found = python_environment.find(folder, digest=digest)
        notes: list[str] = []
        environment = found
        if environment is None:
            installation = Installation(
                tree=tree,
                folder=folder,
                declared=declared,
                path=self._path,
                variables=variables,
                deadline=deadline,
                transcript=transcript,
                notes=notes,
            )
            environment = installation.make()
        environment.lay_generated(tree)
        return Prepared(
            variables={
                "VIRTUAL_ENV": str(folder),
                "PYTHONPATH": environment.import_path(tree),
            },
            programs=(str(environment.python.parent),),
            was_changed=found is None,
            generated=environment.generated,
            notes=tuple(notes),
        )

    def mend(self, tree: Path) -> tuple[str, ...]:
        # Fixes first: what they leave behind is then formatted.
        fixed = self._ruff(tree, "check", "--fix", "--exit-zero", "--quiet")
        formatted = self._ruff(tree, "format")
        said = f"{fixed.complaint()}\n{formatted.complaint()}"
        return tuple(line for line in said.splitlines() if line.strip())

    def check(self, tree: Path, *, paths: Sequence[str] | None = None) -> Findings:
        version = self._ruff(tree, "--version").text().strip()
        of_python = None if paths is None else [p for p in paths if p.endswith((".py", ".pyi"))]
        if of_python is not None and not of_python:
            return Findings(tools=(version,), fmt_clean=True, lint_clean=True, warnings=0)
        fmt = self._ruff(tree, "format", "--check", paths=of_python)
        lint = self._ruff(tree, "check", "--output-format", "json", paths=of_python)
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
        environment = self._environment()
        if environment is not None:
            environment.lay_generated(tree)
        with tempfile.TemporaryDirectory() as home:
            code = processes.stream(
                _pytest(environment, junit, paths),
                env=children.variables(
                    path=self._path,
                    home=Path(home),
                    more={**self._variables, "PYTHONPATH": _import_path(environment, tree)},
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

    def settle(self, tree: Path, *, variables: Mapping[str, str]) -> None:
        """Nothing that a build makes is in the way."""

    def _environment(self) -> Environment | None:
        """The one that `prepare` made, if the variables lead there."""
        folder = self._variables.get("VIRTUAL_ENV")
        return python_environment.find(Path(folder)) if folder else None

    def _ruff(self, tree: Path, *arguments: str, paths: Sequence[str] | None = None) -> Finished:
        program = shutil.which("ruff", path=self._path)
        if program is None:
            raise Refused(
                "Program not found: ruff; install the extra pressplay[toolchain-python] where the "
                "steps run"
            )
        # What the repository leaves out stays out when it is named, too.
        where = ["."] if paths is None else ["--force-exclude", *(f"./{path}" for path in paths)]
        with tempfile.TemporaryDirectory() as home:
            finished = processes.run(
                [
                    program,
                    *arguments,
                    *([] if "--version" in arguments else ["--no-cache", *where]),
                ],
                env=children.variables(path=self._path, home=Path(home), more={"NO_COLOR": "1"}),
                cwd=tree,
                timeout_s=TOOL_S,
            )
        if finished.timed_out:
            raise Refused(f"ruff {arguments[0]} did not end within {TOOL_S:.0f} s")
        return finished


def _pytest(environment: Environment | None, junit: Path, paths: Sequence[str]) -> list[str]:
    python = sys.executable if environment is None else str(environment.python)
    return [
        *(python, "-m", "pytest", "-p", "no:cacheprovider"),
        # Where the plugin is installed, its random order would make two runs differ.
        *("-p", "no:randomly"),
        # This family of the report says in which file a test stands.
        *("-o", "junit_family=xunit1", f"--junitxml={junit}"),
        # Behind a dot, a path that begins with a dash is no option.
        *(f"./{path}" for path in paths),
    ]


def _import_path(environment: Environment | None, tree: Path) -> str:
    """Both usual layouts work without an installation."""
    if environment is not None:
        return environment.import_path(tree)
    folders = [str(tree / "src")] if (tree / "src").is_dir() else []
    return ":".join([*folders, str(tree)])


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
