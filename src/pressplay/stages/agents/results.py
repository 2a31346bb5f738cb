"""`result.json`: what became of an agent's work, written whatever the agent did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pressplay.base.errors import Refused
from pressplay.stages import git


class WorkOutcome(StrEnum):
    """How the work ended; only the first two can pass a gate."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    TIMEOUT = "timeout"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """The record of one agent's work.

    `head` is the newest commit, the one it began with where there is none. `exit_code` is None
    where no program ended by itself. `cost` is empty where the agent does not tell.
    """

    role: str
    kind: str
    outcome: WorkOutcome
    exit_code: int | None
    commits: tuple[str, ...]
    head: str
    message: str
    started_at: str
    finished_at: str
    cost: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What is written to `result.json`."""
        return {**vars(self), "commits": list(self.commits), "cost": dict(self.cost)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Result:
        """The inverse of `to_json`, for a file that an agent could reach. Raises Refused."""
        try:
            commits = tuple(git.check_sha(str(each), what="commits") for each in value["commits"])
            code = value["exit_code"]
            return cls(
                role=str(value["role"]),
                kind=str(value["kind"]),
                outcome=WorkOutcome(value["outcome"]),
                exit_code=code if isinstance(code, int) else None,
                commits=commits,
                head=git.check_sha(str(value["head"]), what="head"),
                message=str(value["message"])[:2000],
                started_at=str(value["started_at"]),
                finished_at=str(value["finished_at"]),
                cost=value["cost"] if isinstance(value["cost"], dict) else {},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"result.json is not what the agent step writes: {error}") from error
