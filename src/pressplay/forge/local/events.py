"""What happened, as GitHub tells it to webhooks; written down before anything is sent.

`tell` belongs into the transaction of the change that it tells of: then neither is there without
the other, whenever the forge stops. Nothing is written where no hook listens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pressplay.base import clocks, ids
from pressplay.base.clocks import Clock
from pressplay.forge.local.bare import PushedCommit, Span
from pressplay.forge.local.rows import (
    CheckRunRow,
    DeliveryRow,
    HookRow,
    InstallationRow,
    IssueRow,
    PullRow,
    RepositoryRow,
)
from pressplay.forge.local.shapes import Shapes
from pressplay.forge.local.storage import Storage
from pressplay.forge.local.threads import ThreadShapes

KEPT = timedelta(days=3)
"""For how long GitHub lets a delivery be looked at and sent again."""

NO_COMMIT = "0" * 40


class Events:
    """Turns events into deliveries that wait; `waiting` is set when there is a new one."""

    def __init__(
        self, *, store: Storage, shapes: Shapes, threads: ThreadShapes, clock: Clock
    ) -> None:
        self._store = store
        self._shapes = shapes
        self._threads = threads
        self._clock = clock
        self.waiting = asyncio.Event()

    def is_heard(self, event: str, repository: RepositoryRow) -> bool:
        """Whether some hook wants to be told; what is costly to find out is asked for only then."""
        return bool(self._hooks(event, repository))

    def tell(
        self, event: str, repository: RepositoryRow, *, by: str, action: str = "", **parts: object
    ) -> None:
        """Write one delivery for each hook that listens; `parts` are the event's own documents."""
        for hook in self._hooks(event, repository):
            body: dict[str, object] = {"action": action} if action else {}
            body |= parts
            body |= {
                "repository": self._shapes.repository(repository),
                "sender": self._shapes.user(by),
            }
            self.add(hook, event=event, action=action, body=body, repository=repository)

    def tell_issue(
        self,
        event: str,
        repository: RepositoryRow,
        row: IssueRow,
        *,
        by: str,
        action: str,
        comments: int,
        **parts: object,
    ) -> None:
        """An event that carries an issue."""
        issue = self._threads.issue(row, repository=repository, comments=comments)
        self.tell(event, repository, by=by, action=action, issue=issue, **parts)

    def tell_pull(
        self,
        repository: RepositoryRow,
        row: PullRow,
        *,
        by: str,
        action: str,
        span: Span,
        **parts: object,
    ) -> None:
        """A `pull_request` event; `span` is what the pull request changes."""
        pull = self._threads.pull_in_full(row, repository=repository, span=span)
        self.tell(
            "pull_request",
            repository,
            by=by,
            action=action,
            number=row.number,
            pull_request=pull,
            **parts,
        )

    def tell_about_pull(
        self,
        event: str,
        repository: RepositoryRow,
        row: PullRow,
        *,
        by: str,
        action: str,
        **parts: object,
    ) -> None:
        """An event about a review or a line of a pull request, which it carries in short."""
        pull = self._threads.pull(row, repository=repository)
        self.tell(event, repository, by=by, action=action, pull_request=pull, **parts)

    def tell_check_run(
        self, repository: RepositoryRow, row: CheckRunRow, *, by: str, action: str
    ) -> None:
        """A `check_run` event."""
        run = self._shapes.check_run(row, repository=repository)
        self.tell("check_run", repository, by=by, action=action, check_run=run)

    def tell_push(
        self,
        repository: RepositoryRow,
        branch: str,
        *,
        by: str,
        old: str,
        new: str,
        is_forced: bool,
        commits: Sequence[PushedCommit],
    ) -> None:
        """A `push` event; `old` or `new` is empty where the branch came or went."""
        page = f"{self._shapes.html}/{repository.full_name}"
        made = [_commit(commit, page=page) for commit in commits]
        before, after = old or NO_COMMIT, new or NO_COMMIT
        self.tell(
            "push",
            repository,
            by=by,
            ref=f"refs/heads/{branch}",
            before=before,
            after=after,
            created=not old,
            deleted=not new,
            forced=is_forced,
            base_ref=None,
            compare=f"{page}/compare/{before[:12]}...{after[:12]}",
            commits=made,
            head_commit=made[-1] if made else None,
            pusher={"name": by, "email": f"{by}@users.noreply.invalid"},
        )

    def ping(self, hook: HookRow, *, repository: RepositoryRow | None, document: object) -> None:
        """The first delivery of a new hook."""
        body = {"zen": "Speak like a human.", "hook_id": hook.id, "hook": document}
        if repository is not None:
            body["repository"] = self._shapes.repository(repository)
            body["sender"] = self._shapes.user(repository.owner)
        self.add(hook, event="ping", action="", body=body, repository=repository)

    def add(
        self,
        hook: HookRow,
        *,
        event: str,
        action: str,
        body: Mapping[str, Any],
        repository: RepositoryRow | None,
    ) -> None:
        """Write a delivery down; it is sent when its turn comes."""
        installation = self._installation(hook, repository)
        if installation is not None:
            node = {"id": installation, "node_id": f"INS_{installation}"}
            body = {**body, "installation": node}
        now = self._clock.now()
        self._store.all(DeliveryRow, "drop_old_deliveries", before=clocks.to_text(now - KEPT))
        self._store.one(
            DeliveryRow,
            "add_delivery",
            hook_id=hook.id,
            guid=ids.new_uid(),
            event=event,
            action=action or None,
            repository_id=None if repository is None else repository.id,
            installation_id=installation,
            payload=json.dumps(body, separators=(",", ":"), ensure_ascii=False),
            redelivery=0,
            now=clocks.to_text(now),
        )
        self.waiting.set()

    def _hooks(self, event: str, repository: RepositoryRow) -> list[HookRow]:
        found = self._store.all(
            HookRow,
            "list_hooks_that_hear",
            repository_id=repository.id,
            account=repository.owner,
        )
        return [hook for hook in found if hook.hears(event)]

    def _installation(self, hook: HookRow, repository: RepositoryRow | None) -> int | None:
        if hook.app_id is None or repository is None:
            return None
        row = self._store.find(
            InstallationRow,
            "find_installation_for_account",
            app_id=hook.app_id,
            account=repository.owner,
        )
        return None if row is None else row.id


def _commit(pushed: PushedCommit, *, page: str) -> dict[str, Any]:
    commit = pushed.commit
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message,
        "timestamp": commit.committer.date,
        "url": f"{page}/commit/{commit.sha}",
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
        "added": list(pushed.added),
        "removed": list(pushed.removed),
        "modified": list(pushed.modified),
    }
