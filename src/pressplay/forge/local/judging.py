"""Whether somebody's push may be: what binds them on each branch, in GitHub's own words.

On top of what GitHub forbids, an App deletes no ref, moves no tag, rewrites no branch, and never
reaches the default branch: where GitHub would have let it through, the alarm rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pressplay.forge.local import alarms, guarding, pkt_lines
from pressplay.forge.local.actors import Actor, Installation
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.guarding import BY_PULL_REQUEST, Guard
from pressplay.forge.local.pkt_lines import Command, Push
from pressplay.forge.local.rows import RepositoryRow

_HEADS = "refs/heads/"
_FORWARD = {"receive.denyNonFastForwards": "true"}
_FORWARD_ONLY = {**_FORWARD, "receive.denyDeletes": "true"}
_CLASSIC = "protected branch hook declined"
_RULES = "push declined due to repository rule violations"


@dataclass(frozen=True)
class Complaint:
    """One refused ref: the reason behind `!`, and the lines that git shows after `remote:`."""

    reason: str
    lines: tuple[str, ...]


class Judge:
    """Judges the pushes of one actor to one repository."""

    def __init__(self, hub: Hub, row: RepositoryRow, actor: Actor) -> None:
        self._hub = hub
        self._row = row
        self._actor = actor

    def refusal(self, push: Push) -> bytes | None:
        """What to answer to a push that must not be; None where git may look at it."""
        found = [self._complaint(command) for command in push.commands]
        complaints = [complaint for complaint in found if complaint is not None]
        if not complaints:
            return None
        message = "\n".join(line for complaint in complaints for line in complaint.lines)
        return pkt_lines.refusal(push, reason=complaints[0].reason, message=message)

    def settings(self, push: Push) -> Mapping[str, str]:
        """What git itself must look after, once it has the commits."""
        if self._is_app:
            return _FORWARD_ONLY
        guards = (guard for command in push.commands for guard in self._guards(command))
        return _FORWARD if any(guard.keeps_history for guard in guards) else {}

    @property
    def _is_app(self) -> bool:
        return isinstance(self._actor, Installation)

    def _guards(self, command: Command) -> list[Guard]:
        if not command.ref.startswith(_HEADS):
            return []
        branch = command.ref.removeprefix(_HEADS)
        return guarding.guards(self._hub, self._row, branch, actor=self._actor)

    def _complaint(self, command: Command) -> Complaint | None:
        runs = guarding.check_runs(self._hub, self._row, command.new)
        for guard in self._guards(command):
            sentences = guard.against_push(command, runs)
            if sentences:
                return self._refused_by(guard, command, sentences)
        return self._against_app(command) if self._is_app else None

    def _refused_by(self, guard: Guard, command: Command, sentences: list[str]) -> Complaint:
        listed = tuple(line for it in sentences for line in ("", f"- {it}"))
        if not guard.is_ruleset:
            head = f"error: GH006: Protected branch update failed for {command.ref}."
            return Complaint(_CLASSIC, (head, *listed))
        page = f"{self._hub.shapes.html}/{self._row.full_name}/rules"
        head = f"error: GH013: Repository rule violations found for {command.ref}."
        review = f"Review all repository rules at {page}?ref={quote(command.ref, safe='')}"
        return Complaint(_RULES, (head, review, *listed, ""))

    def _against_app(self, command: Command) -> Complaint | None:
        """What this double forbids every App, whatever the repository allows."""
        branch = command.ref.removeprefix(_HEADS)
        is_branch = branch != command.ref
        if is_branch and branch == self._row.default_branch:
            self._ring(command)
            return self._refused_by(Guard(is_ruleset=False), command, [BY_PULL_REQUEST])
        if command.deletes:
            return Complaint(_CLASSIC, (f"error: {command.ref}: an App deletes no ref.",))
        if is_branch or (command.ref.startswith("refs/tags/") and command.creates):
            return None
        words = f"error: {command.ref}: an App pushes branches and new tags only."
        return Complaint(_CLASSIC, (words,))

    def _ring(self, command: Command) -> None:
        path = f"/{self._row.full_name}.git {command.ref}"
        alarms.record(self._hub, who=self._actor.login, verb="PUSH", path=path)
