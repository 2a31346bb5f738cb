"""What a stage sees: parameters, settings, argv and files. Nothing else reaches it.

The only place in this room where the process environment is read, and the only write path of a
stage: what goes to an output, an artifact or the log passes redaction here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path, PurePosixPath

from pressplay.base import redaction
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused

_SECRET_NAMES = ("TOKEN", "SECRET", "PASSWORD", "PRIVATE_KEY", "API_KEY")


class Ending(IntEnum):
    """How a stage ends, as its exit code; `retryStrategy` in the manifests matches UNAVAILABLE."""

    PASS = 0
    FAIL = 1
    REFUSED = 2
    UNAVAILABLE = 3
    INCONCLUSIVE = 4
    BUG = 70


class Foreign(StrEnum):
    """What takes time in a step and is not the pipeline's own."""

    AGENT = "agent"
    TESTS = "tests"
    TOOLS = "tools"
    DEPENDENCIES = "dependencies"
    BUILD = "build"
    START = "start"
    LOAD = "load"


@dataclass(frozen=True)
class Outcome:
    """What a stage returns; `reason` is one line for people, wanted for whatever is not a pass."""

    ending: Ending = Ending.PASS
    reason: str = ""


@dataclass(frozen=True)
class StageEnvironment:
    """The whole world of one stage; tests make one by hand.

    With `PRESSPLAY_ROOT` set (a step without a sandbox), every default path lies below it; a path
    that a variable names is taken as it stands.
    """

    variables: Mapping[str, str] = field(repr=False)
    argv: tuple[str, ...] = ()

    @classmethod
    def of_process(cls, argv: tuple[str, ...]) -> StageEnvironment:
        """The environment of this process."""
        return cls(variables=dict(os.environ), argv=argv)  # noqa: TID251 - this is the one place

    def get(self, name: str, default: str = "") -> str:
        """The parameter `name` without its PRESSPLAY_ prefix; an empty one counts as not given."""
        return self.setting(f"PRESSPLAY_{name}", default)

    def setting(self, name: str, default: str = "") -> str:
        """The variable with exactly this name; an empty one counts as not given."""
        return self.variables.get(name) or default

    def require(self, name: str) -> str:
        """The parameter `name`. Raises Refused where it is missing or empty."""
        value = self.get(name)
        if not value:
            raise Refused(f"Parameter PRESSPLAY_{name} is empty; the step's template must set it")
        return value

    def path(self, path: str) -> Path:
        """Where the absolute `path` of a manifest or a parameter lies for this process.

        Raises Refused for one that holds `..`.
        """
        if ".." in PurePosixPath(path).parts:
            raise Refused(f"Path {path} holds '..'; write it without")
        root = self.get("ROOT")
        if not root or not path.startswith("/") or Path(path).is_relative_to(root):
            return Path(path)
        return Path(root) / path.lstrip("/")

    @property
    def out(self) -> Path:
        """Where outputs (parameters of the step) are written."""
        return self._folder("OUT", "/out")

    @property
    def artifacts(self) -> Path:
        """Where evidence is written, one folder a task."""
        return self._folder("ARTIFACTS", "/artifacts")

    @property
    def inputs(self) -> Path:
        """Where the artifacts of earlier steps lie."""
        return self._folder("IN", "/in")

    @property
    def token_file(self) -> Path:
        """The short-lived token of the forge."""
        return self._folder("TOKEN_FILE", "/var/run/github/token")

    @property
    def app_key_dir(self) -> Path:
        """The mounted secret with the App's id and private key."""
        return self._folder("APP_KEY_DIR", "/var/run/secrets/github-app")

    @property
    def signing_key_dir(self) -> Path:
        """The mounted secret with the key that signs bundles."""
        return self._folder("SIGNING_KEY_DIR", "/var/run/secrets/evidence-signing")

    @property
    def agents_dir(self) -> Path:
        """The prompts of the agents."""
        return self._folder("AGENTS_DIR", "/etc/agents")

    @property
    def agent_dir(self) -> Path:
        """The program of a scripted agent."""
        return self._folder("AGENT_DIR", "/etc/pressplay/agent")

    @property
    def workspace(self) -> Path:
        """The repository's working copy."""
        return self._folder("WORKSPACE", "/work/src")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be written, known by the name of their variable."""
        return tuple(
            value
            for name, value in self.variables.items()
            if name.upper().endswith(_SECRET_NAMES) and "\n" not in value.strip()
        )

    def redact(self, text: str) -> str:
        """`text` without what looks like a secret or is one of ours."""
        return redaction.redact(text, secrets=self.secrets)

    def write_output(self, name: str, text: str) -> None:
        """Write the output parameter `name`, redacted; its value is the exact text."""
        _write(self.out, name, self.redact(text).encode())

    def write_artifact(self, path: str, data: object) -> None:
        """Write one evidence file at `path` below the artifacts folder.

        Text is redacted; bytes are written as they are; anything else is written as JSON, each
        string in it redacted.
        """
        if isinstance(data, bytes):
            content = data
        elif isinstance(data, str):
            content = self.redact(data).encode()
        else:
            clean = redaction.redact_value(data, secrets=self.secrets)
            content = (json.dumps(clean, indent=2, ensure_ascii=False) + "\n").encode()
        _write(self.artifacts, path, content)

    def log(self, event: str, **fields: object) -> None:
        """Write one line to the step's log: the event's name, then key=value, redacted."""
        words = [event, *(f"{key}={_word(self.redact(str(v)))}" for key, v in fields.items())]
        sys.stdout.write(" ".join(words) + "\n")
        sys.stdout.flush()

    @contextmanager
    def timed(self, what: Foreign) -> Iterator[None]:
        """Log how long the block took and, as a Unix time, when it ended: it is not ours."""
        clock = SystemClock()
        begun = clock.monotonic()
        try:
            yield
        finally:
            seconds, ended = clock.monotonic() - begun, clock.now().timestamp()
            self.log("took", what=what, seconds=f"{seconds:.3f}", ended=f"{ended:.3f}")

    def _folder(self, name: str, default: str) -> Path:
        given = self.get(name)
        return Path(given) if given else self.path(default)


def _word(text: str) -> str:
    """A value as one word: quoted as JSON where it holds a blank, a quote or a control sign."""
    if text and all(sign.isprintable() and sign not in ' "=' for sign in text):
        return text
    return json.dumps(text)


def _write(root: Path, path: str, content: bytes) -> None:
    """Write below `root`, making folders, and refuse to leave it by `..` or through a link."""
    target = root
    for part in PurePosixPath(path).parts:
        if part in ("/", ".."):
            raise Refused(f"Path {path} leaves its folder; write it relative and without '..'")
        target = target / part
        if target.is_symlink():
            raise Refused(f"Path {path} passes through a symbolic link at {part}")
    try:
        target.write_bytes(content)
    except FileNotFoundError:
        # Most often the folder is there, and to make sure takes as long as to write.
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
