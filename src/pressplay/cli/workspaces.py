"""The user's repository: read, pushed to the local forge, and given the run's branch at the end.

Nothing else in it changes: no checkout, no index, no configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import processes
from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.forge import git_auth


@dataclass(frozen=True)
class Workspace:
    """A repository on this machine, at the commit that a run starts from."""

    path: Path
    branch: str
    sha: str

    @property
    def name(self) -> str:
        """The repository's name on the forge."""
        text = re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.name).strip("-.")
        return text[:100] or "repository"


def read_workspace(path: Path) -> Workspace:
    """Look at a repository. Raises Refused where a run could not start from it."""
    if not path.is_dir():
        raise Refused(f"--repo {path}: there is no such folder; give the path of a git repository")
    top = _git(path, "rev-parse", "--show-toplevel")
    if not top.ok:
        raise Refused(f"--repo {path} is no git repository; run `git init` there and commit")
    head = _git(path, "rev-parse", "--verify", "HEAD^{commit}")
    if not head.ok:
        raise Refused(f"--repo {path} has no commits; commit something to start from")
    branch = _git(path, "symbolic-ref", "--short", "HEAD")
    name = branch.text().strip() if branch.ok else "main"
    return Workspace(Path(top.text().strip()), name, head.text().strip())


def has_uncommitted_changes(workspace: Workspace) -> bool:
    """Whether the work tree holds what the run will not see."""
    return bool(_git(workspace.path, "status", "--porcelain").text().strip())


def push(workspace: Workspace, *, url: str, server_url: str, token: Secret) -> None:
    """Give the forge the commit from which the run starts, as the default branch."""
    pushed = _git(
        workspace.path,
        *("push", "--quiet", "--no-verify", url, f"+{workspace.sha}:refs/heads/{workspace.branch}"),
        env=git_auth.environment(server_url, token),
    )
    if not pushed.ok:
        raise Unavailable(f"Could not push to the local forge: {pushed.complaint()}")


def take_branch(
    workspace: Workspace, branch: str, *, url: str, server_url: str, token: Secret
) -> None:
    """Fetch the run's branch into the repository under its own name."""
    fetched = _git(
        workspace.path,
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", url),
        f"+refs/heads/{branch}:refs/heads/{branch}",
        env=git_auth.environment(server_url, token),
    )
    if not fetched.ok:
        raise Unavailable(
            f"The run ended, but its branch {branch} could not be fetched into {workspace.path}: "
            f"{fetched.complaint()}; fetch it yourself from {url}"
        )


def _git(path: Path, *arguments: str, env: Mapping[str, str] | None = None) -> processes.Finished:
    inherited = dict(os.environ)  # noqa: TID251 - the user's own git, in the user's own surroundings
    inherited["GIT_TERMINAL_PROMPT"] = "0"
    return processes.run(["git", "-C", path, *arguments], env={**inherited, **(env or {})})
