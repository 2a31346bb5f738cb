"""Cases: a workflow with its fixtures, and what somebody does to it while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pressplay.base.errors import Refused

ROOT = Path(__file__).resolve().parents[2] / "tests" / "corpus"
CASES = ROOT / "cases"
WORKFLOW = "WF"
"""What stands for the workflow's own name wherever a node is named."""

ACTIONS = ("stop", "terminate", "suspend", "resume", "retry", "delete-pod", "patch")
FIELDS = frozenset({"message", "exitCode", "phase", "children", "outputs", "inputs"})


@dataclass(frozen=True)
class Action:
    """What is done once a node (the workflow itself where `node` is empty) has reached a phase."""

    node: str
    phase: str
    do: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One question; `name` is `topic/workflow`, `question` says it in words."""

    name: str
    question: str
    rows: tuple[str, ...]
    subject: Mapping[str, Any]
    fixtures: tuple[Mapping[str, Any], ...] = ()
    script: tuple[Action, ...] = ()
    loose: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settle_s: float | None = None

    @property
    def workflow(self) -> str:
        """The name of the object that is asked about."""
        return str(self.subject["metadata"]["name"])


def load(path: Path) -> Case:
    """The case in a file. Raises Refused, naming the file and what is wrong with it."""
    text = path.read_text()
    try:
        first, *objects = [each for each in yaml.safe_load_all(text) if each is not None]
    except (yaml.YAMLError, ValueError) as error:
        raise Refused(f"{path}: no case ({error}); see docs/guides/corpus.md") from error
    if first.get("kind") != "Case" or not objects:
        raise Refused(f"{path}: begins with a document of kind Case, and ends with the workflow")
    case = Case(
        name=f"{path.parent.name}/{path.stem}",
        question=_question(text),
        rows=tuple(first.get("rows", ())),
        subject=objects[-1],
        fixtures=tuple(objects[:-1]),
        script=tuple(_action(each) for each in first.get("script") or ()),
        loose=first.get("loose") or {},
        settle_s=first.get("settle"),
    )
    _check(case, path)
    return case


def load_all(names: Sequence[str] = (), *, folder: Path = CASES) -> Iterator[Case]:
    """The cases of the corpus, all or those whose name (or topic) is asked for.

    Raises Refused for a name that no case has.
    """
    found = [load(path) for path in sorted(folder.glob("*/*.yaml"))]
    for name in names:
        if not any(_is_called(case, name) for case in found):
            raise Refused(f"No case is called {name!r}; a name is TOPIC or TOPIC/NAME")
    yield from (
        case for case in found if not names or any(_is_called(case, each) for each in names)
    )


def _is_called(case: Case, name: str) -> bool:
    topic, _, own = case.name.partition("/")
    return name in (case.name, topic, own)


def _question(text: str) -> str:
    """The comment at the file's head, as one line."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(lines)


def _action(raw: Mapping[str, Any]) -> Action:
    after = raw["after"]
    return Action(after.get("node", ""), after["phase"], raw["do"], raw.get("with") or {})


def _check(case: Case, path: Path) -> None:
    if case.workflow != path.stem:
        raise Refused(f"{path}: the workflow is called {case.workflow}; call it {path.stem}")
    if not case.question or not case.rows:
        raise Refused(f"{path}: says in a comment what it asks, and in `rows` what that belongs to")
    for action in case.script:
        if action.do not in ACTIONS:
            raise Refused(f"{path}: nobody can {action.do}; known: {', '.join(ACTIONS)}")
    for node, names in case.loose.items():
        if unknown := set(names) - FIELDS:
            raise Refused(f"{path}: loose: {node}: {sorted(unknown)} is none of {sorted(FIELDS)}")
