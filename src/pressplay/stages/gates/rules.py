"""Which paths an agent may change, decided from names, modes and sizes alone.

Nobody's agent changes the rules that it is judged by: the policy, what the forge's CI runs, or
what other agents are told. Pure, so that the pod that runs foreign code and the pod that holds the
write token can both ask, and the second need not believe the first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pressplay.stages.git import Change

FILE_LIMIT = 5 * 1024 * 1024
"""Largest file that a change may bring, in bytes."""

# Compared without regard to case: on many machines .GITHUB is .github.
_POLICY = (".pressplay.yaml", ".pressplay.yml")
_CI = (
    ".github/**",
    ".gitlab-ci.yml",
    ".gitlab/**",
    ".forgejo/**",
    ".gitea/**",
    ".circleci/**",
    ".buildkite/**",
    ".woodpecker/**",
    ".woodpecker.y*ml",
    ".drone.y*ml",
    ".travis.yml",
    ".cirrus.yml",
    ".semaphore/**",
    ".teamcity/**",
    ".tekton/**",
    ".azure-pipelines/**",
    "azure-pipelines*.y*ml",
    "bitbucket-pipelines.yml",
    "appveyor.yml",
    ".appveyor.yml",
    "cloudbuild.y*ml",
    "buildspec.y*ml",
    "jenkinsfile*",
)
_AGENTS = (
    "**/.claude/**",
    "**/claude.md",
    "**/claude.local.md",
    "**/agents.md",
    "**/agent.md",
    "**/gemini.md",
    "**/.mcp.json",
    "**/.cursor/**",
    "**/.cursorrules",
    "**/.codex/**",
    "**/.gemini/**",
    "**/.windsurf/**",
    "**/.windsurfrules",
    "**/.clinerules/**",
    "**/.clinerules",
    "**/.aider*",
    "**/.continue/**",
    "**/.roo/**",
    "**/.opencode/**",
)
_GIT = ("**/.gitmodules",)

_FORBIDDEN = (
    (_POLICY, "the policy file"),
    (_CI, "configuration of CI"),
    (_AGENTS, "configuration of agents"),
    (_GIT, "submodules"),
)

_LINK, _SUBMODULE = "120000", "160000"


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a glob pattern fits: `*` and `?` stay within a folder, `**` crosses them.

    A pattern that ends with `/` means everything below.
    """
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


def judge_path(change: Change) -> str:
    """Why nobody's agent may make this change, by its path and its kind; "" if it may."""
    path = change.path
    if not path.isprintable() or "\\" in path:
        return f"{_shown(path)} has a name that not every machine can hold"
    for patterns, what in _FORBIDDEN:
        if matches(path.lower(), patterns):
            return f"{_shown(path)} is {what}, which no agent may change"
    if _SUBMODULE in (change.old_mode, change.new_mode):
        return f"{_shown(path)} is a submodule, which no agent may change"
    return ""


def judge_link(change: Change, leads_to: str) -> str:
    """Why this symbolic link may not be there; "" if it stays inside the tree.

    `..` is allowed at the beginning only, where it climbs real folders: behind a name it would
    climb from wherever another link leads.
    """
    parts = PurePosixPath(leads_to).parts
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    depth = len(PurePosixPath(change.path).parts) - 1
    if leads_to.startswith("/") or climbs > depth or ".." in parts[climbs:]:
        return f"{_shown(change.path)} is a symbolic link that leads out of the repository"
    return ""


def judge_size(change: Change, size: int) -> str:
    """Why this file is too large; "" if it is not."""
    if size <= FILE_LIMIT:
        return ""
    return f"{_shown(change.path)} has {size} bytes; at most {FILE_LIMIT >> 20} MiB are allowed"


def judge_tests_only(changes: Sequence[Change], patterns: Sequence[str]) -> Iterator[str]:
    """Why QA may not make these changes: it writes tests and nothing that they test."""
    for change in changes:
        if not matches(change.path, patterns):
            allowed = ", ".join(patterns)
            yield (
                f"{_shown(change.path)} is outside of what QA may change ({allowed}); if it is a "
                "test, add its folder to qa.paths in .pressplay.yaml on the base branch"
            )


def is_link(change: Change) -> bool:
    """Whether the change makes or alters a symbolic link."""
    return change.new_mode == _LINK


def is_file(change: Change) -> bool:
    """Whether there is a plain file afterwards."""
    return change.new_mode.startswith("100")


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.endswith("/"):
        pattern += "**"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts), re.DOTALL)


def _shown(path: str) -> str:
    """A hostile path for a message."""
    return ascii(path)[1:-1] if not path.isprintable() else path[:200]
