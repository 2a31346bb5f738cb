"""REST: a repository, its branches, its files, who may do what in it."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pressplay.forge.local import guarding, protections, roles
from pressplay.forge.local.answers import ProblemError, not_found
from pressplay.forge.local.asking import Ask, Door, Hub, permission
from pressplay.forge.local.bare import Commit, Entry
from pressplay.forge.local.rows import RepositoryRow, UserRow

_METADATA = permission("metadata:read")
_CONTENTS = permission("contents:read")


class Repositories:
    """Endpoints that read a repository."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self, door: Door) -> list[Route]:
        base = "/repos/{owner}/{repo}"
        branch = f"{base}/branches/{{branch:path}}"
        return [
            door.route("GET", base, needs=_METADATA, to=self.repository),
            door.route("GET", branch, needs=_CONTENTS, to=self.branch),
            door.route("GET", f"{base}/contents/{{path:path}}", needs=_CONTENTS, to=self.contents),
            door.route(
                "GET",
                f"{base}/collaborators/{{login}}/permission",
                needs=_METADATA,
                to=self.permission,
            ),
        ]

    async def repository(self, ask: Ask) -> Response:
        return JSONResponse(self._hub.shapes.repository(ask.repository))

    async def branch(self, ask: Ask) -> Response:
        name, row = ask.path("branch"), ask.repository
        sha = (await self._hub.git.heads(row.id)).get(name)
        if sha is None:
            raise ProblemError(404, "Branch not found")
        protected = guarding.is_protected(self._hub, row, name)
        settings = guarding.protection_of(self._hub, row, name)
        url = f"{self._hub.shapes.api}/repos/{row.full_name}"
        html = f"{self._hub.shapes.html}/{row.full_name}"
        return JSONResponse(
            {
                "name": name,
                "commit": _commit(await self._hub.git.read_commit(row.id, sha), url=url, page=html),
                "_links": {"self": f"{url}/branches/{name}", "html": f"{html}/tree/{name}"},
                "protected": protected,
                "protection": protections.in_branch(settings, protected=protected),
                "protection_url": f"{url}/branches/{name}/protection",
            }
        )

    async def contents(self, ask: Ask) -> Response:
        """A file as GitHub's `raw` or JSON form, or a folder's names."""
        row, path = ask.repository, ask.path("path").strip("/")
        ref = ask.query("ref", default=row.default_branch)
        commit = await self._hub.git.commit(row.id, ref)
        if not commit:
            raise ProblemError(404, f"No commit found for the ref {ref}")
        entries = await self._hub.git.entries(row.id, commit=commit, path=path)
        if not entries:
            raise not_found()
        if len(entries) != 1 or entries[0].path != path or entries[0].kind != "blob":
            return JSONResponse([self._entry(it, row=row, ref=ref) for it in entries])
        content = await self._hub.git.blob(row.id, entries[0].sha)
        accept = ask.request.headers.get("accept", "")
        if "raw" in accept:
            return Response(content, media_type="application/vnd.github.raw+json; charset=utf-8")
        document = self._entry(entries[0], row=row, ref=ref)
        document |= {
            "size": len(content),
            "encoding": "base64",
            "content": base64.encodebytes(content).decode("ascii"),
        }
        return JSONResponse(document)

    async def permission(self, ask: Ask) -> Response:
        row, login = ask.repository, ask.path("login")
        known = login.lower() in (row.owner.lower(), self._hub.operator_login.lower())
        if not known and self._hub.store.find(UserRow, "find_user", login=login) is None:
            raise ProblemError(404, f"{login} is not a user")
        role = "admin" if known else roles.role_of(self._hub, row, login)
        shown = "" if role == "none" else role
        return JSONResponse(
            {
                "permission": roles.LEGACY.get(role, role),
                "role_name": shown,
                "user": self._hub.shapes.user(login) | {"role_name": shown},
            }
        )

    def _entry(self, entry: Entry, *, row: RepositoryRow, ref: str) -> dict[str, Any]:
        api = f"{self._hub.shapes.api}/repos/{row.full_name}"
        url, git = f"{api}/contents/{entry.path}?ref={ref}", f"{api}/git/blobs/{entry.sha}"
        html = f"{self._hub.shapes.html}/{row.full_name}/blob/{ref}/{entry.path}"
        return {
            "type": {"blob": "file", "tree": "dir"}.get(entry.kind, "submodule"),
            "size": 0,
            "name": entry.path.rsplit("/", 1)[-1],
            "path": entry.path,
            "sha": entry.sha,
            "url": url,
            "git_url": git,
            "html_url": html,
            "download_url": None,
            "_links": {"self": url, "git": git, "html": html},
        }


def _commit(commit: Commit, *, url: str, page: str) -> dict[str, Any]:
    """A commit inside a branch; nobody here is matched to a committer's address."""
    link, html = f"{url}/commits/{commit.sha}", f"{page}/commit/{commit.sha}"
    return {
        "sha": commit.sha,
        "node_id": f"C_{commit.sha}",
        "url": link,
        "html_url": html,
        "comments_url": f"{link}/comments",
        "commit": {
            "url": f"{url}/git/commits/{commit.sha}",
            "author": asdict(commit.author),
            "committer": asdict(commit.committer),
            "message": commit.message,
            "comment_count": 0,
            "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
        },
        "author": None,
        "committer": None,
        "parents": [{"sha": sha, "url": f"{url}/commits/{sha}"} for sha in commit.parents],
    }
