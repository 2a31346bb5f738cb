"""Issues, comments and pull requests as GitHub writes them."""

from __future__ import annotations

from dataclasses import dataclass

from pressplay.base import ids
from pressplay.forge.local.bare import Span
from pressplay.forge.local.rows import (
    CommentRow,
    IssueRow,
    PullRow,
    RepositoryRow,
    ReviewCommentRow,
)
from pressplay.forge.local.shapes import Document, Shapes

_REACTIONS = "+1 -1 laugh hooray confused heart rocket eyes"


@dataclass(frozen=True)
class Mergeability:
    """`mergeable` is None where GitHub does not say; `state` is its `mergeable_state`."""

    mergeable: bool | None = None
    state: str = "unknown"


UNKNOWN = Mergeability()


class ThreadShapes:
    """Makes the documents of what people and Apps write and propose."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def issue(self, row: IssueRow, *, repository: RepositoryRow, comments: int) -> Document:
        base = f"{self._shapes.api}/repos/{repository.full_name}"
        url = f"{base}/issues/{row.number}"
        page = f"{self._shapes.html}/{repository.full_name}"
        document = self._thread(row, repository=repository)
        document |= {
            "url": url,
            "repository_url": base,
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": f"{page}/issues/{row.number}",
            "comments": comments,
            "reactions": _reactions(url),
            "state_reason": "completed" if row.state == "closed" else None,
            "performed_via_github_app": self._shapes.app_behind(row.author),
        }
        if isinstance(row, PullRow):
            document["html_url"] = f"{page}/pull/{row.number}"
            document["pull_request"] = {
                "url": f"{base}/pulls/{row.number}",
                "html_url": document["html_url"],
                "diff_url": f"{document['html_url']}.diff",
                "patch_url": f"{document['html_url']}.patch",
                "merged_at": row.merged_at,
            }
        return document

    def comment(self, row: CommentRow, *, repository: RepositoryRow) -> Document:
        base = f"{self._shapes.api}/repos/{repository.full_name}"
        page = f"{self._shapes.html}/{repository.full_name}/issues/{row.number}"
        return {
            "id": row.id,
            "node_id": f"IC_{row.id}",
            "url": f"{base}/issues/comments/{row.id}",
            "html_url": f"{page}#issuecomment-{row.id}",
            "issue_url": f"{base}/issues/{row.number}",
            "reactions": _reactions(f"{base}/issues/comments/{row.id}"),
            "body": row.body,
            "user": self._shapes.user(row.author),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "author_association": self._shapes.association(row.author, repository=repository),
            "performed_via_github_app": self._shapes.app_behind(row.author),
        }

    def review_comment(self, row: ReviewCommentRow, *, repository: RepositoryRow) -> Document:
        base = f"{self._shapes.api}/repos/{repository.full_name}/pulls"
        page = f"{self._shapes.html}/{repository.full_name}/pull/{row.number}#discussion_r{row.id}"
        links = {"self": f"{base}/comments/{row.id}", "pull_request": f"{base}/{row.number}"}
        return {
            "id": row.id,
            "node_id": f"PRRC_{row.id}",
            "pull_request_review_id": None,
            "reactions": _reactions(links["self"]),
            "url": links["self"],
            "html_url": page,
            "pull_request_url": links["pull_request"],
            "_links": {name: {"href": it} for name, it in {**links, "html": page}.items()},
            "diff_hunk": "",
            "path": row.path,
            "position": row.line,
            "original_position": row.line or 1,
            "line": row.line,
            "original_line": row.line or 1,
            "start_line": None,
            "original_start_line": None,
            "start_side": None,
            "side": "RIGHT",
            "subject_type": "line" if row.line else "file",
            "commit_id": row.commit_id,
            "original_commit_id": row.commit_id,
            "body": row.body,
            "user": self._shapes.user(row.author),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "author_association": self._shapes.association(row.author, repository=repository),
        }

    def pull(self, row: PullRow, *, repository: RepositoryRow) -> Document:
        """A pull request as lists have it; `pull_in_full` adds what only one alone has."""
        base = f"{self._shapes.api}/repos/{repository.full_name}"
        url = f"{base}/pulls/{row.number}"
        issue = f"{base}/issues/{row.number}"
        page = f"{self._shapes.html}/{repository.full_name}/pull/{row.number}"
        links = {
            "self": url,
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{base}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{base}/statuses/{row.head_sha}",
        }
        return self._thread(row, repository=repository) | {
            "url": url,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            **{f"{name}_url": link for name, link in links.items() if name not in ("self", "html")},
            "_links": {name: {"href": link} for name, link in links.items()},
            "head": self._side(repository, ref=row.head_ref, sha=row.head_sha),
            "base": self._side(repository, ref=row.base_ref, sha=row.base_sha),
            "draft": bool(row.draft),
            "merged_at": row.merged_at,
            "merge_commit_sha": row.merge_commit_sha,
            "requested_reviewers": [],
            "requested_teams": [],
            "auto_merge": self._auto_merge(row, repository=repository),
        }

    def pull_in_full(
        self,
        row: PullRow,
        *,
        repository: RepositoryRow,
        span: Span,
        comments: int = 0,
        review_comments: int = 0,
        merging: Mergeability = UNKNOWN,
    ) -> Document:
        """By default `mergeable` is null, as on GitHub while it is still being worked out."""
        return self.pull(row, repository=repository) | {
            "merged": row.merged_at is not None,
            "mergeable": merging.mergeable,
            "mergeable_state": merging.state,
            "rebaseable": None,
            "merged_by": self._shapes.user(row.merged_by) if row.merged_by else None,
            "comments": comments,
            "review_comments": review_comments,
            "maintainer_can_modify": False,
            "commits": span.commits,
            "additions": span.additions,
            "deletions": span.deletions,
            "changed_files": len(span.files),
        }

    def _thread(self, row: IssueRow, *, repository: RepositoryRow) -> Document:
        return {
            "id": row.id,
            "node_id": f"I_{row.id}",
            "number": row.number,
            "state": row.state,
            "locked": False,
            "title": row.title,
            "body": row.body,
            "user": self._shapes.user(row.author),
            "labels": [self.label(name, repository=repository) for name in row.label_names()],
            "assignee": None,
            "assignees": [],
            "active_lock_reason": None,
            "milestone": None,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "closed_at": row.closed_at,
            "author_association": self._shapes.association(row.author, repository=repository),
        }

    def _side(self, repository: RepositoryRow, *, ref: str, sha: str) -> Document:
        return {
            "label": f"{repository.owner}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self._shapes.user(repository.owner),
            "repo": self._shapes.repository(repository),
        }

    def _auto_merge(self, row: PullRow, *, repository: RepositoryRow) -> Document | None:
        if not row.auto_merge:
            return None
        return {
            "enabled_by": self._shapes.user(row.auto_merge_by or repository.owner),
            "merge_method": row.auto_merge_method or "merge",
            "commit_title": row.title,
            "commit_message": "",
        }

    def label(self, name: str, *, repository: RepositoryRow) -> Document:
        """A label; its id is made from its name."""
        number = int(ids.short_hash(f"{repository.id}:{name}"), 16)
        return {
            "id": number,
            "node_id": f"LA_{number}",
            "url": f"{self._shapes.api}/repos/{repository.full_name}/labels/{name}",
            "name": name,
            "color": "ededed",
            "default": False,
            "description": None,
        }


def _reactions(url: str) -> Document:
    """Nobody reacts here."""
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(_REACTIONS.split(), 0)}
