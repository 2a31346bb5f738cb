"""What live Argo answered, in files, and what of it the embedded engine does not do yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from differential import answers
from differential.answers import Answer
from differential.cases import ROOT, Case
from pressplay.base.errors import Refused

_ANSWERS = ROOT / "answers"
DIFFERING = ROOT / "differing.yaml"
"""Case to what is missing, in words: the only cases that may differ, and each of them must."""

_REFUSED = (
    (re.compile(r"(\w+): the embedded engine does not run it yet"), "{} is not run yet"),
    (re.compile(r"has nothing yet to ([\w-]+) with"), "nobody can {} yet"),
    (re.compile(r"Kind '(\w+)' is not served here"), "{} is not served yet"),
    (re.compile(r"(\w+) is not supported by the local runtime"), "{} is not run yet"),
    (re.compile(r"over before .* so nobody could ([\w-]+)"), "over before anybody could {}"),
)
_LONGEST = 160


def path_of(case: Case) -> Path:
    """Where the answer to a case is kept."""
    return _ANSWERS / f"{case.name}.json"


def read(case: Case) -> Answer:
    """The recorded answer. Raises Refused where there is none."""
    try:
        found: Answer = json.loads(path_of(case).read_text())
    except FileNotFoundError:
        raise Refused(
            f"{case.name} has no recorded answer; ask a cluster: tools/differ.py --record"
        ) from None
    return found


def write(case: Case, answer: Answer, *, argo: str) -> bool:
    """Keep an answer; whether it is another one than before."""
    path = path_of(case)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"argo": argo, **answer}, indent=1, sort_keys=True, ensure_ascii=False)
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\n")
    return before != f"{text}\n"


def compare(case: Case, workflow: Mapping[str, Any], *, namespace: str) -> list[str]:
    """What is otherwise in a workflow of ours than Argo answered, a line each."""
    recorded = read(case)
    seen = {"argo": recorded["argo"], **answers.read(workflow, namespace=namespace)}
    return [
        *answers.differences(recorded, seen, loose=case.loose),
        *answers.disorder(recorded, workflow),
    ]


def differing() -> dict[str, str]:
    """Name of each case that the embedded engine does not pass yet, and why."""
    return yaml.safe_load(DIFFERING.read_text()) or {} if DIFFERING.exists() else {}


def accept(found: Mapping[str, Sequence[str]]) -> None:
    """Write down which of the cases that were asked differ, and by what; others stay listed."""
    kept = {name: why for name, why in differing().items() if name not in found}
    known = differing()
    for name, lines in found.items():
        if lines:
            kept[name] = known.get(name) or _missing(lines)
    head = "# Case to what the embedded engine lacks; tools/differ.py --accept writes it.\n"
    text = yaml.safe_dump(dict(sorted(kept.items())), allow_unicode=True, width=1000)
    DIFFERING.write_text(head + (text if kept else ""))


def _missing(lines: Sequence[str]) -> str:
    """What was refused by name, else the first difference, cut to what a table can hold."""
    for line in lines:
        for pattern, words in _REFUSED:
            if refused := pattern.search(line):
                return words.format(refused[1])
    said = " ".join(lines[0].split())
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
