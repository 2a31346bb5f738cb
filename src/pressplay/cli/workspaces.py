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


@dataclass(frozen=True)
class Refspec:
    """A commit and the branch of the local forge that is to point to it."""

    sha: str
    branch: str
    fast_forward: bool = False

    def __str__(self) -> str:
        return f"{'' if self.fast_forward else '+'}{self.sha}:refs/heads/{self.branch}"


def push(
    workspace: Workspace, refspec: Refspec, *, url: str, server_url: str, token: Secret
) -> None:
    """Give the local forge a commit. Raises Refused where a branch would not move forward."""
    pushed = _git(
        workspace.path,
        *("push", "--quiet", "--no-verify", url, str(refspec)),
        env=git_auth.environment(server_url, token),
    )
    if pushed.ok or _is_there(workspace, refspec, url=url, server_url=server_url, token=token):
        return
    if refspec.fast_forward and "rejected" in pushed.complaint():
        raise Refused(
            f"Your branch {refspec.branch} and the pull request's have both moved on; "
            f"fetch the other one from {url} and put yours on top of it"
        )
    raise Unavailable(f"Could not push to the local forge: {pushed.complaint()}")


def _is_there(
    workspace: Workspace, refspec: Refspec, *, url: str, server_url: str, token: Secret
) -> bool:
    """Whether another command, at the same moment, pushed the very commit that we wanted to."""
    listed = _git(
        workspace.path,
        *("ls-remote", url, f"refs/heads/{refspec.branch}"),
        env=git_auth.environment(server_url, token),
    )
    return listed.ok and listed.text().startswith(f"{refspec.sha}\t")


def branch_head(workspace: Workspace, branch: str) -> str:
    """The commit of a branch of the user's; "" where there is none."""
    found = _git(
        workspace.path, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}"
    )
    return found.text().strip() if found.ok else ""


def fetch_objects(
    workspace: Workspace, branch: str, *, url: str, server_url: str, token: Secret
) -> None:
    """Get to know the commits of a branch of the forge; no branch here moves."""
    fetched = _git(
        workspace.path,
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", url, f"refs/heads/{branch}"),
        env=git_auth.environment(server_url, token),
    )
    if not fetched.ok:
        raise Unavailable(f"Could not fetch {branch} from the forge: {fetched.complaint()}")


def has_ancestor(workspace: Workspace, sha: str, *, of: str) -> bool:
    """Whether `sha` is among what `of` stands on, or is it; False where `of` is unknown here."""
    return _git(workspace.path, "merge-base", "--is-ancestor", sha, of).ok


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
    # To fetch is no occasion to tidy up somebody else's repository, which git does on its own.
    alone = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
    command = ["git", "-C", str(path), *alone, *arguments]
    return processes.run(command, env={**inherited, **(env or {})})
