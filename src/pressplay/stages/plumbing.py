"""Git, run as if nobody had configured it.

Nothing that a repository or a machine brings along takes effect: no hook, no filter, no helper,
no submodule, no prompt. A token reaches git in its environment, never in its arguments.
"""

from __future__ import annotations

import base64
import functools
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from pressplay.base import processes, redaction
from pressplay.base.errors import Refused, Unavailable
from pressplay.base.processes import Finished
from pressplay.base.redaction import Secret

LOCAL_S = 120.0
NETWORK_S = 480.0
"""Seconds for one call; the steps that fetch or push have ten minutes in all."""

# What git, libcurl and a forge's front end say when the same call may succeed later.
_PASSING = re.compile(
    r"could not resolve|failed to connect|couldn't connect|connection (refused|reset)"
    r"|returned error: (429|5\d\d)|early eof|rpc failed|hung up unexpectedly|timed out",
    re.IGNORECASE,
)

# Scheme of a URL to the one protocol that git may speak; a plain path has none.
_PROTOCOLS = {"": "file", "file": "file", "http": "http", "https": "https"}

_SETTINGS = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.askPass": "",
    "core.quotePath": "false",
    "core.commitGraph": "false",
    # Our git directories end with their step; what must outlive it is in a bundle or on the forge.
    "core.fsync": "none",
    "credential.helper": "",
    "init.templateDir": "",
    "init.defaultBranch": "main",
    "gc.auto": "0",
    # What arrives is kept as the one file that it came as: to unpack it would make a file for
    # each object, which takes longer than the fetch.
    "transfer.unpackLimit": "1",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "push.followTags": "false",
    "push.recurseSubmodules": "no",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.bundleURI": "",
    "transfer.bundleURI": "false",
    "diff.external": "",
    "tar.umask": "022",
}


def must(
    directory: Path,
    *arguments: str,
    stdin: bytes = b"",
    more: Mapping[str, str] | None = None,
) -> Finished:
    """`call`, raising what `failure` makes of a git that says no."""
    finished = call(directory, *arguments, stdin=stdin, more=more)
    if not finished.ok:
        raise failure(finished, f"git {arguments[0]} failed")
    return finished


def call(
    directory: Path,
    *arguments: str,
    stdin: bytes | BinaryIO = b"",
    stdout: BinaryIO | None = None,
    url: str = "",
    auth: Secret | None = None,
    more: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Finished:
    """Run git on our own git directory.

    `url` is the one remote (or bundle) that it may speak to, `auth` the token for it, `more`
    further environment; `stdin` and `stdout` as in `processes.run`.
    """
    return processes.run(
        [_program(), f"--git-dir={directory.absolute()}", *arguments],
        env={**_environment(url=url, auth=auth), **(more or {})},
        cwd=cwd or directory,
        stdin=stdin,
        stdout=stdout,
        timeout_s=NETWORK_S if url else LOCAL_S,
    )


@functools.cache
def _program() -> str:
    found = shutil.which("git")
    if not found:
        raise Refused("Program not found: git; install it or put it on PATH")
    return found


def _environment(*, url: str, auth: Secret | None) -> dict[str, str]:
    settings = dict(_SETTINGS)
    parts = urlsplit(url)
    if auth and parts.scheme in ("http", "https"):
        # For this host only: a redirect to another one must not carry the token along.
        basic = base64.b64encode(f"x-access-token:{auth.reveal()}".encode()).decode()
        settings[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = (
            f"Authorization: Basic {basic}"
        )
    pairs: dict[str, str] = {}
    for number, (key, value) in enumerate(settings.items()):
        pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        "PATH": f"{Path(_program()).parent}:/usr/local/bin:/usr/bin:/bin",
        # Not a directory, so that nobody can put a configuration into it.
        "HOME": "/dev/null",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS.get(parts.scheme, "none") if url else "none",
        "GIT_CONFIG_COUNT": str(len(settings)),
        **pairs,
    }


def is_passing(finished: Finished) -> bool:
    """Whether the same call may succeed later."""
    return finished.timed_out or bool(_PASSING.search(finished.complaint()))


def failure(finished: Finished, what: str) -> Refused | Unavailable:
    """The error for a git call that failed: worth a retry or not, with what git said."""
    if finished.timed_out:
        return Unavailable(f"{what}: no answer in time; try again")
    said = redaction.redact(finished.complaint()) or "git gave no reason"
    kind = Unavailable if is_passing(finished) else Refused
    return kind(f"{what}: {said}")
