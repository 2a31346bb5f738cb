"""Which of several runs about one thing goes on.

No lock decides, so the answer must come out the same from every side. Each run first marks itself
as admitted and only then looks at the others: of two, at least one sees the other's mark. For one
head the older run goes on and the newer is covered; for one subject with another head the newer
goes on and stops the older.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REPOSITORY = "pressplay.dev/repo"
SUBJECT = "pressplay.dev/subject"
PULL = "pressplay.dev/pr"
HEAD = "pressplay.dev/head"
PARENT = "pressplay.dev/run"
ADMITTED = "pressplay.dev/admitted"
SUPERSEDED_BY = "pressplay.dev/superseded-by"

PIPELINES = ("implementation-dag", "implementation", "pr-validation")
"""The templates whose runs are rivals: an agent run for a comment is no rival of a pipeline."""

_FAILED = ("Failed", "Error")
_FINISHED = ("Succeeded", *_FAILED)


@dataclass(frozen=True)
class Run:
    """What matters here of one Workflow; `admitted` says that its own preflight let it in."""

    name: str
    created: str
    template: str = ""
    parent: str = ""
    subject: str = ""
    pr: str = ""
    head: str = ""
    phase: str = ""
    shutdown: bool = False
    admitted: bool = False
    superseded_by: str = ""

    @property
    def live(self) -> bool:
        """Still going, and not told to stop."""
        return self.phase not in _FINISHED and not self.shutdown

    @property
    def failed(self) -> bool:
        """Ended badly of itself; a run that a newer one stopped did not."""
        return self.phase in _FAILED and not self.superseded_by

    @property
    def age(self) -> tuple[str, str]:
        """Sorts older runs first; the name decides within one second."""
        return (self.created, self.name)


@dataclass(frozen=True)
class Standing:
    """How a run stands among the others: at most one of `covered_by`, `superseded_by` is set."""

    covered_by: str = ""
    superseded_by: str = ""
    stop: tuple[str, ...] = ()


def read_run(workflow: Mapping[str, Any]) -> Run:
    """The facts out of a Workflow object."""
    metadata = workflow["metadata"]
    spec = workflow.get("spec") or {}
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    return Run(
        name=metadata["name"],
        created=metadata.get("creationTimestamp") or "",
        template=(spec.get("workflowTemplateRef") or {}).get("name", ""),
        parent=labels.get(PARENT, ""),
        subject=labels.get(SUBJECT, ""),
        pr=labels.get(PULL, ""),
        head=labels.get(HEAD, ""),
        phase=(workflow.get("status") or {}).get("phase") or "",
        shutdown=bool(spec.get("shutdown") or metadata.get("deletionTimestamp")),
        admitted=bool(annotations.get(ADMITTED)),
        superseded_by=annotations.get(SUPERSEDED_BY, ""),
    )


def judge(me: Run, runs: Iterable[Run], *, own_push: bool = False) -> Standing:
    """How `me`, already admitted, stands among `runs`.

    `own_push` says that one of our Apps pushed the head that this run is about: then a live run on
    the same pull request covers it even before that run's label says so.
    """
    if me.superseded_by:
        return Standing(superseded_by=me.superseded_by)
    others = [run for run in runs if _is_rival(me, run)]
    older = [run for run in others if run.age < me.age]
    for run in older:
        if run.admitted and (covers(run, me) or (own_push and run.pr and run.pr == me.pr)):
            return Standing(covered_by=run.name)
    newer = [
        run
        for run in others
        if run.admitted and run.age > me.age and same_subject(run, me) and not covers(me, run)
    ]
    if newer:
        return Standing(superseded_by=max(newer, key=lambda run: run.age).name)
    return Standing(stop=tuple(run.name for run in older if same_subject(run, me)))


def covers(older: Run, newer: Run) -> bool:
    """Whether both are about one known head."""
    return bool(older.head) and older.head == newer.head


def same_subject(one: Run, other: Run) -> bool:
    """Whether both are about one subject, or one pull request."""
    if one.subject and one.subject == other.subject:
        return True
    return bool(one.pr) and one.pr == other.pr


def failed_attempts(me: Run, runs: Iterable[Run]) -> int:
    """How many earlier runs about the same subject and head failed of themselves."""
    return sum(
        run.failed
        for run in runs
        if _is_pipeline(run)
        and run.name != me.name
        and same_subject(run, me)
        and (run.head == me.head or not (run.head and me.head))
    )


def _is_rival(me: Run, run: Run) -> bool:
    if run.name == me.name or not run.live or not _is_pipeline(run):
        return False
    return same_subject(run, me) or covers(run, me)


def _is_pipeline(run: Run) -> bool:
    # The Workflow of an agent run carries its parent's labels and is a part of it, no rival.
    return run.template in PIPELINES and not run.parent
