"""Asks the libraries that Argo uses, through the Go program in tests/oracle.

A test hands over a strategy that makes questions and a function that answers as pressplay does;
`Oracle.compare` looks for a question on which the two disagree. The search is the same every time;
PRESSPLAY_ORACLE_SEARCH=20 makes it twenty times as long, and new at every run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.values import Duration

NOTHING = object()
"""A nil of Go that has a type: an array or a map that was never made, and nil as well."""
_PROGRAM = Path(__file__).parents[2] / "oracle"
_SEARCH = int(os.environ.get("PRESSPLAY_ORACLE_SEARCH", "0"))


@dataclass(frozen=True)
class Question:
    """One line to the oracle; what the fields mean stands in its main.go."""

    dialect: str
    expression: str
    input: Any = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> bytes:
        request = {"dialect": self.dialect, "expression": self.expression, **self.more}
        if self.input is not None:
            request["input"] = self.input
        return json.dumps(request).encode() + b"\n"


@dataclass(frozen=True)
class Answer:
    """The oracle's: a value, or an error and at which stage it came."""

    value: object = None
    error: str = ""
    stage: str = ""


@dataclass
class Tally:
    """What a search compared; `apart` counts, by name, where we differ knowingly."""

    agreed: int = 0
    both_refused: int = 0
    apart: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        apart = ", ".join(f"{count} of {name!r}" for name, count in self.apart.most_common())
        return (
            f"{self.agreed + self.both_refused} compared ({self.both_refused} refused by both); "
            f"known differences: {apart or 'none'}"
        )


class Oracle:
    """The program, kept running for the whole session."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process = self._started()
        self._known: dict[bytes, Answer] = {}

    def _started(self) -> subprocess.Popen[bytes]:
        # It talks line by line, which base.processes does not know. What Go prints when it dies
        # is long, and says no more than that it died.
        return subprocess.Popen(
            [self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        """End the program."""
        self._process.communicate()

    def ask(self, question: Question) -> Answer:
        """The answer; the same question is asked once. A question can be the program's death."""
        line = question.line
        if line not in self._known:
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert stdout is not None
            stdin.write(line)
            stdin.flush()
            said = stdout.readline()
            if not said:
                self.close()
                self._process = self._started()
                said = b'{"value": null, "error": "Go died of it", "stage": "run"}'
            made = json.loads(said)
            assert made.get("stage") != "request", made
            value = _decoded(made["value"])
            self._known[line] = Answer(value, made.get("error", ""), made.get("stage", ""))
        return self._known[line]

    def compare(
        self,
        questions: SearchStrategy[Question],
        ours: Callable[[Question], object],
        *,
        examples: int,
        apart: Mapping[str, str] | None = None,
    ) -> Tally:
        """Search for a question on which the two disagree; the smallest one is the failure.

        `apart` are the known differences: a name, and a regular expression for the line that a
        disagreement is told with (see `_disagreement`).
        """
        tally = Tally()
        names = {name: re.compile(pattern, re.DOTALL) for name, pattern in (apart or {}).items()}

        def check(question: Question) -> None:
            line = self.disagreement(question, ours, tally)
            if line:
                known = next((name for name, each in names.items() if each.search(line)), "")
                tally.apart[known] += 1
                assert known, line

        given(questions)(_settings(examples)(check))()
        return tally

    def disagreement(
        self, question: Question, ours: Callable[[Question], object], tally: Tally | None = None
    ) -> str:
        """A line that tells how the two disagree; empty where they do not."""
        tally = tally or Tally()
        theirs = self.ask(question)
        try:
            value = ours(question)
        except (Refused, Fault) as error:
            if theirs.error:
                tally.both_refused += 1
                return ""
            return f"{question.expression}\n WE REFUSE: {error}\n GO: {theirs.value!r}"
        if theirs.error:
            return (
                f"{question.expression}\n WE SAY: {value!r}\n"
                f" GO REFUSES ({theirs.stage}): {theirs.error}"
            )
        # Go's power function is a last digit away from C's, now and then.
        digits = 14 if "**" in question.expression or "^" in question.expression else 17
        if same(value, theirs.value, digits=digits):
            tally.agreed += 1
            return ""
        return f"{question.expression}\n WE SAY: {value!r}\n GO: {theirs.value!r}"


def same(ours: object, theirs: object, *, digits: int = 17) -> bool:
    """Equal in kind and value, at every depth, floats to so many digits; NaN equals itself."""
    match ours, theirs:
        case (float() as one, float() as other):
            close = math.isclose(one, other, rel_tol=10.0**-digits, abs_tol=0.0)
            return close or (math.isnan(one) and math.isnan(other))
        case (list() as one, list() as other):
            return len(one) == len(other) and all(
                same(each, more, digits=digits) for each, more in zip(one, other, strict=True)
            )
        case (dict() as one, dict() as other):
            return one.keys() == other.keys() and all(
                same(one[key], other[key], digits=digits) for key in one
            )
        case (None | [] | {}, _) if theirs is NOTHING:
            return True
        case _:
            return type(ours) is type(theirs) and ours == theirs


def _decoded(value: Any) -> object:
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    return _DECODERS[kind](inside)


_DECODERS: Mapping[str, Callable[[Any], object]] = {
    "int": int,
    "float": float,
    "list": lambda inside: [_decoded(each) for each in inside],
    "map": lambda inside: {_decoded(key): _decoded(each) for key, each in inside},
    "none": lambda _: NOTHING,
    "time": datetime.fromisoformat,
    "duration": lambda inside: Duration(int(inside)),
    "other": lambda inside: f"a Go {inside}",
}


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples * max(_SEARCH, 1),
        derandomize=not _SEARCH,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Without the explaining phase, which runs many examples more to tell nothing new here.
        phases=(Phase.generate, Phase.shrink),
    )


@contextmanager
def _cache() -> Iterator[Path]:
    """The folder in which oracles stay, for one test process at a time."""
    named = os.environ.get("PRESSPLAY_TEST_CACHE", "")
    folder = (Path(named) if named else Path.home() / ".cache" / "pressplay-tests") / "oracle"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _built(go: str) -> Path:
    """The program, built from sources that are just these by a Go that is just this."""
    version = processes.run([go, "version"], env=dict(os.environ)).stdout
    parts = [version, *(each.read_bytes() for each in sorted(_PROGRAM.glob("*")))]
    with _cache() as folder:
        target = folder / hashlib.sha256(b"\0".join(parts)).hexdigest()[:16] / "oracle"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=folder) as name:
                made = Path(name) / "oracle"
                command = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly"]
                command += ["-o", str(made), "."]
                env = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
                done = processes.run(command, env=env, cwd=_PROGRAM, timeout_s=600)
                assert done.ok, done.complaint()
                target.parent.mkdir(exist_ok=True)
                made.replace(target)
    return target


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """The running program; builds it once, with modules that the Go client fetches."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed: the libraries that Argo uses cannot be asked")
    running = Oracle(_built(go))
    yield running
    running.close()


Told = Callable[[Tally], None]


@pytest.fixture
def told(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Told:
    """Prints what a search compared, and keeps it in the test's report."""

    def tell(tally: Tally) -> None:
        record_property("compared", str(tally))
        print(f"oracle: {request.node.name}: {tally}")  # noqa: T201 - the report's own output

    return tell
