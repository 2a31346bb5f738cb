"""What every kind of agent gets, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pressplay.stages import tasks
from pressplay.stages.handover import Context
from pressplay.stages.limits import Limits
from pressplay.stages.transcripts import Transcript


@dataclass(frozen=True)
class Job:
    """One piece of work. `program` is the folder that holds what drives the agent.

    `model_url` is where the model's API is, `proxy` where the package registries are; each is empty
    where there is none. `variables` lead package clients to the proxy. `model` is the one that was
    asked for, empty where nobody did.
    """

    context: Context
    workspace: Path
    program: Path
    task: Path
    system: Path
    path: str
    home: Path
    timeout_s: float
    variables: Mapping[str, str] = field(default_factory=dict)
    model_url: str = ""
    proxy: str = ""
    model: str = ""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Worked:
    """How it went. `exit_code` is None where time ran out; `message` is for our own commit."""

    exit_code: int | None
    said: str = ""
    message: str = ""
    cost: Mapping[str, Any] = field(default_factory=dict)


class Agent(Protocol):
    """Changes files in `job.workspace`, within `job.timeout_s`; may commit there or not.

    Raises Refused where it could not begin at all. What it does there is checked by others.
    """

    def __call__(self, job: Job, transcript: Transcript) -> Worked:
        """Do the work, tell of it in the transcript."""


def commit_message(context: Context, *, subject: str = "", note: str) -> str:
    """A message for changes that were left uncommitted: what for, and who says so.

    The title is a stranger's text and becomes one plain line.
    """
    title = tasks.one_line(subject or context.title, limit=72) or f"Work on {context.subject}"
    where = f"Task: {context.owner}/{context.repo}, {context.subject}"
    run = f"Run: {context.run}\n" if context.run else ""
    return f"{title}\n\n{note}\n\n{where}\n{run}"
