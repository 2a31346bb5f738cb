"""Issues, comments and pull requests as GitHub writes them."""

from __future__ import annotations

from pressplay.base import ids
from pressplay.forge.local.bare import Span
from pressplay.forge.local.rows import CommentRow, IssueRow, PullRow, RepositoryRow
from pressplay.forge.local.shapes import Document, Shapes


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
            "body": row.body,
            "user": self._shapes.user(row.author),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "author_association": self._shapes.association(row.author, repository=repository),
            "performed_via_github_app": self._shapes.app_behind(row.author),
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
            "merge_commit_sha": None,
            "assignees": [],
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
        comments: int,
    ) -> Document:
        """`mergeable` stays null, as on GitHub while it is still being worked out."""
        return self.pull(row, repository=repository) | {
            "merged": row.merged_at is not None,
            "mergeable": None,
            "mergeable_state": "unknown",
            "rebaseable": None,
            "merged_by": None,
            "comments": comments,
            "review_comments": 0,
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
            "labels": [self._label(name, repository=repository) for name in row.label_names()],
            "assignee": None,
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
            "enabled_by": self._shapes.user(repository.owner),
            "merge_method": "merge",
            "commit_title": row.title,
            "commit_message": "",
        }

    def _label(self, name: str, *, repository: RepositoryRow) -> Document:
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
