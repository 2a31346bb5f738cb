"""The kind `scripted`: plays written changes, so that a pipeline can be tried without a model.

It says so wherever it leaves a trace: on every line of its log and in the message of its commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pressplay.base import documents, files
from pressplay.base.errors import Refused
from pressplay.stages.agents import port
from pressplay.stages.agents.port import Job, Worked
from pressplay.stages.transcripts import Transcript

FILES = ("scenario.yaml", "scenario.json")
PREFIX = "scripted agent:"
NOTE = "Written by a scripted agent: these changes were prepared by a person, not made by a model."

FORM = (
    "a mapping from role to {message, changes}, each change either {write: PATH, content: TEXT} or "
    "{replace: PATH, old: TEXT, new: TEXT}"
)


@dataclass(frozen=True)
class Change:
    """One edit. With `old`, that text must occur exactly once; without it the file is written."""

    path: str
    new: str
    old: str | None = None


@dataclass(frozen=True)
class Part:
    """What one role does."""

    message: str = ""
    changes: tuple[Change, ...] = ()


def work(job: Job, transcript: Transcript) -> Worked:
    """Play the role's part; see `port.Agent`."""
    part = read_part(job.program, job.context.role)
    transcript.say(f"{PREFIX} not a model; plays {len(part.changes)} prepared changes")
    for change in part.changes:
        try:
            _apply(change, job.workspace)
        except Refused as error:
            transcript.say(f"{PREFIX} {error}")
            return Worked(exit_code=1, said=f"the scenario does not fit the repository: {error}")
        transcript.say(f"{PREFIX} {'wrote' if change.old is None else 'edited'} {change.path}")
    message = port.commit_message(job.context, subject=part.message, note=NOTE)
    return Worked(exit_code=0, message=message, cost={"usd": 0})


def read_part(program: Path, role: str) -> Part:
    """The part of `role` in the scenario; an empty one where it has none. Raises Refused."""
    found = [program / name for name in FILES if (program / name).is_file()]
    if not found:
        raise Refused(
            f"No scenario: put one under the key {FILES[0]} into the ConfigMap agent-RUN: {FORM}"
        )
    path = found[0]
    text = path.read_text(errors="replace")
    if path.suffix == ".json":
        value = documents.read_json(text, source=path.name)
    else:
        # Imported here: it costs every agent step 15 ms, and only this kind reads YAML.
        from pressplay.base import yaml_documents  # noqa: PLC0415 - see above

        value = yaml_documents.read_yaml(text, source=path.name)
    if not isinstance(value, dict):
        raise Refused(f"{path.name} must be {FORM}")
    return _part(value.get(role, {}), f"{path.name}: {role}")


def _part(value: object, where: str) -> Part:
    if not isinstance(value, dict) or not set(value) <= {"message", "changes"}:
        raise Refused(f"{where} must be {{message, changes}}")
    changes = value.get("changes") or []
    if not isinstance(changes, list):
        raise Refused(f"{where}.changes must be a list")
    read = tuple(_change(each, f"{where}.changes[{i}]") for i, each in enumerate(changes))
    return Part(message=str(value.get("message") or ""), changes=read)


def _change(value: object, where: str) -> Change:
    if isinstance(value, dict) and set(value) == {"write", "content"}:
        path, new = _texts(value, ("write", "content"), where)
        return Change(path=path, new=new)
    if isinstance(value, dict) and set(value) == {"replace", "old", "new"}:
        path, old, new = _texts(value, ("replace", "old", "new"), where)
        return Change(path=path, old=old, new=new)
    raise Refused(f"{where} must have the keys write, content or the keys replace, old, new")


def _texts(value: dict[str, Any], keys: Sequence[str], where: str) -> list[str]:
    for key in keys:
        if not isinstance(value[key], str):
            raise Refused(f"{where}.{key} must be a text")
    return [value[key] for key in keys]


def _apply(change: Change, workspace: Path) -> None:
    if ".git" in Path(change.path).parts:
        raise Refused(f"{change.path} lies in .git; a scenario changes the repository's files")
    path = files.beneath(workspace, change.path)
    text = change.new
    if change.old is not None:
        if not path.is_file():
            raise Refused(f"{change.path} is not there to be edited")
        before = path.read_text()
        if before.count(change.old) != 1:
            raise Refused(
                f"{change.path} holds the old text {before.count(change.old)} times, not once"
            )
        text = before.replace(change.old, change.new)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
