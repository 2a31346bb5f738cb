"""What a run needs of this machine: one check for each thing, none of which changes anything."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pressplay.base import processes, rust_programs
from pressplay.base.errors import PressplayError, Refused
from pressplay.cli import agents, claude_program

LEAST_FREE = 1 << 29
ENOUGH_FREE = 5 << 30
"""Bytes: below the first nothing can run; below the second a build may fill the disk."""

PYTHON = (3, 11)
_START_S = 20.0


class State(StrEnum):
    """How it stands: only what is missing keeps every run from working."""

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One check: what was found, and what to do; no remedy where all is well."""

    check: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at."""

    environment: Mapping[str, str]
    state: Path

    @property
    def path(self) -> str:
        return self.environment.get("PATH", os.defpath)

    def answer(self, *words: str) -> str | None:
        """The first line that a program answers; None where it is not there or fails."""
        try:
            done = processes.run(words, env=self.environment, timeout_s=_START_S)
        except (Refused, OSError):
            return None
        lines = (done.text() or done.stderr.decode(errors="replace")).strip().splitlines()
        return (lines[0].strip() if lines else "it answers") if done.ok else None


Check = Callable[[Surroundings], Iterator[Finding]]


def python(_: Surroundings) -> Iterator[Finding]:
    """The interpreter, which runs every stage too."""
    version = ".".join(str(number) for number in sys.version_info[:3])
    if sys.version_info >= PYTHON:
        yield Finding("python", State.OK, version)
    else:
        yield Finding("python", State.MISSING, version, "install Python 3.11 or later")


def git(around: Surroundings) -> Iterator[Finding]:
    """The one program without which nothing works."""
    found = around.answer("git", "--version")
    if found is None:
        yield Finding("git", State.MISSING, "no git on PATH", "install git")
    else:
        yield Finding("git", State.OK, found.removeprefix("git version "))


def sandbox(_: Surroundings) -> Iterator[Finding]:
    """Whether steps can be walled in."""
    # Imported here: it looks at the machine's images, which the other checks do not need.
    from pressplay.pods import sandboxing  # noqa: PLC0415

    found = sandboxing.detect()
    if found.is_tight:
        yield Finding("sandbox", State.OK, "bubblewrap")
    else:
        yield Finding("sandbox", State.WARN, "none: " + found.warning, "see the warning")


def state_folder(around: Surroundings) -> Iterator[Finding]:
    """Whether records can be kept, and how many."""
    folder = around.state
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        remedy = "make it writable, or give another folder with --state"
        yield Finding("state folder", State.MISSING, f"{folder} cannot be written", remedy)
        return
    yield Finding("state folder", State.OK, str(around.state))
    yield judge_space(shutil.disk_usage(folder).free, folder)


def judge_space(free: int, folder: Path) -> Finding:
    """Whether so many free bytes are enough."""
    found = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free >= ENOUGH_FREE:
        return Finding("disk space", State.OK, found)
    state = State.WARN if free >= LEAST_FREE else State.MISSING
    return Finding("disk space", state, found, "make room, or give another folder with --state")


def rust(around: Surroundings) -> Iterator[Finding]:
    """What repositories in Rust need."""
    remedy = "for repositories in Rust: install it from https://rustup.rs"
    found = rust_programs.find(path=around.path, variables=around.environment)
    if found is None:
        yield Finding("rust", State.WARN, "no cargo on PATH", remedy)
        return
    version = around.answer(str(found.programs / "cargo"), "--version") or str(found.root)
    missing = found.missing()
    if missing:
        add = "for repositories in Rust: rustup component add rustfmt clippy"
        yield Finding("rust", State.WARN, f"{version}, without {', '.join(missing)}", add)
    else:
        yield Finding("rust", State.OK, f"{version}, rustfmt, clippy")
    if not rust_programs.has_linker(path=around.path):
        linker = "for repositories in Rust: install a C compiler (package gcc)"
        yield Finding("linker", State.WARN, f"no {rust_programs.LINKER} on PATH", linker)


def python_tools(around: Surroundings) -> Iterator[Finding]:
    """What repositories in Python need; it stands beside the interpreter of the stages."""
    beside = f"{Path(sys.executable).parent}:{around.path}"
    for name in ("ruff", "pytest"):
        program = shutil.which(name, path=beside)
        version = None if program is None else around.answer(program, "--version")
        if version is None:
            remedy = f"for repositories in Python: {sys.executable} -m pip install {name}"
            yield Finding(name, State.WARN, f"no {name} beside {sys.executable}", remedy)
        else:
            yield Finding(name, State.OK, version.removeprefix(f"{name} "))


def claude(around: Surroundings) -> Iterator[Finding]:
    """What `--agent claude` needs: the CLI, and a key or an endpoint."""
    try:
        path = claude_program.find(around.environment)
        if path is None:
            remedy = f"for --agent claude: {claude_program.HOW_TO_GET}"
            yield Finding("claude", State.WARN, "no claude on PATH", remedy)
        else:
            program = claude_program.read(path, around.environment)
            yield Finding("claude", State.OK, f"{program.version} at {path}")
    except PressplayError as error:
        remedy = f"for --agent claude: {claude_program.HOW_TO_GET}"
        yield Finding("claude", State.WARN, str(error), remedy)
    yield _model(around)


def _model(around: Surroundings) -> Finding:
    """The key itself is never shown."""
    remedy = "for --agent claude: set ANTHROPIC_API_KEY"
    try:
        key = agents.claude_key(around.environment)
    except PressplayError as error:
        return Finding("model", State.WARN, str(error), "for --agent claude: mend the address")
    if not key:
        return Finding("model", State.WARN, "no key and no endpoint", remedy)
    words = ["a key"] if key["api-key"] else ["no key"]
    # Not the address: it may hold a name and a password.
    words += ["an endpoint of its own"] if key["base-url"] else ["Anthropic's endpoint"]
    return Finding("model", State.OK, ", ".join(words))


def cluster_tools(around: Surroundings) -> Iterator[Finding]:
    """Wanted on a cluster only."""
    for name, words in (("kubectl", ("version", "--client")), ("helm", ("version", "--short"))):
        found = around.answer(name, *words)
        yield Finding(name, State.OK, found or "not installed; only a cluster needs it")


MACHINE: Sequence[Check] = (
    python,
    git,
    sandbox,
    state_folder,
    rust,
    python_tools,
    claude,
    cluster_tools,
)
"""All of them, in the order in which they are shown."""
