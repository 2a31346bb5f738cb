"""The operator's side of the local forge, for the command line and for tests.

It makes what on GitHub a person makes in a browser, and merges as a person does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx2

from pressplay.api.forge import Comment, Issue, Pull, Repository
from pressplay.base.errors import Unavailable
from pressplay.forge import records, session
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.local.defaults import PROTECTION

_API = "api/v3"
_AS = "X-Pressplay-As"


@dataclass(frozen=True)
class Registration:
    """An App with the private key (PEM) that was made for whoever asked."""

    id: int
    slug: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Alarm:
    """A call that must never happen; `time` is RFC 3339, `who` a login or `nobody`."""

    time: str
    who: str
    verb: str
    path: str


class Operator:
    """Speaks to a local forge at its root address with the operator's token. A context manager.

    `speaking_for` arguments let the operator play somebody else's part; empty means the operator.
    Raises Refused and Unavailable as the client does.
    """

    def __init__(
        self, url: str, token: str, *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._http = httpx2.Client(
            base_url=url,
            transport=transport if transport is not None else session.direct(url),
            trust_env=False,
            timeout=session.TIMEOUT_S,
            headers={"Authorization": f"Bearer {token}"},
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ensure_repository(
        self, name: str, *, owner: str = "", private: bool = False, default_branch: str = "main"
    ) -> Repository:
        """The repository of this name, made if need be; its owner is the operator by default.

        One that is already there stays as it is.
        """
        found = self._find_repository(name, owner)
        if found is not None:
            return found
        body = {"name": name, "private": private, "default_branch": default_branch}
        try:
            made = self.ask("POST", f"{_API}/user/repos", body=body, speaking_for=owner)
        except RefusedByForge:
            # Another command may have made it since we looked.
            found = self._find_repository(name, owner)
            if found is None:
                raise
            return found
        return records.read(records.repository, made)

    def _find_repository(self, name: str, owner: str) -> Repository | None:
        for found in self.repositories():
            if found.name.lower() == name.lower() and owner.lower() in ("", found.owner.lower()):
                return found
        return None

    def ensure_app(self, slug: str, permissions: Mapping[str, str]) -> Registration:
        """An App with these permissions on every repository, present and future, and a key for it.

        For whoever has no key: a known App's key is replaced, because the forge keeps none.
        """
        body = {"slug": slug, "permissions": dict(permissions)}
        made = self.ask("POST", "_pressplay/apps", body=body)
        return records.read(_registration, made) if "pem" in made else self.rotate_key(slug)

    def rotate_key(self, slug: str) -> Registration:
        """A fresh private key for an App; the one before is worth nothing from now on."""
        return records.read(_registration, self.ask("POST", f"_pressplay/apps/{slug}/key"))

    def repositories(self) -> tuple[Repository, ...]:
        """Every repository of the forge."""
        found = self._list(f"{_API}/user/repos")
        return tuple(records.read(records.repository, item) for item in found)

    def open_issue(
        self,
        owner: str,
        repo: str,
        *,
        title: str,
        body: str = "",
        labels: Sequence[str] = (),
        speaking_for: str = "",
    ) -> Issue:
        """A new issue."""
        fields = {"title": title, "body": body, "labels": list(labels)}
        made = self.ask(
            "POST", _repo(owner, repo, "issues"), body=fields, speaking_for=speaking_for
        )
        return records.read(records.issue, made)

    def issues(
        self, owner: str, repo: str, *, state: Literal["open", "closed", "all"] = "open"
    ) -> tuple[Issue, ...]:
        """Issues without pull requests, newest first."""
        found = self._list(f"{_repo(owner, repo, 'issues')}?state={state}")
        return tuple(
            records.read(records.issue, item) for item in found if "pull_request" not in item
        )

    def label(self, owner: str, repo: str, number: int, *, labels: Sequence[str]) -> None:
        """Put labels on an issue or a pull request."""
        self.ask(
            "POST", _repo(owner, repo, f"issues/{number}/labels"), body={"labels": list(labels)}
        )

    def comment(
        self, owner: str, repo: str, number: int, *, body: str, speaking_for: str = ""
    ) -> Comment:
        """A comment under an issue or a pull request."""
        made = self.ask(
            "POST",
            _repo(owner, repo, f"issues/{number}/comments"),
            body={"body": body},
            speaking_for=speaking_for,
        )
        return records.read(records.comment, made)

    def open_pull(  # noqa: PLR0913 - one argument for each field of the forge's own call
        self,
        owner: str,
        repo: str,
        *,
        head: str,
        base: str,
        title: str,
        body: str = "",
        draft: bool = False,
        speaking_for: str = "",
    ) -> Pull:
        """A pull request that a person opens."""
        fields = {"head": head, "base": base, "title": title, "body": body, "draft": draft}
        made = self.ask("POST", _repo(owner, repo, "pulls"), body=fields, speaking_for=speaking_for)
        return records.read(records.pull, made)

    def pull(self, owner: str, repo: str, number: int) -> Pull:
        """A pull request as it is now."""
        return records.read(records.pull, self.ask("GET", _repo(owner, repo, f"pulls/{number}")))

    def pulls(
        self,
        owner: str,
        repo: str,
        *,
        head_branch: str = "",
        state: Literal["open", "closed", "all"] = "open",
    ) -> tuple[Pull, ...]:
        """Pull requests, newest first; with `head_branch` only those from that branch."""
        head = f"&head={quote(f'{owner}:{head_branch}')}" if head_branch else ""
        found = self._list(f"{_repo(owner, repo, 'pulls')}?state={state}{head}")
        return tuple(records.read(records.pull, item) for item in found)

    def set_pull_state(
        self, owner: str, repo: str, number: int, *, state: Literal["open", "closed"]
    ) -> Pull:
        """Close a pull request unmerged, or open it again."""
        changed = self.ask("PATCH", _repo(owner, repo, f"pulls/{number}"), body={"state": state})
        return records.read(records.pull, changed)

    def set_auto_merge(
        self, owner: str, repo: str, number: int, *, enabled: bool, speaking_for: str = ""
    ) -> None:
        """Whether GitHub would merge by itself; here only the flag exists."""
        path = f"_pressplay/repos/{owner}/{repo}/pulls/{number}/auto-merge"
        self.ask("PUT", path, body={"enabled": enabled}, speaking_for=speaking_for)

    def set_draft(self, owner: str, repo: str, number: int, *, draft: bool) -> None:
        """Mark a pull request as a draft, or as ready for review."""
        path = f"_pressplay/repos/{owner}/{repo}/pulls/{number}/draft"
        self.ask("PUT", path, body={"draft": draft})

    def merge(
        self, owner: str, repo: str, number: int, *, sha: str = "", speaking_for: str = ""
    ) -> str:
        """Merge as a person does, and answer the merge commit; `sha` is the head that was read."""
        body = {"sha": sha} if sha else {}
        made = self.ask(
            "PUT",
            _repo(owner, repo, f"pulls/{number}/merge"),
            body=body,
            speaking_for=speaking_for,
        )
        return records.read(lambda it: str(it["sha"]), made)

    def set_permission(
        self,
        owner: str,
        repo: str,
        login: str,
        *,
        level: Literal["admin", "maintain", "write", "triage", "read"],
    ) -> None:
        """What a person may do in a repository."""
        word = {"write": "push", "read": "pull"}.get(level, level)
        self.ask("PUT", _repo(owner, repo, f"collaborators/{login}"), body={"permission": word})

    def set_protection(
        self,
        owner: str,
        repo: str,
        branch: str,
        *,
        enabled: bool,
        settings: Mapping[str, object] = PROTECTION,
    ) -> None:
        """Protect a branch, or let Apps push to it (never to the default branch). Idempotent.

        `settings` are the body of GitHub's own call.
        """
        path = _repo(owner, repo, f"branches/{branch}/protection")
        try:
            self.ask("PUT" if enabled else "DELETE", path, body=settings if enabled else None)
        except RefusedByForge as error:
            if enabled or error.status != 404:
                raise

    def add_ruleset(self, owner: str, repo: str, *, ruleset: Mapping[str, object]) -> int:
        """A ruleset in the words of GitHub's own call; answers its id."""
        made = self.ask("POST", _repo(owner, repo, "rulesets"), body=ruleset)
        return records.read(lambda it: int(it["id"]), made)

    def drop_ruleset(self, owner: str, repo: str, ruleset_id: int) -> None:
        """Take a ruleset away."""
        self.ask("DELETE", _repo(owner, repo, f"rulesets/{ruleset_id}"))

    def alarms(self) -> tuple[Alarm, ...]:
        """Everything that must never have been asked; empty on a good day."""
        found = self.ask("GET", "_pressplay/alarms")
        return tuple(records.read(_alarm, item) for item in found)

    def _list(self, path: str) -> list[Any]:
        found: list[Any] = []
        page = 1
        joint = "&" if "?" in path else "?"
        while batch := self.ask("GET", f"{path}{joint}per_page=100&page={page}"):
            found.extend(batch)
            page += 1
        return found

    def ask(
        self,
        verb: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        speaking_for: str = "",
    ) -> Any:  # noqa: ANN401 - JSON enters here
        """Any call of the forge's by its path below the root address, for what has no method."""
        headers = {_AS: speaking_for} if speaking_for else None
        try:
            response = self._http.request(
                verb, path, json=None if body is None else dict(body), headers=headers
            )
        except httpx2.TransportError as error:
            raise Unavailable(
                f"The local forge at {self._http.base_url} does not answer; is it running?"
            ) from error
        if response.status_code >= 500:
            raise Unavailable(
                f"The local forge failed ({response.status_code}) at {verb} {path}: "
                f"{session.said(response)}"
            )
        if not response.is_success:
            raise RefusedByForge(
                f"The local forge refused {verb} {path}: {session.said(response)}",
                status=response.status_code,
            )
        return session.json_of(response) if response.content else None


def _repo(owner: str, repo: str, rest: str) -> str:
    return f"{_API}/repos/{owner}/{repo}/{rest}"


def _registration(document: Any) -> Registration:  # noqa: ANN401 - JSON enters here
    return Registration(id=int(document["id"]), slug=document["slug"], private_key=document["pem"])


def _alarm(document: Any) -> Alarm:  # noqa: ANN401 - JSON enters here
    return Alarm(
        time=document["time"], who=document["who"], verb=document["verb"], path=document["path"]
    )
