"""Reads what `cargo test` prints: the plain text of libtest, as its JSON is not stable.

A test's own output can run into that text in the middle of a line, so nothing is believed alone:
lines name the tests, the closing lists name those that failed, and the summary says how many there
must be. Where these disagree, the summary counts and the list of failures names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import PurePath

from pressplay.stages.toolchains.port import CaseStatus, TestCase

CASES_LIMIT = 20_000
BLOCK_LIMIT = 60
"""Lines kept of what one failed test printed."""
MESSAGE_LIMIT = 500

LOST = "(a test whose name was lost among other output)"
NO_END = "(the test program ended before its tests did)"

_RUNNING = re.compile(r"\s*Running (?:.* )?\(?([^()\s]+)\)?$")
_DOC_TESTS = re.compile(r"\s*Doc-tests (\S+)$")
_BATCH = re.compile(r"running \d+ tests?$")
_NAME = r"(?P<name>[\w:]+|\S.*? \(line \d+\))"
_KIND = r"(?: - should panic| - compile(?: fail)?)?"
_BEGUN = re.compile(rf".*?test {_NAME}{_KIND} \.\.\. ?(?P<rest>.*)$")
_ENDED = re.compile(r".*?(?P<status>ok|FAILED|ignored(?:, .*)?)$")
_BLOCK = re.compile(r"---- (?P<name>.+?) stdout ----$")
_SUMMARY = re.compile(
    r".*test result: (?:ok|FAILED)\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; "
    r"(?P<ignored>\d+) ignored;"
)
_TARGET_FAILED = re.compile(r"error: (?:doc)?test failed, to rerun pass ")
_DIED = re.compile(r"\s+process didn't exit successfully: .*?(\((?:signal|exit status): .*\))?$")
_PANICKED = re.compile(r".*panicked at (?P<rest>.*)$")
_OLD_PANIC = re.compile(r"'(?P<said>.*)', (?P<where>\S+:\d+:\d+)$")


@dataclass(frozen=True)
class Target:
    """A test program: of which package, under which name, from which file of the tree."""

    package: str
    name: str
    file: str

    @property
    def prefix(self) -> str:
        """What stands before the names of its tests."""
        return "::".join(dict.fromkeys(part for part in (self.package, self.name) if part))


class _Phase(Enum):
    OUTSIDE = "outside"
    RESULTS = "results"
    DETAILS = "details"
    NAMES = "names"


@dataclass
class _Batch:
    """What one `running N tests` came to, as far as it was read."""

    found: dict[str, CaseStatus] = field(default_factory=dict)
    blocks: dict[str, list[str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    pending: str = ""
    block: str = ""


class Reader:
    """Takes the lines of one `cargo test`; `targets` maps names of test programs to what they are.

    A program that is not in `targets` is none: a test may print anything.
    """

    def __init__(self, targets: Mapping[str, Target], *, documented: Mapping[str, str]) -> None:
        """`documented` maps the crates with documentation tests to their packages."""
        self._targets = targets
        self._documented = documented
        self._target: Target | None = None
        self._is_doc = False
        self._phase = _Phase.OUTSIDE
        self._batch = _Batch()
        self._had_batch = False
        self._last = ""
        self._cases: list[TestCase] = []

    def feed(self, line: str) -> None:
        """Take in one line, without its end."""
        line = line.rstrip()
        if self._begins_target(line) or self._target is None:
            return
        if _BATCH.match(line) and self._phase is _Phase.OUTSIDE:
            self._batch, self._phase, self._had_batch = _Batch(), _Phase.RESULTS, True
            return
        if _TARGET_FAILED.match(line):
            self._end_target(failed=True)
            return
        if self._phase is not _Phase.OUTSIDE:
            self._take(line)
        elif line.strip():
            self._last = line.strip()

    def finish(self) -> tuple[TestCase, ...]:
        """All tests, in the order in which they were reported."""
        self._end_target(failed=False)
        return tuple(self._cases[:CASES_LIMIT])

    def died(self, line: str) -> None:
        """Take in why a test program ended; cargo says so after it said that it failed."""
        if self._cases and self._cases[-1].message == NO_END:
            said = _DIED.match(line)
            how = f" {said[1]}" if said and said[1] else ""
            self._cases[-1] = replace(self._cases[-1], message=f"{NO_END}{how}")

    def _begins_target(self, line: str) -> bool:
        running = _RUNNING.match(line)
        target = self._targets.get(PurePath(running[1]).name) if running else None
        documented = _DOC_TESTS.match(line)
        crate = documented[1] if documented else ""
        if target is None and crate in self._documented:
            target = Target(package=self._documented[crate], name="", file="")
        if target is None:
            if _DIED.match(line):
                self.died(line)
            return False
        self._end_target(failed=False)
        self._target, self._is_doc, self._had_batch, self._last = target, bool(crate), False, ""
        return True

    def _end_target(self, *, failed: bool) -> None:
        """Close what is open; a target whose batch has no summary did not come to its end."""
        target = self._target
        if target is None:
            return
        if self._phase is not _Phase.OUTSIDE:
            self._close(None)
            self._add("", CaseStatus.ERROR, NO_END)
        elif not self._had_batch and not self._is_doc:
            # A program with a harness of its own: it has one test, itself.
            status = CaseStatus.FAILED if failed else CaseStatus.PASSED
            self._add("", status, self._last if failed else "")
        self._target = None

    def _take(self, line: str) -> None:
        summary = _SUMMARY.match(line)
        if summary:
            self._close({name: int(summary[name]) for name in ("passed", "failed", "ignored")})
            return
        if line == "failures:":
            # Of several, all but the first and the last are a test's own words.
            first = self._phase is _Phase.RESULTS
            self._phase = _Phase.DETAILS if first else _Phase.NAMES
            self._batch.names.clear()
            return
        match self._phase:
            case _Phase.RESULTS:
                self._take_result(line)
            case _Phase.DETAILS | _Phase.NAMES:
                self._take_detail(line)
            case _Phase.OUTSIDE:
                return

    def _take_result(self, line: str) -> None:
        batch = self._batch
        begun = _BEGUN.match(line)
        if begun is not None:
            batch.pending = begun["name"]
            line = begun["rest"]
        ended = _ENDED.match(line) if batch.pending else None
        if ended is not None:
            batch.found[batch.pending] = _status(ended["status"])
            batch.pending = ""

    def _take_detail(self, line: str) -> None:
        block = _BLOCK.match(line)
        batch = self._batch
        if block is not None and len(batch.blocks) < CASES_LIMIT:
            self._phase = _Phase.DETAILS
            batch.block = _plain(block["name"])
            batch.blocks[batch.block] = []
        elif self._phase is _Phase.NAMES and line.startswith("    "):
            batch.names.append(_plain(line.strip()))
        elif batch.block and len(batch.blocks[batch.block]) < BLOCK_LIMIT:
            batch.blocks[batch.block].append(line)

    def _close(self, summary: Mapping[str, int] | None) -> None:
        """End a batch; with a summary, the counts come out as it says."""
        batch, self._phase = self._batch, _Phase.OUTSIDE
        batch.found.update(dict.fromkeys(batch.names, CaseStatus.FAILED))
        # Tests end in another order each time.
        for name, status in sorted(batch.found.items()):
            self._add_named(name, status, batch.blocks.get(name, []))
        if summary is None:
            return
        for key, status in (
            ("passed", CaseStatus.PASSED),
            ("failed", CaseStatus.FAILED),
            ("ignored", CaseStatus.SKIPPED),
        ):
            seen = sum(each is status for each in batch.found.values())
            for _ in range(min(summary[key] - seen, CASES_LIMIT)):
                self._add(LOST, status, "")

    def _add_named(self, name: str, status: CaseStatus, block: list[str]) -> None:
        if status is CaseStatus.FAILED:
            compiled = not any(line.startswith("Couldn't compile the test.") for line in block)
            self._add(name, status if compiled else CaseStatus.ERROR, message_of(block))
        else:
            self._add(name, status, "")

    def _add(self, name: str, status: CaseStatus, message: str) -> None:
        if self._target is None or len(self._cases) >= CASES_LIMIT:
            return
        file = name.partition(" - ")[0] if self._is_doc else self._target.file
        self._cases.append(
            TestCase(
                name="::".join(part for part in (self._target.prefix, name) if part),
                file=file,
                status=status,
                message=message[:MESSAGE_LIMIT],
            )
        )


def message_of(block: list[str]) -> str:
    """What a failed test said, in one line: its panic, its error, else its last words."""
    for index, line in enumerate(block):
        panicked = _PANICKED.match(line)
        if panicked is not None:
            return _panic(panicked["rest"], block[index + 1 :])
    for line in block:
        if line.startswith(("Error: ", "error", "note: test did not panic")):
            return line.removeprefix("note: ").strip()
    return next((line.strip() for line in reversed(block) if line.strip()), "")


def _panic(rest: str, following: list[str]) -> str:
    """Until Rust 1.72 the message stands in quotes before the place, since then below it."""
    if rest.startswith("'"):
        lines = [rest, *following]
        for count in range(1, len(lines) + 1):
            old = _OLD_PANIC.match(" ".join(line.strip() for line in lines[:count]))
            if old is not None:
                return f"{old['said']} ({old['where']})"
        return rest
    said: list[str] = []
    for line in following:
        if line.startswith(("note: ", "stack backtrace:")) or (said and not line.strip()):
            break
        said.append(line.strip())
    return f"{' '.join(said)} ({rest.rstrip(':')})"


def _plain(name: str) -> str:
    return re.sub(rf"{_KIND}$", "", name)


def _status(word: str) -> CaseStatus:
    if word.startswith("ignored"):
        return CaseStatus.SKIPPED
    return CaseStatus.PASSED if word == "ok" else CaseStatus.FAILED
