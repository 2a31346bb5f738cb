"""The script of the double: which turns it plays for whom.

A part belongs to the conversations whose system prompt or first message holds its `when`. Which
turn is next is read from the conversation itself, so that one server can play for several agents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pressplay.base import documents
from pressplay.base.errors import Refused

WORKSPACE = "{workspace}"
"""In a tool's input: the client's working directory, as its system prompt says it."""

FORM = (
    "a list of {when, turns}; a turn is one or more of {text, tools: [{name, input}], wait_s, "
    "fail: {status, type, message, times}, breaks_off}"
)
_PARTS = {"when", "turns"}
_TURNS = {"text", "tools", "wait_s", "fail", "breaks_off"}
_CHANGES = {"message", "changes"}
_WORKING = re.compile(r"(?:CWD|[Ww]orking directory): (/[^\n]+)")


@dataclass(frozen=True)
class ToolUse:
    """A tool that the double asks its client to use."""

    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """An error in place of the first `times` answers; 0 is every time."""

    status: int
    kind: str
    message: str
    times: int = 0


@dataclass(frozen=True)
class Turn:
    """One answer. `wait_s` seconds pass before it; with `breaks_off` it ends in the middle."""

    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    wait_s: float = 0.0
    fail: Failure | None = None
    breaks_off: bool = False


@dataclass(frozen=True)
class Part:
    """The turns for the conversations that hold `when`; an empty one fits all."""

    when: str
    turns: tuple[Turn, ...] = field(default=())


@dataclass(frozen=True)
class Place:
    """Where in the script a conversation stands."""

    part: int
    turn: int
    play: Turn


def read(path: Path) -> tuple[Part, ...]:
    """Read a script. Raises Refused.

    Besides FORM this reads what the agent of kind `scripted` plays, and makes tool uses of it.
    """
    if not path.is_file():
        raise Refused(f"No script at {path}; give a file that holds {FORM}")
    text = path.read_text(errors="replace")
    if path.suffix == ".json":
        return parse(documents.read_json(text, source=path.name), source=path.name)
    # Imported here: clients that write their script in JSON do without a YAML reader.
    from pressplay.base import yaml_documents  # noqa: PLC0415 - see above

    return parse(yaml_documents.read_yaml(text, source=path.name), source=path.name)


def parse(value: object, *, source: str) -> tuple[Part, ...]:
    """The parts in a document. Raises Refused, naming the place."""
    if isinstance(value, dict):
        return tuple(_role(name, each, f"{source}: {name}") for name, each in value.items())
    if not isinstance(value, list) or not value:
        raise Refused(f"{source} must be {FORM}")
    return tuple(_part(each, f"{source}[{i}]") for i, each in enumerate(value))


def find(parts: tuple[Part, ...], request: Mapping[str, Any]) -> Place | None:
    """The turn that follows in the request's conversation; the last one again after the end.

    None where no part is for it.
    """
    messages = [each for each in request.get("messages") or () if isinstance(each, dict)]
    about = json.dumps([request.get("system"), messages[:1]], ensure_ascii=False)
    said = sum(each.get("role") == "assistant" for each in messages)
    for number, part in enumerate(parts):
        if part.when.casefold() in about.casefold():
            turn = min(said, len(part.turns) - 1)
            return Place(number, turn, _placed(part.turns[turn], request))
    return None


def _placed(turn: Turn, request: Mapping[str, Any]) -> Turn:
    """The turn with the client's working directory filled in."""
    found = _WORKING.search("\n".join(texts(request.get("system"))))
    if found is None:
        return turn
    folder = found[1].strip()
    tools = tuple(ToolUse(each.name, _filled(each.input, folder)) for each in turn.tools)
    return Turn(turn.text, tools, turn.wait_s, turn.fail, turn.breaks_off)


def texts(value: object) -> Iterator[str]:
    """Every text in a system prompt or in a message's content."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict) and isinstance(each.get("text"), str):
                yield each["text"]


def _filled(given: Mapping[str, Any], folder: str) -> dict[str, Any]:
    return {
        name: each.replace(WORKSPACE, folder) if isinstance(each, str) else each
        for name, each in given.items()
    }


def _part(value: object, where: str) -> Part:
    given = _mapping(value, _PARTS, where)
    turns = given.get("turns")
    if not isinstance(turns, list) or not turns:
        raise Refused(f"{where}.turns must be a list with at least one turn")
    read_turns = tuple(_turn(each, f"{where}.turns[{i}]") for i, each in enumerate(turns))
    return Part(str(given.get("when") or ""), read_turns)


def _turn(value: object, where: str) -> Turn:
    given = _mapping(value, _TURNS, where)
    tools = given.get("tools") or []
    if not isinstance(tools, list):
        raise Refused(f"{where}.tools must be a list of {{name, input}}")
    return Turn(
        text=str(given.get("text") or ""),
        tools=tuple(_tool(each, f"{where}.tools[{i}]") for i, each in enumerate(tools)),
        wait_s=_number(given.get("wait_s") or 0, f"{where}.wait_s"),
        fail=_failure(given["fail"], f"{where}.fail") if given.get("fail") else None,
        breaks_off=given.get("breaks_off") is True,
    )


def _tool(value: object, where: str) -> ToolUse:
    given = _mapping(value, {"name", "input"}, where)
    if not isinstance(given.get("name"), str) or not isinstance(given.get("input"), dict):
        raise Refused(f"{where} must be {{name: TEXT, input: {{...}}}}")
    return ToolUse(given["name"], given["input"])


def _failure(value: object, where: str) -> Failure:
    given = _mapping(value, {"status", "type", "message", "times"}, where)
    status = int(_number(given.get("status") or 500, f"{where}.status"))
    if not 400 <= status < 600:
        raise Refused(f"{where}.status is {status}; an error is from 400 to 599")
    return Failure(
        status=status,
        kind=str(given.get("type") or "api_error"),
        message=str(given.get("message") or "as the script wants it"),
        times=int(_number(given.get("times") or 0, f"{where}.times")),
    )


def _role(name: object, value: object, where: str) -> Part:
    """Prepared changes of a role, as the tool uses of an agent that reads, edits and commits."""
    given = _mapping(value, _CHANGES, where)
    changes = given.get("changes") or []
    if not isinstance(changes, list):
        raise Refused(f"{where}.changes must be a list")
    turns = [Turn(tools=_change(each, f"{where}.changes[{i}]")) for i, each in enumerate(changes)]
    turns += [Turn(tools=(_commit(str(given.get("message") or "Work on the task")),))]
    return Part(f"You are {str(name).capitalize()}", (*_reading(turns), Turn(text="Done.")))


def _reading(turns: list[Turn]) -> Iterator[Turn]:
    """Each file is read before it is first changed: clients insist on that."""
    known: set[object] = set()
    for turn in turns:
        paths = [each.input.get("file_path") for each in turn.tools]
        fresh = [path for path in paths if path is not None and path not in known]
        if fresh and any(each.input.get("old_string") for each in turn.tools):
            yield Turn(tools=tuple(ToolUse("Read", {"file_path": path}) for path in fresh))
        known.update(fresh)
        yield turn


def _change(value: object, where: str) -> tuple[ToolUse, ...]:
    given = _mapping(value, {"write", "content", "replace", "old", "new"}, where)
    path = given.get("write") or given.get("replace")
    old, new = given.get("old", ""), given.get("new", given.get("content"))
    if not all(isinstance(each, str) for each in (path, old, new)):
        raise Refused(f"{where} must have the keys write, content or the keys replace, old, new")
    edit = {"file_path": f"{WORKSPACE}/{path}", "old_string": old, "new_string": new}
    return (ToolUse("Edit", edit),)


def _commit(message: str) -> ToolUse:
    # A message of the script's is text and no part of a command.
    quoted = "'" + message.replace("'", "'\\''") + "'"
    command = f"git add --all && git commit --quiet --message {quoted}"
    return ToolUse("Bash", {"command": command, "description": "Commit the work"})


def _mapping(value: object, known: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= known:
        raise Refused(f"{where} may only have the keys {', '.join(sorted(known))}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise Refused(f"{where} is {value!r}; it must be a number from 0 on")
    return value
