"""Which values a run's parameters may have.

Every parameter is a short text from a closed alphabet. Free text of strangers is never one: a
value with template braces would be evaluated by the engine, one with a leading dash would be an
option to some program.
"""

from __future__ import annotations

import re

from pressplay.base.errors import Refused

APPS = ("rex", "clippy", "qa", "triage", "security")
"""The Apps whose agents do work; the approver is not one of them."""

AGENT_KINDS = ("claude", "command", "scripted")

ALIASES = {"agent": "github-app", "commit": "sha", "branch": "ref"}
"""Names that older manifests use, and what they are called here."""

MAX_ATTEMPTS = 3
EVENT_LIMIT = 8 * 1024
"""Longest `event` in bytes."""

NO_REPOSITORY = (
    "Error: Repository information not available from event payload and no git context found"
)

_HEADS = "refs/heads/"
_NUMBER = r"[1-9][0-9]{0,17}"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TASK = r"(?!/)(?!.*\.\.)[A-Za-z0-9._/-]{1,128}"
_MODEL = r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}"
_FILE = r"(?![/-])(?!.*\.\.)[A-Za-z0-9._/-]{1,200}"

# The rule of git itself beyond the alphabet: its manual page git-check-ref-format.
_REF = r"(?![-/.])(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9._/-]{1,200}(?<![/.])"

_RULES: dict[str, tuple[str, str]] = {
    "owner": (r"[A-Za-z0-9_-]{1,39}", "1 to 39 letters, digits, '-' or '_'"),
    "repo": (r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", "1 to 100 letters, digits, '.', '-' or '_'"),
    "subject": (
        rf"pr-{_NUMBER}|issue-{_NUMBER}|sha-[0-9a-f]{{10}}",
        "pr-N, issue-N or sha- and 10 hex digits",
    ),
    "pr": (_NUMBER, "a number above 0"),
    "issue": (_NUMBER, "a number above 0"),
    "commentId": (_NUMBER, "a number above 0"),
    "ref": (_REF, "a branch: up to 200 letters, digits, '.', '_', '/' or '-', as git allows"),
    "sha": (r"[0-9a-f]{40}", "40 hex digits"),
    "deliveryId": (
        r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "a GUID, as in X-GitHub-Delivery",
    ),
    "taskId": (_TASK, "up to 128 letters, digits, '.', '_', '/' or '-', without '..'"),
    "taskRef": (_TASK, "up to 128 letters, digits, '.', '_', '/' or '-', without '..'"),
    "includeComments": (r"true|false", "true or false"),
    "attempt": (rf"[0-{MAX_ATTEMPTS}]", f"0 to {MAX_ATTEMPTS}"),
    "agentKind": ("|".join(AGENT_KINDS), f"one of: {', '.join(AGENT_KINDS)}"),
    "agentModel": (
        _MODEL,
        "a model's name: up to 128 letters, digits, '.', '_', ':', '/', '@', '-'",
    ),
    "agentMaxUsd": (r"[0-9]{1,4}(\.[0-9]{1,6})?", "an amount of US dollars, such as 2.50"),
    "domain": (rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", "a DNS name"),
    "chartPath": (_FILE, "a path inside the repository, without '..'"),
    "valuesFile": (_FILE, "a path inside the repository, without '..'"),
    "imageTag": (r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "an image tag"),
}

_PATTERNS = {name: re.compile(pattern) for name, (pattern, _) in _RULES.items()}


def check(name: str, value: str) -> str:
    """`value` in its plain form, if the parameter `name` may have it.

    Empty means not given and is allowed for all but `github-app`. A `ref` loses `refs/heads/`, a
    `sha` its capitals. Raises Refused, naming the parameter and what it may be.
    """
    name = ALIASES.get(name, name)
    if "{{" in value:
        raise Refused(f"Parameter {name} holds '{{{{'; template text is never a parameter's value")
    if name == "github-app":
        return _check_app(value)
    if name == "event":
        return _check_event(value)
    if name not in _RULES:
        known = ", ".join(sorted({*_RULES, "github-app", "event"}))
        raise Refused(f"Parameter {name!r} is unknown; known: {known}")
    plain = _plain(name, value)
    if plain and not _PATTERNS[name].fullmatch(plain):
        raise Refused(f"Parameter {name} is {_shown(value)}; it must be {_RULES[name][1]}")
    return plain


def is_valid(name: str, value: str) -> bool:
    """Whether `check` lets the value through."""
    try:
        check(name, value)
    except Refused:
        return False
    return True


def github_app(value: str, *, alias: str = "") -> str:
    """The App, given by its own name or by the older parameter `agent`.

    Raises Refused where both are given and differ.
    """
    if value and alias and value != alias:
        raise Refused(
            f"Parameters github-app {_shown(value)} and agent {_shown(alias)} differ; give one"
        )
    return check("github-app", value or alias)


def repository(text: str) -> tuple[str, str]:
    """Owner and name out of `owner/name`. Raises Refused."""
    owner, slash, repo = text.partition("/")
    if not slash or not owner or not repo:
        raise Refused(f"Repository is {_shown(text)}; it must be written owner/name")
    return check("owner", owner), check("repo", repo)


def _plain(name: str, value: str) -> str:
    if name == "ref":
        return value.removeprefix(_HEADS)
    if name == "sha":
        return value.lower()
    return value


def _check_app(value: str) -> str:
    if value not in APPS:
        raise Refused(
            f"Error: Invalid github-app '{_cut(value)}'. Must be one of: {', '.join(APPS)}"
        )
    return value


def _check_event(value: str) -> str:
    size = len(value.encode(errors="replace"))
    if size > EVENT_LIMIT:
        raise Refused(
            f"Parameter event has {size} bytes; at most {EVENT_LIMIT}: pass the projected delivery"
        )
    return value


def _cut(value: str) -> str:
    """A stranger's value for a message: one line, not long."""
    line = "".join(sign if sign.isprintable() else "?" for sign in value)
    return line if len(line) <= 60 else f"{line[:60]}…"


def _shown(value: str) -> str:
    return f"'{_cut(value)}'"
