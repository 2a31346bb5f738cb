"""What a build made, as one archive, and out of it again where the app will run.

An archive, because folders among artifacts lose links and modes. It is opened only in the pod that
runs what is in it: nobody else follows its links.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pressplay.base import processes
from pressplay.base.errors import Unavailable
from pressplay.stages import children
from pressplay.stages.environment import Outcome, StageEnvironment

FOLDER = "/app"
"""Where the app is built and later runs: some builds write their place into what they make."""

BUILT = "/built"
"""Where a preview's pod sees the archive."""

NAME = "built.tar"
_TAR_S = 120.0


def run_unpack(env: StageEnvironment) -> Outcome:
    """The first container of a preview: put what was built in its place."""
    target = env.path(FOLDER)
    target.mkdir(parents=True, exist_ok=True)
    _tar("--extract", "--no-same-owner", archive=env.path(BUILT) / NAME, folder=target)
    return Outcome()


def pack(folder: Path, archive: Path) -> None:
    """Put all that is in a folder into an archive, made anew. Raises Unavailable."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    _tar("--create", archive=archive, folder=folder)


def _tar(*options: str, archive: Path, folder: Path) -> None:
    """Run tar: Python's own takes five times as long."""
    command = ["tar", *options, f"--file={archive.absolute()}", f"--directory={folder}"]
    if "--create" in options:
        command.append(".")
    with tempfile.TemporaryDirectory() as home:
        done = processes.run(
            command,
            env=children.variables(path=children.DEFAULT_PATH, home=Path(home)),
            timeout_s=_TAR_S,
        )
    if not done.ok:
        raise Unavailable(
            f"What was built does not go into or out of its archive ({done.complaint()[-200:]}); "
            "is the disk full?"
        )
