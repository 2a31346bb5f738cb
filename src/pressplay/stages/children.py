"""The surroundings of programs that a stage starts on a repository's files.

They get a path, a home of their own and the variables that they need; nothing of the stage's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pressplay.base.errors import Refused
from pressplay.stages.environment import StageEnvironment

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_RESERVED = ("PRESSPLAY_", "GIT_", "LD_")

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def search_path(env: StageEnvironment) -> str:
    """Where programs are found: first beside the interpreter that runs this stage."""
    return f"{Path(sys.executable).parent}:{env.setting('PATH', DEFAULT_PATH)}"


def variables(*, path: str, home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A whole environment; `home` is made and also takes the temporary files."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        # Programs that leave their traces in the tree would see them committed.
        "PYTHONDONTWRITEBYTECODE": "1",
        **(more or {}),
    }


def plain_variables(request: Mapping[str, Any]) -> dict[str, str]:
    """The object's own `env`, without names that would change our git or our wrapper."""
    found: dict[str, str] = {}
    for each in request.get("env") or ():
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise Refused("spec.env must be a list of {name, value}, names as in a shell")
        if not name.upper().startswith(_RESERVED):
            found[name] = str(each.get("value") or "")
    return found
