"""How an app is started whose policy does not say: found only where it cannot be mistaken.

A wrong guess costs an agent's work and ends in a preview that never answers. So a program counts as
a server only where its entry file itself asks for PORT; all else is for a person to write down, and
is refused before any agent starts.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable
from typing import Any

from pressplay.api import policy
from pressplay.api.policy import Policy, ProcessPreview
from pressplay.base.errors import Refused

Read = Callable[[str], bytes | None]
"""The content of a file of the base commit, None where there is none."""

PYTHON_ENTRIES = ("app.py", "main.py", "server.py")

_PORT = re.compile(rb"""["']PORT["']""")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")

_PIP = "python3 -m venv .venv && .venv/bin/pip install"
EXAMPLES = {
    "Cargo.toml": "build: [cargo, build, --release], command: [target/release/APP]",
    "pyproject.toml": f'build: [sh, -c, "{_PIP} ."], command: [.venv/bin/APP]',
    "setup.py": f'build: [sh, -c, "{_PIP} ."], command: [.venv/bin/APP]',
    "requirements.txt": (
        f'build: [sh, -c, "{_PIP} -r requirements.txt"], command: [.venv/bin/python, APP.py]'
    ),
    "package.json": "build: [npm, ci], command: [npm, start]",
    "go.mod": "build: [go, build, -o, app, .], command: [./app]",
}
"""For the file that tells the language, in the order of asking: what to write."""

_KNOWN = ("Cargo.toml", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "tox.ini")
_FOREIGN = {
    "package.json": "JavaScript",
    "go.mod": "Go",
    "pom.xml": "Java",
    "build.gradle": "Java",
    "Gemfile": "Ruby",
    "composer.json": "PHP",
}

PLAIN_EXAMPLE = "command: [python3, app.py]"


def fill(rules: Policy, read: Read) -> Policy:
    """The policy with a start command, where it has none and the base's files leave no doubt."""
    if rules.preview.deployer != "process" or rules.preview.process.command:
        return rules
    found = _rust(read) or _python(read)
    if found is None:
        return rules
    process = dataclasses.replace(found, ready=rules.preview.process.ready)
    preview = dataclasses.replace(rules.preview, process=process)
    return dataclasses.replace(rules, preview=preview)


def check_deployable(rules: Policy, read: Read | None = None) -> None:
    """Raises Refused where the policy asks for what is not there, or does not say how to start.

    With `read`, the example in the message fits the repository's language.
    """
    if rules.preview.deployer != "process":
        raise Refused(
            f"preview.deployer is {rules.preview.deployer}, which this version does not have; "
            f"set preview.deployer to process in {policy.FILE_NAME}"
        )
    if rules.preview.process.command:
        return
    found = next((name for name in EXAMPLES if read is not None and read(name)), "")
    example = EXAMPLES.get(found, PLAIN_EXAMPLE)
    raise Refused(
        f"{policy.FILE_NAME} has no preview.process.command, so nobody knows how to start the "
        "app and no change could be judged; on the base branch, write for example "
        f"`preview: {{process: {{{example}, ready: /}}}}`; the app must listen on the port in the "
        "environment variable PORT (for a library, name a small app that shows it)"
    )


def check_language(rules: Policy, read: Read) -> None:
    """Raises Refused where the files tell a language whose tests nobody here can run."""
    if rules.language:
        return
    found = next((name for name in _FOREIGN if read(name) is not None), "")
    if found and not any(read(name) is not None for name in _KNOWN):
        raise Refused(
            f"The repository has a {found}, and for {_FOREIGN[found]} there is no toolchain; "
            f"available: rust, python. If one of them fits, set language in {policy.FILE_NAME}"
        )


def _rust(read: Read) -> ProcessPreview | None:
    """A crate with one binary, whose `main.rs` asks for PORT."""
    manifest = _toml(read("Cargo.toml"))
    name = (manifest.get("package") or {}).get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "workspace" in manifest:
        return None
    binaries = manifest.get("bin")
    path = "src/main.rs"
    if isinstance(binaries, list) and binaries:
        if len(binaries) > 1 or not isinstance(binaries[0], dict):
            return None
        name, path = str(binaries[0].get("name", name)), str(binaries[0].get("path", path))
    if not _NAME.fullmatch(name) or not _asks_for_port(read, path):
        return None
    return ProcessPreview(
        build=("cargo", "build", "--release"), command=(f"target/release/{name}",)
    )


def _python(read: Read) -> ProcessPreview | None:
    """A script of a usual name at the top that asks for PORT, with its file of requirements."""
    entry = next((name for name in PYTHON_ENTRIES if _asks_for_port(read, name)), "")
    if not entry:
        return None
    if read("requirements.txt") is not None:
        build = ("sh", "-c", f"{_PIP} -r requirements.txt")
        return ProcessPreview(build=build, command=(".venv/bin/python", entry))
    project = _toml(read("pyproject.toml")).get("project")
    if isinstance(project, dict) and (project.get("dependencies") or project.get("dynamic")):
        return None
    return ProcessPreview(command=("python3", entry))


def _asks_for_port(read: Read, path: str) -> bool:
    if path.startswith("/") or ".." in path.split("/"):
        return False
    return bool(_PORT.search(read(path) or b""))


def _toml(content: bytes | None) -> dict[str, Any]:
    try:
        return tomllib.loads((content or b"").decode(errors="replace"))
    except tomllib.TOMLDecodeError:
        return {}
