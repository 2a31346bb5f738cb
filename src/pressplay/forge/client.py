"""The forge as our stages see it: a method for each call of the table, and no other.

Synchronous, because a stage is a short process that does one thing after another. Every method
raises Refused for what the forge will not do and Unavailable for what it cannot do now.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import httpx2

from pressplay.api.forge import Branch, CheckRun, Comment, Issue, Pull, Repository, Review
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.forge import lengths, records, session
from pressplay.forge.errors import RefusedByForge

PAGE = 100
MOST_PAGES = 30
"""A longer list than this is refused: a part of a thread must not pass for the whole."""


class Forge:
    """One token's view of a forge. A context manager; one thread at a time."""

    def __init__(
        self, *, api_url: str, token: Secret, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._session = session.Session(api_url=api_url, token=token, transport=transport)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def repository(self, owner: str, repo: str) -> Repository:
        """The repository, under its present name."""
        return records.read(records.repository, self._get("repository", _at(owner, repo)))

    def branch(self, owner: str, repo: str, branch: str) -> Branch | None:
        """The branch, or None if there is none of this name."""
        found = self._find("branch", _at(owner, repo, branch=branch))
        return None if found is None else records.read(records.branch, session.json_of(found))

    def branch_rules(self, owner: str, repo: str, branch: str) -> tuple[str, ...]:
        """The types of the active ruleset rules that bind this token on the branch.

        Such as `pull_request`. A ruleset that the token's own App may pass by does not count.
        """
        found = self._list("branch_rules", _at(owner, repo, branch=branch))
        rules = [records.read(records.rule, item) for item in found]
        passable = {
            number
            for number in sorted({rule.ruleset_id for rule in rules if rule.ruleset_id})
            if self._may_pass(owner, repo, number)
        }
        return tuple(sorted({rule.kind for rule in rules if rule.ruleset_id not in passable}))

    def _may_pass(self, owner: str, repo: str, ruleset_id: int) -> bool:
        """Whether the forge says so; one that it does not show (an organisation's) binds."""
        found = self._find("ruleset", _at(owner, repo, id=ruleset_id))
        if found is None:
            return False
        can = records.read(
            lambda item: str(item.get("current_user_can_bypass") or "never"),
            session.json_of(found),
        )
        return can != "never"

    def has_protection(self, owner: str, repo: str, branch: str) -> bool:
        """Whether classic branch protection is on; Refused where the token may not know."""
        return self._find("branch_protection", _at(owner, repo, branch=branch)) is not None

    def permission(self, owner: str, repo: str, login: str) -> str:
        """`admin`, `write`, `read` or `none`; an unknown person has none.

        The role `maintain` counts as write, `triage` as read; any other word as none.
        """
        found = self._find("permission", _at(owner, repo, login=login))
        if found is None:
            return "none"
        return records.read(records.permission, session.json_of(found))

    def issue(self, owner: str, repo: str, number: int) -> Issue:
        """The issue; a pull request's number answers its issue side."""
        return records.read(records.issue, self._get("issue", _at(owner, repo, number=number)))

    def issue_comments(self, owner: str, repo: str, number: int) -> tuple[Comment, ...]:
        """The thread of an issue or a pull request, oldest first."""
        found = self._list("issue_comments", _at(owner, repo, number=number))
        return tuple(records.read(records.comment, item) for item in found)

    def comment(self, owner: str, repo: str, comment_id: int) -> Comment:
        """One comment by its id."""
        return records.read(records.comment, self._get("comment", _at(owner, repo, id=comment_id)))

    def add_comment(self, owner: str, repo: str, number: int, *, body: str) -> Comment:
        """Write a comment under an issue or a pull request."""
        return records.read(
            records.comment,
            self._get(
                "add_comment", _at(owner, repo, number=number), body={"body": lengths.fit(body)}
            ),
        )

    def edit_comment(self, owner: str, repo: str, comment_id: int, *, body: str) -> Comment:
        """Replace the text of a comment."""
        return records.read(
            records.comment,
            self._get(
                "edit_comment", _at(owner, repo, id=comment_id), body={"body": lengths.fit(body)}
            ),
        )

    def file(self, owner: str, repo: str, path: str, *, ref: str) -> bytes | None:
        """A file's content at a branch or commit, or None. Raises Refused for a folder."""
        found = self._find(
            "file", _at(owner, repo, path=path), query={"ref": ref}, accept=session.RAW_TYPE
        )
        if found is None:
            return None
        if found.headers.get("content-type", "").startswith("application/json"):
            raise Refused(f"{path} is a folder at {ref}; name a file")
        return found.content

    def pull(self, owner: str, repo: str, number: int) -> Pull:
        """The pull request as it is now."""
        return records.read(records.pull, self._get("pull", _at(owner, repo, number=number)))

    def pulls(
        self,
        owner: str,
        repo: str,
        *,
        head_branch: str = "",
        state: Literal["open", "closed", "all"] = "open",
    ) -> tuple[Pull, ...]:
        """Pull requests, newest first; with `head_branch` only those from that branch of ours."""
        query: dict[str, str | int] = {"state": state}
        if head_branch:
            query["head"] = f"{owner}:{head_branch}"
        found = self._list("pulls", _at(owner, repo), query=query)
        return tuple(records.read(records.pull, item) for item in found)

    def open_pull(
        self, owner: str, repo: str, *, head: str, base: str, title: str, body: str
    ) -> Pull:
        """Open a pull request from one branch of the repository to another."""
        fields = {"head": head, "base": base, **_words(title=title, body=body)}
        return records.read(records.pull, self._get("open_pull", _at(owner, repo), body=fields))

    def edit_pull(self, owner: str, repo: str, number: int, *, title: str, body: str) -> Pull:
        """Replace title and description; nothing else of a pull request can be changed."""
        fields = _words(title=title, body=body)
        return records.read(
            records.pull, self._get("edit_pull", _at(owner, repo, number=number), body=fields)
        )

    def reviews(self, owner: str, repo: str, number: int) -> tuple[Review, ...]:
        """The reviews of a pull request, oldest first."""
        found = self._list("reviews", _at(owner, repo, number=number))
        return tuple(records.read(records.review, item) for item in found)

    def add_review(
        self,
        owner: str,
        repo: str,
        number: int,
        *,
        commit: str,
        event: Literal["APPROVE", "COMMENT"],
        body: str,
    ) -> Review:
        """Review one commit of a pull request."""
        fields = {"commit_id": commit, "event": event, "body": lengths.fit(body)}
        return records.read(
            records.review, self._get("add_review", _at(owner, repo, number=number), body=fields)
        )

    def check_runs(self, owner: str, repo: str, sha: str) -> tuple[CheckRun, ...]:
        """The latest check run of each name and App at a commit."""
        found = self._list("check_runs", _at(owner, repo, sha=sha), inside="check_runs")
        return tuple(records.read(records.check_run, item) for item in found)

    def add_check_run(  # noqa: PLR0913 - one argument for each field of the forge's own call
        self,
        owner: str,
        repo: str,
        *,
        name: str,
        sha: str,
        status: str,
        conclusion: str,
        external_id: str,
        title: str,
        summary: str,
    ) -> CheckRun:
        """Put a check run on a commit; `conclusion` is empty unless `status` is `completed`."""
        fields = {
            "name": name,
            "head_sha": sha,
            "external_id": external_id,
            **_judgement(status=status, conclusion=conclusion, title=title, summary=summary),
        }
        return records.read(
            records.check_run, self._get("add_check_run", _at(owner, repo), body=fields)
        )

    def edit_check_run(
        self,
        owner: str,
        repo: str,
        check_run_id: int,
        *,
        status: str,
        conclusion: str,
        title: str,
        summary: str,
    ) -> CheckRun:
        """Change the state of a check run that the token's own App made."""
        fields = _judgement(status=status, conclusion=conclusion, title=title, summary=summary)
        return records.read(
            records.check_run,
            self._get("edit_check_run", _at(owner, repo, id=check_run_id), body=fields),
        )

    def _get(
        self,
        name: str,
        parameters: Mapping[str, object],
        *,
        body: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON enters here
        return session.json_of(self._session.ask(name, parameters, body=body))

    def _find(
        self,
        name: str,
        parameters: Mapping[str, object],
        *,
        query: Mapping[str, str | int] | None = None,
        accept: str = session.JSON_TYPE,
    ) -> httpx2.Response | None:
        try:
            return self._session.ask(name, parameters, query=query, accept=accept)
        except RefusedByForge as error:
            if error.status == 404:
                return None
            raise

    def _list(
        self,
        name: str,
        parameters: Mapping[str, object],
        *,
        query: Mapping[str, str | int] | None = None,
        inside: str = "",
    ) -> list[Any]:
        found: list[Any] = []
        page = 1
        for _ in range(MOST_PAGES):
            asked = {**(query or {}), "per_page": PAGE, "page": page}
            answer = self._session.ask(name, parameters, query=asked)
            document = session.json_of(answer)
            items = records.read(lambda it: list(it[inside] if inside else it), document)
            found.extend(items)
            page = _next_page(answer, page=page, is_full=len(items) >= PAGE)
            if not page:
                return found
        raise Refused(f"More than {PAGE * MOST_PAGES} {name.replace('_', ' ')}: too many to read")


def _at(owner: str, repo: str, **more: object) -> dict[str, object]:
    return {"owner": owner, "repo": repo, **more}


def _judgement(*, status: str, conclusion: str, title: str, summary: str) -> dict[str, object]:
    ending = {"conclusion": conclusion} if conclusion else {}
    output = {
        "title": lengths.fit_line(title),
        "summary": lengths.fit(summary, most=lengths.SUMMARY),
    }
    return {"status": status, **ending, "output": output}


def _words(*, title: str, body: str) -> dict[str, str]:
    return {"title": lengths.fit_line(title), "body": lengths.fit(body)}


def _next_page(response: httpx2.Response, *, page: int, is_full: bool) -> int:
    """The number of the page after `page`, or 0 if that was the last.

    Of the `Link` header only the number counts: no address of the forge's choosing is followed.
    A forge that sends no such header (GitHub leaves it out where one page holds everything; some
    proxies take it away) is asked on as long as its pages are full.
    """
    if "link" not in response.headers:
        return page + 1 if is_full else 0
    found = response.links.get("next", {}).get("url", "")
    if not found:
        return 0
    number = httpx2.URL(found).params.get("page", "")
    return int(number) if number.isdigit() and int(number) > page else page + 1
