"""Pull requests follow their branches: what git holds now is the truth, the rows remember it.

Nothing here is driven by an event. Every reader of a pull request looks first, so a push, a crash
between a push and its record, and a change made to the repository on disk are all the same. What
a look finds changed is told to webhooks with the change itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.forge.local.answers import not_found
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.bare import NO_SPAN, PushedCommit, Span
from pressplay.forge.local.rows import BranchesRow, HeadRow, IssueRow, PullRow, RepositoryRow
from pressplay.forge.local.storage import Value

TOLD_COMMITS = 50
"""GitHub's push events hold no more than 2,048; a reader of ours needs the last."""


async def look(hub: Hub, repository: RepositoryRow, *, by: str = "") -> None:
    """Bring the repository's open pull requests up to date with its branches. Idempotent.

    As on GitHub, a pull request whose head arrived in its base counts as merged, and one whose
    branch is gone is closed. `by` is who has just pushed, where that is known.
    """
    async with hub.looking[repository.id]:
        heads = await hub.git.heads(repository.id)
        await _tell_pushes(hub, repository, heads, by=by or repository.owner)
        open_pulls = hub.store.all(
            PullRow,
            "list_pulls",
            repository_id=repository.id,
            state="open",
            head_ref="",
            base_ref="",
        )
        for row in open_pulls:
            head, base = heads.get(row.head_ref, ""), heads.get(row.base_ref, "")
            if (head, base) != (row.head_sha, row.base_sha):
                step = _Step(hub, repository, row, head=head, base=base, by=by or repository.owner)
                await step.follow()


async def find_pull(hub: Hub, repository: RepositoryRow, number: int) -> PullRow:
    """The pull request as it is now; raises ProblemError 404."""
    await look(hub, repository)
    row = hub.store.find(PullRow, "find_pull", repository_id=repository.id, number=number)
    if row is None:
        raise not_found()
    return row


async def span_of(hub: Hub, row: PullRow) -> Span:
    """What the pull request changes."""
    return await hub.git.span(row.repository_id, base=row.base_sha, head=row.head_sha)


class _Step:
    """One open pull request whose head or base moved."""

    def __init__(
        self, hub: Hub, repository: RepositoryRow, row: PullRow, *, head: str, base: str, by: str
    ) -> None:
        self._hub = hub
        self._repository = repository
        self._row = row
        self._head = head
        self._base = base
        self._by = by

    async def follow(self) -> None:
        """Move, merge or close the row, and tell of it."""
        row, seen = self._row, self._head or self._row.head_sha
        base = self._base or row.base_sha
        arrived = self._base not in ("", row.base_sha) and await self._hub.git.is_ancestor(
            row.repository_id, old=seen, new=self._base
        )
        shown_base = row.base_sha if arrived else base
        action = self._action(arrived=arrived)
        span = NO_SPAN
        if action and self._hub.events.is_heard("pull_request", self._repository):
            span = await self._hub.git.span(row.repository_id, base=shown_base, head=seen)
        with self._hub.store.transaction():
            self._hub.store.one(
                BranchesRow,
                "move_pull",
                issue_id=row.issue_id,
                head_sha=seen,
                base_sha=shown_base,
            )
            self._change_state(action, arrived=arrived)
            self._tell(action, span=span, seen=seen)

    def _action(self, *, arrived: bool) -> str:
        if arrived or not self._head or not self._base:
            return "closed"
        return "synchronize" if self._head != self._row.head_sha else ""

    def _change_state(self, action: str, *, arrived: bool) -> None:
        row, store, now = self._row, self._hub.store, self._hub.now()
        if arrived:
            store.one(
                BranchesRow,
                "mark_merged",
                issue_id=row.issue_id,
                now=now,
                merged_by=self._by,
                merge_commit_sha=self._base,
            )
        if action == "closed":
            store.one(
                IssueRow,
                "change_issue",
                id=row.id,
                title=row.title,
                body=row.body,
                state="closed",
                closed_at=now,
                now=now,
            )
        elif action:
            store.one(IssueRow, "touch_issue", id=row.id, now=now)

    def _tell(self, action: str, *, span: Span, seen: str) -> None:
        if not action:
            return
        now = self._hub.store.one(
            PullRow,
            "find_pull",
            repository_id=self._row.repository_id,
            number=self._row.number,
        )
        moved = {"before": self._row.head_sha, "after": seen} if action == "synchronize" else {}
        self._hub.events.tell_pull(
            self._repository, now, by=self._by, action=action, span=span, **moved
        )


async def _tell_pushes(
    hub: Hub, repository: RepositoryRow, heads: Mapping[str, str], *, by: str
) -> None:
    """Tell of each branch that is not where it was, and remember where it is."""
    rows = hub.store.all(HeadRow, "list_heads", repository_id=repository.id)
    known = {row.branch: row.sha for row in rows}
    for branch in sorted(known.keys() | heads.keys()):
        old, new = known.get(branch, ""), heads.get(branch, "")
        if old != new:
            await _tell_push(hub, repository, branch, old=old, new=new, by=by, known=known)


async def _tell_push(
    hub: Hub,
    repository: RepositoryRow,
    branch: str,
    *,
    old: str,
    new: str,
    by: str,
    known: Mapping[str, str],
) -> None:
    commits: list[PushedCommit] = []
    is_forced = False
    if new and hub.events.is_heard("push", repository):
        commits = await hub.git.pushed(
            repository.id, new=new, known=tuple(set(known.values())), limit=TOLD_COMMITS
        )
        is_forced = bool(old) and not await hub.git.is_ancestor(repository.id, old=old, new=new)
    key: dict[str, Value] = {"repository_id": repository.id, "branch": branch}
    with hub.store.transaction():
        if new:
            hub.store.one(HeadRow, "set_head", **key, sha=new)
        else:
            hub.store.all(HeadRow, "drop_head", **key)
        hub.events.tell_push(
            repository, branch, by=by, old=old, new=new, is_forced=is_forced, commits=commits
        )
