"""The free command of a DocsRun, run without rights: no token and nobody's environment.

What it prints reaches the log redacted and as it comes; what it leaves in the files that the
object names comes back as small outputs.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pressplay.base import files, processes
from pressplay.base.errors import Refused
from pressplay.stages import asking
from pressplay.stages.environment import Ending, Outcome, StageEnvironment

OUTPUT_LIMIT = 64 * 1024
"""Largest output in bytes: outputs travel in an object's status."""

LOG_LIMIT = 16 * 1024 * 1024
"""How much of what a command prints is passed on, in bytes."""

LINE_LIMIT = 64 * 1024
"""A longer line is passed on in pieces."""

LONGEST_S = 3600

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True)
class Output:
    """One file that is wanted back, as the object names it."""

    name: str
    path: str


@dataclass(frozen=True)
class Command:
    """What the object asks for; `variables` are its own plain values."""

    words: tuple[str, ...]
    variables: dict[str, str]
    outputs: tuple[Output, ...]
    timeout_s: int


def run(env: StageEnvironment) -> Outcome:
    """Run the command in the workspace; write `outputs.json` with what it left."""
    command = read_command(asking.read_request(env))
    env.workspace.mkdir(parents=True, exist_ok=True)
    log = _Log(env)
    code = processes.stream(
        command.words,
        env=_variables(env, command),
        cwd=env.workspace,
        timeout_s=command.timeout_s,
        on_output=log.take,
    )
    log.close()
    if code is None:
        return Outcome(Ending.FAIL, f"The command ran longer than {command.timeout_s} s")
    if code:
        said = f": {log.last}" if log.last else ""
        return Outcome(Ending.FAIL, f"The command ended with exit code {code}{said}")
    found = {output.name: _read(env, output) for output in command.outputs}
    env.write_output("outputs.json", json.dumps(found, ensure_ascii=False))
    return Outcome()


def read_command(request: dict[str, Any]) -> Command:
    """The command in an object's spec. Raises Refused, naming the field."""
    words = (*_words(request, "command"), *_words(request, "args"))
    if not _words(request, "command"):
        raise Refused("spec.command is empty; give the program and its arguments as a list")
    return Command(
        words=words,
        variables=_plain_values(request.get("env") or []),
        outputs=_outputs(request.get("outputs") or []),
        timeout_s=_timeout(request.get("timeoutSeconds") or LONGEST_S),
    )


class _Log:
    """Passes on what comes, line by line, redacted, until there is too much of it."""

    def __init__(self, env: StageEnvironment) -> None:
        self._env = env
        self._rest = b""
        self._room = LOG_LIMIT
        self.last = ""

    def take(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._write(line)
        if len(self._rest) > LINE_LIMIT:
            self._write(self._rest)
            self._rest = b""

    def close(self) -> None:
        if self._rest:
            self._write(self._rest)
        sys.stdout.flush()

    def _write(self, line: bytes) -> None:
        text = self._env.redact(line.decode(errors="replace"))
        self.last = text.strip()[:200] or self.last
        if self._room <= 0:
            return
        self._room -= len(line) + 1
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        if self._room <= 0:
            sys.stdout.write("output_cut the rest of the command's output is left out\n")


def _variables(env: StageEnvironment, command: Command) -> dict[str, str]:
    own = {
        "PATH": env.setting("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": str(env.workspace),
        "TMPDIR": env.setting("TMPDIR", "/tmp"),  # noqa: S108 - the container's own
        "LANG": "C.UTF-8",
    }
    return own | command.variables


def _read(env: StageEnvironment, output: Output) -> str:
    root, path = _place(env, output)
    file = files.beneath(root, path)
    if not file.is_file():
        raise Refused(f"Output {output.name}: the command left no file at {output.path}")
    with file.open("rb") as reader:
        data = reader.read(OUTPUT_LIMIT + 1)
    if len(data) > OUTPUT_LIMIT:
        raise Refused(f"Output {output.name} is larger than {OUTPUT_LIMIT // 1024} KiB")
    return env.redact(data.decode(errors="replace"))


def _place(env: StageEnvironment, output: Output) -> tuple[Path, str]:
    """The folder of ours in which the file lies, and its path in there."""
    path = PurePosixPath(output.path)
    if not path.is_absolute():
        return env.workspace, output.path
    folders = {
        "/artifacts": env.artifacts,
        "/out": env.out,
        "/work/src": env.workspace,
        "/tmp": env.path("/tmp"),  # noqa: S108 - the container's own
    }
    for seen, folder in folders.items():
        if path.is_relative_to(seen):
            return folder, str(path.relative_to(seen))
    raise Refused(f"Output {output.name}: {output.path} is not below one of {', '.join(folders)}")


def _words(request: dict[str, Any], key: str) -> tuple[str, ...]:
    found = request.get(key) or []
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise Refused(f"spec.{key} must be a list of texts")
    return tuple(found)


def _plain_values(entries: list[dict[str, Any]]) -> dict[str, str]:
    values = {}
    for entry in entries:
        name, value = entry.get("name", ""), entry.get("value", "")
        if not _VARIABLE.fullmatch(str(name)) or not isinstance(value, str):
            raise Refused(f"spec.env: {str(name)[:60]!r} must be a name with a plain text value")
        values[name] = value
    return values


def _outputs(entries: list[dict[str, Any]]) -> tuple[Output, ...]:
    found = tuple(Output(str(each.get("name")), str(each.get("path"))) for each in entries)
    for output in found:
        if not _NAME.fullmatch(output.name) or output.path in ("", "None"):
            raise Refused(f"spec.outputs: {output.name[:60]!r} needs a plain name and a path")
    return found


def _timeout(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= LONGEST_S:
        raise Refused(f"spec.timeoutSeconds must be between 1 and {LONGEST_S}")
    return value
