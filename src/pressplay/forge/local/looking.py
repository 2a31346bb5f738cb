"""Pull requests follow their branches: what git holds now is the truth, the rows remember it.

Nothing here is driven by an event. Every reader of a pull request looks first, so a push, a crash
between a push and its record, and a change made to the repository on disk are all the same.
"""

from __future__ import annotations

from pressplay.forge.local.answers import not_found
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.rows import BranchesRow, IssueRow, PullRow, RepositoryRow


async def look(hub: Hub, repository: RepositoryRow) -> None:
    """Bring the repository's open pull requests up to date with its branches. Idempotent.

    As on GitHub, a pull request whose head arrived in its base counts as merged, and one whose
    branch is gone is closed.
    """
    async with hub.looking[repository.id]:
        heads = await hub.git.heads(repository.id)
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
                await _follow(hub, row, head=head, base=base)


async def find_pull(hub: Hub, repository: RepositoryRow, number: int) -> PullRow:
    """The pull request as it is now; raises ProblemError 404."""
    await look(hub, repository)
    row = hub.store.find(PullRow, "find_pull", repository_id=repository.id, number=number)
    if row is None:
        raise not_found()
    return row


async def _follow(hub: Hub, row: PullRow, *, head: str, base: str) -> None:
    seen = head or row.head_sha
    arrived = base not in ("", row.base_sha) and await hub.git.is_ancestor(
        row.repository_id, old=seen, new=base
    )
    now = hub.now()
    with hub.store.transaction():
        hub.store.one(
            BranchesRow,
            "move_pull",
            issue_id=row.issue_id,
            head_sha=seen,
            base_sha=row.base_sha if arrived else base or row.base_sha,
        )
        if arrived:
            hub.store.one(BranchesRow, "mark_merged", issue_id=row.issue_id, now=now)
        if arrived or not head or not base:
            hub.store.one(
                IssueRow,
                "change_issue",
                id=row.id,
                title=row.title,
                body=row.body,
                state="closed",
                closed_at=now,
                now=now,
            )
        elif head != row.head_sha:
            hub.store.one(IssueRow, "touch_issue", id=row.id, now=now)
