"""The Claude Code CLI on this machine: where it is, and what a sandbox must see to start it.

It comes as one native binary, or as a script in an npm package that Node runs.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import processes
from pressplay.base.errors import Refused

VARIABLE = "PRESSPLAY_CLAUDE"
HOW_TO_GET = "install it with `npm install -g @anthropic-ai/claude-code`"

_ELF = b"\x7fELF"
_NODE = re.compile(rb"#![^\n]*\bnode\b")
_VERSION = re.compile(r"(\d+\.\d+\.\d+)[^\n]*Claude Code")
_START_S = 30.0
_PACKAGE_DEPTH = 4


@dataclass(frozen=True)
class Program:
    """The words that start the CLI, and the files and folders that it needs to be there."""

    words: tuple[str, ...]
    shown: tuple[Path, ...]
    version: str


def find(environment: Mapping[str, str]) -> Path | None:
    """Where the CLI is, as the user named or installed it; None where there is none.

    Raises Refused where $PRESSPLAY_CLAUDE names nothing.
    """
    named = environment.get(VARIABLE, "")
    found = shutil.which(named or "claude", path=environment.get("PATH"))
    if named and found is None:
        raise Refused(f"${VARIABLE} is {named}; there is no such program")
    return None if found is None else Path(found).absolute()


def read(path: Path, environment: Mapping[str, str]) -> Program:
    """Look at the program, and start it once. Raises Refused where it cannot be used."""
    real = path.resolve()
    with real.open("rb") as file:
        head = file.read(256)
    words: tuple[str, ...] = (str(real),)
    shown: tuple[Path, ...] = (real,)
    if _NODE.match(head):
        node = _node(environment)
        words, shown = (str(node), str(real)), (node, _package(real))
    elif not head.startswith(_ELF):
        raise Refused(
            f"{path} is a script around the Claude Code CLI; set ${VARIABLE} to the program that "
            "it starts"
        )
    return Program(words=words, shown=shown, version=_version(words, path))


def _node(environment: Mapping[str, str]) -> Path:
    """The real Node: what stands on PATH may be a version manager's script."""
    found = shutil.which("node", path=environment.get("PATH"))
    if found is None:
        raise Refused("The Claude Code CLI here needs Node; put `node` on PATH")
    asked = processes.run([found, "-p", "process.execPath"], env=environment, timeout_s=_START_S)
    if not asked.ok:
        raise Refused(f"Node does not start: {asked.complaint()}")
    return Path(asked.text().strip()).resolve()


def _package(script: Path) -> Path:
    """The folder of the npm package that a script belongs to; its own where it has none."""
    for folder in list(script.parents)[:_PACKAGE_DEPTH]:
        if (folder / "package.json").is_file():
            return folder
    return script.parent


def _version(words: tuple[str, ...], path: Path) -> str:
    with tempfile.TemporaryDirectory() as home:
        env = {"HOME": home, "PATH": os.defpath, "DISABLE_AUTOUPDATER": "1"}
        asked = processes.run([*words, "--version"], env=env, timeout_s=_START_S)
    found = _VERSION.search(asked.text())
    if not asked.ok or found is None:
        said = " ".join((asked.complaint() or "nothing").split())[:300]
        raise Refused(f"{path} does not answer as the Claude Code CLI; it said: {said}")
    return found[1]
