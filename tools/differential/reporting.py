"""docs/argo-compatibility.md, made from the corpus: what was asked, and what agrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from differential import cases, recordings
from differential.cases import Case

PAGE = Path(__file__).resolve().parents[2] / "docs" / "argo-compatibility.md"

_HEAD = """\
# Compatibility with Argo Workflows

<!-- Made by tools/differ.py --report from tests/corpus; edit that instead. -->

The embedded engine is held against real Argo, not against our reading of it. Each case of \
[the corpus](../tests/corpus/cases) is a small workflow with a question; \
[its answer](../tests/corpus/answers) was recorded from Argo {argo} on a live cluster: phases, \
messages, names and types of nodes, inputs, outputs, exit codes, what follows what. `make test` \
runs every case on the embedded engine and compares; `make live` asks the cluster again.

**{agreeing} of {total} cases agree.** The others are listed with what is missing; a test fails \
where one of them begins to agree without leaving the list.
"""


def write() -> None:
    """Write the page anew."""
    PAGE.write_text(page())


def page() -> str:
    """The page as it has to be."""
    asked = list(cases.load_all())
    known = recordings.differing()
    versions = sorted({recordings.read(case)["argo"] for case in asked})
    parts = [
        _HEAD.format(
            argo=" and ".join(versions),
            agreeing=len(asked) - len(known),
            total=len(asked),
        ),
        *_differing(asked, known),
        *_agreeing(asked, known),
    ]
    return "\n".join(parts)


def _differing(asked: Sequence[Case], known: Mapping[str, str]) -> Iterator[str]:
    yield "## Not yet\n"
    yield "| case | what it asks | what is missing |"
    yield "|---|---|---|"
    for case in asked:
        if case.name in known:
            yield f"| {_linked(case)} | {_cell(case.question)} | {_cell(known[case.name])} |"
    yield ""


def _agreeing(asked: Sequence[Case], known: Mapping[str, str]) -> Iterator[str]:
    yield "## Agrees\n"
    agreeing = [case for case in asked if case.name not in known]
    for topic, found in groupby(agreeing, key=lambda case: case.name.partition("/")[0]):
        yield f"### {topic}\n"
        for case in found:
            yield f"- {_linked(case)}: {case.question}"
        yield ""


def _linked(case: Case) -> str:
    return f"[{case.name}](../tests/corpus/cases/{case.name}.yaml)"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
