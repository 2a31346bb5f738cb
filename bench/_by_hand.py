"""The same work done by hand: what a shell script with the same walls would need for it.

As many sandboxes as a demo run starts, one after another, with nothing in them; and for each of
the three agents what git has to do: a clone from the forge, a bundle for the agent, its commit, a
bundle back, two clones in which it is examined, a push. Nothing is decided, checked or recorded.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from pressplay.pods import sandboxing
from pressplay.server import standing
from pressplay.server.standing import Address

SANDBOX = (
    *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
    *("--die-with-parent", "/bin/true"),
)
AGENTS = 3
BRANCH = "by-hand"


def seconds(state: Path, *, repository: str, sandboxes: int) -> float:
    """How long it takes, with a repository of the forge that serves `state`."""
    address = standing.read_address(state)
    sandbox = sandboxing.detect()
    if address is None or not isinstance(sandbox, sandboxing.Bubblewrap):
        raise SystemExit("by hand: a server and bubblewrap are needed")
    begun = time.time()
    for _ in range(sandboxes):
        subprocess.run((sandbox.program, *SANDBOX), check=True)
    for _ in range(AGENTS):
        with tempfile.TemporaryDirectory(dir=state) as folder:
            _agent(Path(folder), address, repository)
    return time.time() - begun


def _agent(folder: Path, address: Address, repository: str) -> None:
    git = _Git(address)
    url = f"{address.forge_url}/{repository}.git"
    git("clone", "--quiet", "--bare", url, folder / "source")
    git("bundle", "create", "--quiet", folder / "source.bundle", "main", at=folder / "source")
    git("clone", "--quiet", folder / "source.bundle", folder / "work", "--branch", "main")
    (folder / "work" / "by-hand.txt").write_text("done\n")
    git("add", "--all", at=folder / "work")
    git("commit", "--quiet", "--message", "By hand", at=folder / "work")
    git("bundle", "create", "--quiet", folder / "back.bundle", "HEAD~1..main", at=folder / "work")
    for name in ("verify", "publish"):
        clone = folder / name
        git("clone", "--quiet", folder / "source.bundle", clone, "--branch", "main")
        git("fetch", "--quiet", folder / "back.bundle", "main", at=clone)
        git("fsck", "--no-progress", at=clone)
        git("log", "--format=%H %an %s", "HEAD..FETCH_HEAD", at=clone)
        git("diff", "--raw", "HEAD", "FETCH_HEAD", at=clone)
        git("diff", "-U0", "HEAD", "FETCH_HEAD", at=clone)
    git("push", "--quiet", url, f"FETCH_HEAD:refs/heads/{BRANCH}", at=folder / "publish")
    git("push", "--quiet", url, f":refs/heads/{BRANCH}", at=folder / "publish")


class _Git:
    """git with the operator's token, and nobody's settings."""

    def __init__(self, address: Address) -> None:
        pair = base64.b64encode(f"x-access-token:{address.operator_token}".encode()).decode()
        settings = {
            f"http.{address.forge_url}/.extraHeader": f"Authorization: Basic {pair}",
            "gc.auto": "0",
            "maintenance.auto": "false",
            "core.fsync": "none",
            "user.name": "by-hand",
            "user.email": "by-hand@users.noreply.pressplay.dev",
        }
        self._program = shutil.which("git") or "git"
        self._environment = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/dev/null"}
        self._environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            self._environment[f"GIT_CONFIG_KEY_{number}"] = key
            self._environment[f"GIT_CONFIG_VALUE_{number}"] = value

    def __call__(self, *arguments: str | Path, at: Path | None = None) -> None:
        subprocess.run(
            (self._program, *arguments),
            env=self._environment,
            cwd=at,
            check=True,
            stdout=subprocess.DEVNULL,
        )
