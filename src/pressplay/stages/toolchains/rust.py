"""The Rust profile: cargo fmt formats, cargo clippy lints, cargo test tests; workspaces as wholes.

The repository's own configuration of them counts, save its choice of a toolchain: the one of the
machine is used. Files of its own in `tests/` are tests; those inside of `src` go with the code.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pressplay.base.errors import Refused
from pressplay.stages.toolchains import junit as junit_reports
from pressplay.stages.toolchains import (
    rust_dependencies,
    rust_messages,
    rust_mutants,
    rust_outputs,
)
from pressplay.stages.toolchains.port import (
    CaseStatus,
    Findings,
    Mutant,
    Prepared,
    TestCase,
    TestResult,
)
from pressplay.stages.toolchains.rust_cargo import Cargo
from pressplay.stages.toolchains.rust_messages import Workspace
from pressplay.stages.toolchains.rust_reports import Reader, Target
from pressplay.stages.transcripts import Transcript

TOOL_S = 600.0
"""Seconds for one call of the formatter or linter, which compiles what the tree depends on."""

ASK_S = 60.0
LINES_LIMIT = 200
"""Findings that are told one by one."""

COMPLAINT_LIMIT = 300
"""Characters of what cargo says where it could not work at all."""

MANIFEST, LOCK = "Cargo.toml", "Cargo.lock"
_CHOICES = ("rust-toolchain.toml", "rust-toolchain")
_NOT_COMPILED = "does not compile"


class Rust:
    """See `port.Toolchain`. `path` is where cargo is found, `variables` are for what it runs."""

    name = "rust"
    lints_dependencies = True

    def __init__(self, *, path: str, variables: Mapping[str, str]) -> None:
        self._cargo = Cargo(path=path, variables=variables)

    def detect(self, tree: Path) -> bool:
        return (tree / MANIFEST).is_file()

    def fingerprint(self, tree: Path, *, cache: Path) -> str:
        return rust_dependencies.fingerprint(self._cargo, tree)

    def prepare(
        self,
        tree: Path,
        *,
        cache: Path,
        variables: Mapping[str, str],
        timeout_s: float,
        transcript: Transcript,
    ) -> Prepared:
        return rust_dependencies.prepare(
            self._cargo,
            tree,
            cache=cache,
            variables=variables,
            deadline=time.monotonic() + timeout_s,
            transcript=transcript,
        )

    def mend(self, tree: Path) -> tuple[str, ...]:
        # A lock file that the code has outgrown is for whoever changed the code to renew.
        with rust_dependencies.kept(tree / LOCK):
            # Fixes first: what they leave behind is then formatted.
            fixed = self._cargo.run(
                tree,
                *("clippy", "--fix", "--allow-no-vcs", "--workspace", "--all-targets", "--quiet"),
                timeout_s=TOOL_S,
            )
            formatted = self._cargo.run(tree, "fmt", "--all", "--quiet", timeout_s=TOOL_S)
        # Of code that stays as it is the linter complains once more in `check`.
        said = [] if fixed.ok else ["cargo clippy --fix could not compile everything"]
        if any((tree / name).is_file() for name in _CHOICES):
            said.append(
                "the repository's choice of a toolchain is not followed: this machine has one"
            )
        return (*said, *(line for line in formatted.complaint().splitlines() if line.strip()))

    def check(self, tree: Path, *, paths: Sequence[str] | None = None) -> Findings:
        with rust_dependencies.kept(tree / LOCK):
            # Whether, and not only which files: an unreadable one has no name in the list.
            fmt = self._cargo.run(
                tree, "fmt", "--all", "--", "--check", "--files-with-diff", timeout_s=TOOL_S
            )
            lint = self._cargo.run(
                tree,
                *("clippy", "--workspace", "--all-targets", "--quiet", "--message-format=json"),
                timeout_s=TOOL_S,
            )
        messages = rust_messages.read_messages(lint.text().splitlines())
        # Warnings count as they do for `-D warnings`, which would hide those of what depends on
        # the first crate that has any.
        found = rust_messages.findings(messages, tree)
        if not lint.ok and not found:
            # It never came to lint. What cargo says then is one thing, over several lines.
            found = [_one_line(lint.complaint()) or "cargo clippy gave no answer"]
        lines = [*_unformatted(fmt.text() or fmt.complaint(), tree)] if not fmt.ok else []
        if paths is not None:
            lines = _only_in(lines, paths)
            # What does not compile is everybody's matter.
            found = _only_in(found, paths) if lint.ok else found
        return Findings(
            tools=tuple(self._cargo.version(each) for each in ("rustfmt", "cargo-clippy", "rustc")),
            fmt_clean=fmt.ok or (paths is not None and not lines),
            lint_clean=lint.ok and not found,
            warnings=len(found),
            lines=tuple([*lines, *found][:LINES_LIMIT]),
        )

    def is_test(self, path: str) -> bool:
        parts = PurePosixPath(path).parts
        return (
            path.endswith(".rs")
            and "tests" in parts[:-1]
            and "src" not in parts
            and parts[-1] != "mod.rs"
        )

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
        run = _TestRun(self._cargo, tree, transcript, deadline=time.monotonic() + timeout_s)
        try:
            with rust_dependencies.kept(tree / LOCK):
                result = run.all() if not paths else run.targets_of(paths)
        except TimeoutError:
            return TestResult(
                passed=False, problem=f"the tests did not end within {timeout_s:.0f} s"
            )
        junit_reports.write(junit, result.cases)
        return result

    def is_judgement(self, case: TestCase) -> bool:
        # What misses a name does not compile, and is an error.
        return case.status is CaseStatus.FAILED

    def mutants(self, path: str, text: str, *, lines: frozenset[int]) -> Iterator[Mutant]:
        if not path.endswith(".rs") or PurePosixPath(path).name == "build.rs":
            return iter(())
        return rust_mutants.mutants(path, text, lines=lines)

    def settle(self, tree: Path, *, variables: Mapping[str, str]) -> None:
        rust_outputs.settle(tree, variables=variables)


@dataclass(frozen=True)
class _TestRun:
    """One run of tests on one tree; raises TimeoutError at its deadline."""

    cargo: Cargo
    tree: Path
    transcript: Transcript
    deadline: float

    def all(self) -> TestResult:
        """Every test of every member, documentation included."""
        workspace = self._workspace()
        if isinstance(workspace, str):
            return TestResult(passed=False, problem=workspace)
        return self._run(workspace, ["--workspace"])

    def targets_of(self, paths: Sequence[str]) -> TestResult:
        """The integration tests to which the files belong.

        Where they do not compile together, each is tried alone: one test that misses what it
        wants must not silence the others.
        """
        workspace = self._workspace()
        if isinstance(workspace, str):
            return TestResult(passed=False, problem=workspace)
        wanted = [pair for path in paths for pair in workspace.test_targets(path)]
        targets = tuple(dict.fromkeys(wanted))
        if not targets:
            return TestResult(
                passed=False, problem=f"cargo knows no test target for {', '.join(paths)}"
            )
        packages = dict.fromkeys(package for package, _ in targets)
        return _together(
            self._targets(workspace, package, [name for each, name in targets if each == package])
            for package in packages
        )

    def _targets(self, workspace: Workspace, package: str, names: Sequence[str]) -> TestResult:
        together = self._run(workspace, _selection(package, names))
        if _NOT_COMPILED not in together.problem or len(names) == 1:
            return together
        return _together(self._run(workspace, _selection(package, [name])) for name in names)

    def _workspace(self) -> Workspace | str:
        """The workspace, or why there is none."""
        asked = self.cargo.run(
            self.tree, "metadata", "--no-deps", "--format-version=1", timeout_s=ASK_S
        )
        if not asked.ok:
            return f"cargo cannot read the workspace: {asked.complaint()}"
        try:
            return rust_messages.read_workspace(asked.text(), self.tree)
        except Refused as error:
            return str(error)

    def _run(self, workspace: Workspace, selection: list[str]) -> TestResult:
        built = _Lines(self.transcript, hide_messages=True)
        code = self._call(
            ["test", "--no-run", "--message-format=json-render-diagnostics", *selection], built
        )
        if code != 0:
            why = built.first_error(self.tree)
            case = TestCase(
                name=f"({_NOT_COMPILED})", file="", status=CaseStatus.ERROR, message=why
            )
            problem = f"the code or its tests: {_NOT_COMPILED}: {why}"
            return TestResult(passed=False, cases=(case,), problem=problem)
        messages = rust_messages.read_messages(built.messages)
        programs = rust_messages.test_programs(messages, workspace, self.tree)
        reader = Reader(programs, documented=workspace.documented)
        printed = _Lines(self.transcript, reader=reader)
        code = self._call(["test", "--no-fail-fast", *selection], printed)
        return _judge(code, reader.finish(), programs)

    def _call(self, arguments: list[str], lines: _Lines) -> int:
        left = self.deadline - time.monotonic()
        code = (
            self.cargo.stream(self.tree, arguments, timeout_s=left, on_output=lines.feed)
            if left > 0
            else None
        )
        lines.close()
        if code is None:
            raise TimeoutError
        return code


class _Lines:
    """Cuts output into lines and hands each on: to the transcript, the reader, the messages."""

    def __init__(
        self, transcript: Transcript, *, reader: Reader | None = None, hide_messages: bool = False
    ) -> None:
        self._transcript = transcript
        self._reader = reader
        self._hides = hide_messages
        self._rest = b""
        self._errors: list[str] = []
        self.messages: list[str] = []

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def close(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._take(rest.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if self._hides and line.startswith('{"reason":'):
            self.messages.append(line)
            return
        self._transcript.say(line)
        if self._reader is not None:
            self._reader.feed(line)
        elif line.startswith("error") or (self._errors and len(self._errors) < 2):
            self._errors.append(line.strip())

    def first_error(self, tree: Path) -> str:
        """The first error with its place."""
        said = " ".join(self._errors[:2]).strip() or "cargo did not say why"
        return said.replace(f"{tree}/", "")[:300]


def _selection(package: str, names: Sequence[str]) -> list[str]:
    # As one word each, a name can be no option of its own.
    return [f"--package={package}", *(f"--test={name}" for name in names)]


def _together(results: Iterable[TestResult]) -> TestResult:
    found = tuple(results)
    return TestResult(
        passed=all(each.passed for each in found),
        cases=tuple(case for each in found for case in each.cases),
        problem="; ".join(each.problem for each in found if each.problem),
    )


def _judge(code: int, cases: tuple[TestCase, ...], programs: Mapping[str, Target]) -> TestResult:
    found = TestResult(passed=False, cases=cases)
    if code == 0 and found.count(CaseStatus.PASSED) == 0:
        nothing = "no test was found; add one, such as tests/app.rs"
        problem = "no test ran and passed" if cases else nothing
        return TestResult(passed=False, cases=cases, problem=problem)
    failed = found.count(CaseStatus.FAILED) + found.count(CaseStatus.ERROR)
    if code != 0 and not failed:
        problem = f"cargo test ended with {code}, and no test says why"
        return TestResult(passed=False, cases=cases, problem=problem)
    return TestResult(passed=code == 0, cases=cases)


def _one_line(text: str) -> str:
    """Its lines in one, each once: cargo complains of each target."""
    lines = dict.fromkeys(line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line)[:COMPLAINT_LIMIT]


def _only_in(lines: Iterable[str], paths: Sequence[str]) -> list[str]:
    """The lines about these files, and those that are about no file."""
    wanted = frozenset(paths)
    return [each for each in lines if each.split(":")[0] in wanted or ".rs:" not in each]


def _unformatted(text: str, tree: Path) -> Iterator[str]:
    for line in dict.fromkeys(text.splitlines()):
        if line.strip():
            path = rust_messages.relative(line.strip(), tree)
            yield f"{path}: not formatted" if line.endswith(".rs") else path
