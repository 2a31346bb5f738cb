"""What an agent run is about, before anything is asked of a forge.

Parameters first, then the event, then the git remote of a workspace that is already there. A
repository that none of them names ends the run; a branch that none names stays empty, because a
writer must not fall back to a guessed one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pressplay.api import names, parameters
from pressplay.base import processes
from pressplay.base.errors import Refused
from pressplay.stages import asking
from pressplay.stages.asking import Asked
from pressplay.stages.environment import Outcome, StageEnvironment

_REMOTE = re.compile(
    r"(?:[a-z+]+://(?:[^/@]*@)?[^/]+/|[^/:]+:)(?:.*/)?(?P<owner>[^/:]+)/(?P<repo>[^/]+?)(?:\.git)?/?"
)
"""Git's URL forms (git-clone, GIT URLS): `scheme://host/owner/name.git`, `user@host:owner/name`."""


def run(env: StageEnvironment) -> Outcome:
    """Write everything that the CodeRun needs to know, one output each."""
    app = parameters.github_app(env.get("GITHUB_APP"), alias=env.get("AGENT_ALIAS"))
    asked = asking.from_environment(env)
    if not asked.repository:
        asked = _from_workspace(env, asked)
    if not asked.repository:
        raise Refused(parameters.NO_REPOSITORY)
    asking.check_allowed(env, asked.owner, asked.repo)
    for name, value in _outputs(app, asked).items():
        env.write_output(name, value)
    env.log("context_found", app=app, repository=asked.repository, pr=asked.pr, issue=asked.issue)
    return Outcome()


def remote_repository(url: str) -> tuple[str, str] | None:
    """Owner and name out of a remote's URL; None for what is not a repository on a forge."""
    match = _REMOTE.fullmatch(url.strip())
    if not match:
        return None
    owner, repo = match["owner"], match["repo"]
    if parameters.is_valid("owner", owner) and parameters.is_valid("repo", repo):
        return owner, repo
    return None


def _outputs(app: str, asked: Asked) -> dict[str, str]:
    return {
        "github-app": app,
        "repository": asked.repository,
        "owner": asked.owner,
        "repo": asked.repo,
        "subject": _subject(asked),
        "pr": asked.pr,
        "issue": asked.issue,
        "comment-id": asked.comment_id,
        "ref": asked.ref,
        "sha": asked.sha,
        "task-id": asked.task_id,
        "task-ref": asked.task_ref,
        "attempt": asked.attempt,
    }


def _subject(asked: Asked) -> str:
    """`pr-N` whenever a pull request is known, else as given, else from what is known."""
    if asked.subject and not asked.pr:
        return asked.subject
    if not (asked.pr or asked.issue or asked.sha):
        return ""
    return names.subject_of(pr=asked.pr, issue=asked.issue, sha=asked.sha)


def _from_workspace(env: StageEnvironment, asked: Asked) -> Asked:
    if not (env.workspace / ".git").exists():
        return asked
    found = remote_repository(_git(env, "remote", "get-url", "origin"))
    if found is None:
        return asked
    asked = replace(asked, owner=found[0], repo=found[1])
    if asked.pr or asked.issue or asked.ref or asked.sha:
        return asked
    branch = _git(env, "symbolic-ref", "--short", "--quiet", "HEAD")
    sha = _git(env, "rev-parse", "--verify", "--quiet", "HEAD")
    return replace(
        asked,
        ref=branch if parameters.is_valid("ref", branch) else "",
        sha=sha if parameters.is_valid("sha", sha) else "",
    )


def _git(env: StageEnvironment, *arguments: str) -> str:
    """What git says about the workspace; empty where it refuses."""
    # The workspace may be another user's, and its own configuration may name programs to run.
    safe = [
        "-c",
        "safe.directory=*",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
    ]
    finished = processes.run(
        ["git", *safe, *arguments],
        env={
            "PATH": env.setting("PATH", "/usr/bin:/bin"),
            "HOME": str(Path("/nonexistent")),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        },
        cwd=env.workspace,
        timeout_s=10,
    )
    return finished.text().strip() if finished.ok else ""
