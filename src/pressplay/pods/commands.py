"""Whether a container's command exists, told before the sandbox is built around it.

The words are Go's, as Argo's executor prints them: users and tests look for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from pressplay.base.errors import Refused
from pressplay.pods.filesystems import Filesystem

NOT_FOUND = 64
"""The exit code of Argo's executor for whatever kept the command from starting."""


def check(command: Sequence[str], *, search: str, filesystem: Filesystem, working_dir: str) -> None:
    """Refuse a command that is not there, or is no program. `search` is the value of PATH."""
    if not command:
        raise Refused("no command, and the image brings none on this machine; set `command`")
    problem = _problem(command[0], search, filesystem, working_dir=working_dir)
    if problem:
        raise Refused(f'failed to find name in PATH: exec: "{command[0]}": {problem}')


def _problem(name: str, search: str, filesystem: Filesystem, *, working_dir: str) -> str:
    if "/" in name:
        path = PurePosixPath(working_dir, name)
        found = True if ".." in path.parts else filesystem.is_executable(str(path))
        if found is None:
            return f"stat {name}: no such file or directory"
        return "" if found else "permission denied"
    folders = [folder for folder in search.split(":") if folder.startswith("/")]
    if any(filesystem.is_executable(f"{folder}/{name}") for folder in folders):
        return ""
    return "executable file not found in $PATH"
