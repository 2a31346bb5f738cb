"""Rows as GitHub writes them: the names and the nesting of its REST description.

Addresses that GitHub's own clients require are there even where nothing answers them here; pages
for people (`html_url`) do exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pressplay.forge.local.rows import (
    BOT,
    AppRow,
    CheckRunRow,
    HookRow,
    InstallationRow,
    RepositoryRow,
    ReviewRow,
    UserRow,
)
from pressplay.forge.local.storage import Storage

Document = dict[str, Any]

_USER_LINKS = (
    "followers following gists starred subscriptions organizations repos events received_events"
)
_REPOSITORY_LINKS = (
    "archive assignees blobs branches collaborators comments commits compare contents contributors "
    "deployments downloads events forks git_commits git_refs git_tags hooks issue_comment "
    "issue_events issues keys labels languages merges milestones notifications pulls releases "
    "stargazers statuses subscribers subscription tags teams trees"
)
_EMPTY_COUNTS = (
    "forks forks_count stargazers_count watchers watchers_count size open_issues "
    "open_issues_count subscribers_count network_count"
)


class Shapes:
    """Makes GitHub's documents; `base_url` answers the forge's own address, which may be late."""

    def __init__(self, store: Storage, *, base_url: Callable[[], str]) -> None:
        self._store = store
        self._base_url = base_url

    @property
    def html(self) -> str:
        return self._base_url().rstrip("/")

    @property
    def api(self) -> str:
        return f"{self.html}/api/v3"

    def user(self, login: str) -> Document:
        """A person or an App's bot; whoever is named was seen here."""
        row = self._store.find(UserRow, "find_user", login=login)
        if row is None:
            row = self._store.one(UserRow, "add_user", login=login)
        url = f"{self.api}/users/{quote(row.login)}"
        is_bot = row.login.endswith(BOT)
        return {
            "login": row.login,
            "id": row.id,
            "node_id": f"U_{row.id}",
            "avatar_url": f"{self.html}/avatars/{row.id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.html}/{f'apps/{row.login[: -len(BOT)]}' if is_bot else row.login}",
            **{f"{name}_url": f"{url}/{name}" for name in _USER_LINKS.split()},
            "type": "Bot" if is_bot else "User",
            "site_admin": False,
        }

    def app(self, row: AppRow) -> Document:
        return {
            "id": row.id,
            "slug": row.slug,
            "node_id": f"A_{row.id}",
            "client_id": f"Iv1.{row.id}",
            "owner": self.user(row.login),
            "name": row.name,
            "description": "",
            "external_url": self.html,
            "html_url": f"{self.html}/apps/{row.slug}",
            "created_at": row.created_at,
            "updated_at": row.created_at,
            "permissions": {"metadata": "read", **row.granted()},
            "events": self._events(row),
        }

    def installation(self, row: InstallationRow, *, app: AppRow) -> Document:
        url = f"{self.api}/app/installations/{row.id}"
        account = self.user(row.account)
        return {
            "id": row.id,
            "account": account,
            "repository_selection": "all",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.html}/settings/installations/{row.id}",
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": account["id"],
            "target_type": "User",
            "permissions": {"metadata": "read", **app.granted()},
            "events": self._events(app),
            "created_at": row.created_at,
            "updated_at": row.created_at,
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": None,
        }

    def repository(self, row: RepositoryRow) -> Document:
        url, page = f"{self.api}/repos/{row.full_name}", f"{self.html}/{row.full_name}"
        return {
            "id": row.id,
            "node_id": f"R_{row.id}",
            "name": row.name,
            "full_name": row.full_name,
            "owner": self.user(row.owner),
            "private": bool(row.private),
            "visibility": "private" if row.private else "public",
            "description": row.description or None,
            "fork": False,
            "url": url,
            **{f"{name}_url": f"{url}/{name}" for name in _REPOSITORY_LINKS.split()},
            "html_url": page,
            "clone_url": f"{page}.git",
            "git_url": f"{page}.git",
            "ssh_url": "",
            "svn_url": page,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "topics": [],
            "default_branch": row.default_branch,
            **dict.fromkeys(_EMPTY_COUNTS.split(), 0),
            **dict.fromkeys(("has_issues", "has_downloads"), True),
            **dict.fromkeys(("has_projects", "has_wiki", "has_pages", "has_discussions"), False),
            **dict.fromkeys(("archived", "disabled", "is_template"), False),
            "created_at": row.created_at,
            "updated_at": row.created_at,
            "pushed_at": row.created_at,
        }

    def review(self, row: ReviewRow, *, repository: RepositoryRow) -> Document:
        pull = f"{self.api}/repos/{repository.full_name}/pulls/{row.number}"
        page = f"{self.html}/{repository.full_name}/pull/{row.number}#pullrequestreview-{row.id}"
        return {
            "id": row.id,
            "node_id": f"PRR_{row.id}",
            "user": self.user(row.author),
            "body": row.body,
            "state": row.state,
            "html_url": page,
            "pull_request_url": pull,
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
            "submitted_at": row.submitted_at,
            "commit_id": row.commit_id,
            "author_association": self.association(row.author, repository=repository),
        }

    def check_run(self, row: CheckRunRow, *, repository: RepositoryRow) -> Document:
        url = f"{self.api}/repos/{repository.full_name}/check-runs/{row.id}"
        page = f"{self.html}/{repository.full_name}/runs/{row.id}"
        return {
            "id": row.id,
            "name": row.name,
            "node_id": f"CR_{row.id}",
            "head_sha": row.head_sha,
            "external_id": row.external_id,
            "url": url,
            "html_url": page,
            "details_url": row.details_url or page,
            "status": row.status,
            "conclusion": row.conclusion,
            "started_at": row.started_at,
            "completed_at": row.completed_at,
            "output": {
                "title": row.title,
                "summary": row.summary,
                "text": None,
                "annotations_count": 0,
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": {"id": row.id},
            "app": self.app(self._store.one(AppRow, "find_app", id=row.app_id)),
            "pull_requests": [],
        }

    def association(self, login: str, *, repository: RepositoryRow) -> str:
        """What the author is to the repository; no permission, on GitHub as here."""
        return "OWNER" if login.lower() == repository.owner.lower() else "NONE"

    def _events(self, row: AppRow) -> list[str]:
        """What the App's webhook is told of."""
        hook = self._store.find(HookRow, "find_hook_of_app", app_id=row.id)
        return [] if hook is None else list(hook.event_names())

    def app_behind(self, login: str) -> Document | None:
        """The App whose bot wrote something; null for people and for bots from elsewhere."""
        row = None
        if login.endswith(BOT):
            slug = login.removesuffix(BOT)
            row = self._store.find(AppRow, "find_app_by_slug", slug=slug)
        return None if row is None else self.app(row)
