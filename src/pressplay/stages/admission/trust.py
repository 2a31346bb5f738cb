"""Who may start a run: people whom the forge lets write to the repository.

Asked of the forge and not read from the event: `author_association` is no permission. A head from
a fork, or from somebody without rights, waits until a trusted person names that very commit.
"""

from __future__ import annotations

import re
from typing import Protocol

from pressplay.api.events import Event
from pressplay.api.forge import Comment, Issue, Pull

START_LABEL = "pressplay"
"""The label by which a trusted person asks for an issue to be implemented."""

_TRUSTED = ("admin", "maintain", "write")
_BOT = "[bot]"
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?")
_OK_TO_TEST = re.compile(r"/ok-to-test[ \t]+([0-9a-fA-F]{10,40})[ \t]*")


class People(Protocol):
    """What is asked of the forge here; every call only reads."""

    def permission(self, owner: str, repo: str, login: str) -> str:
        """`admin`, `write`, `read` or `none`; an unknown login has none."""

    def issue_comments(self, owner: str, repo: str, number: int) -> tuple[Comment, ...]:
        """The thread of an issue or a pull request, oldest first."""


class Trust:
    """The rules, for one repository. Each answers "" or the reason for a refusal."""

    def __init__(self, people: People, *, owner: str, repo: str) -> None:
        self._people = people
        self._owner = owner
        self._repo = repo

    def is_trusted(self, login: str) -> bool:
        """Whether the forge lets this person write to the repository."""
        if not _LOGIN.fullmatch(login):
            return False
        return self._people.permission(self._owner, self._repo, login) in _TRUSTED

    def of_comment(self, comment: Comment, *, started: str) -> str:
        """A run that a comment asked for, at the moment `started` (RFC 3339)."""
        if comment.author.endswith(_BOT):
            return f"A comment by {comment.author} starts nothing; a person must ask"
        if not self.is_trusted(comment.author):
            return self._untrusted(comment.author, "A person with write permission must ask")
        if comment.updated_at != comment.created_at and comment.updated_at > started:
            return f"Comment {comment.id} was edited after it started this run; comment again"
        return ""

    def of_issue(self, issue: Issue, event: Event) -> str:
        """A run for an issue: its author is trusted, or whoever put the label on it is."""
        if self.is_trusted(issue.author):
            return ""
        labelled = event.action == "labeled" and event.label == START_LABEL
        if labelled and not _is_bot(event.sender) and self.is_trusted(event.sender):
            return ""
        return self._untrusted(
            issue.author,
            f"A person with write permission can put the label `{START_LABEL}` on it "
            "or answer it with `/rex`",
        )

    def of_pull(self, pull: Pull) -> str:
        """A run for a pull request: what its head and its author deserve."""
        ours = pull.head_repo.lower() == f"{self._owner}/{self._repo}".lower()
        # Pushing a branch here takes write permission: an App that did has it.
        if ours and (_is_bot(pull.author) or self.is_trusted(pull.author)):
            return ""
        if self._is_approved_for_tests(pull):
            return ""
        why = f"{pull.author} has no write permission" if ours else "its head is in a fork"
        return (
            f"Pull request #{pull.number} gets no token and no preview, because {why}. A person "
            f"with write permission can comment `/ok-to-test {pull.head_sha[:10]}`; it holds for "
            "that head only"
        )

    def _is_approved_for_tests(self, pull: Pull) -> bool:
        """Whether a trusted person named this very head; a bare command could mean the next one."""
        for comment in self._people.issue_comments(self._owner, self._repo, pull.number):
            named = _OK_TO_TEST.fullmatch(comment.body.partition("\n")[0].rstrip("\r"))
            if not named or not pull.head_sha.startswith(named[1].lower()):
                continue
            if not _is_bot(comment.author) and self.is_trusted(comment.author):
                return True
        return False

    def _untrusted(self, login: str, remedy: str) -> str:
        return f"{login} has no write permission on {self._owner}/{self._repo}. {remedy}"


def _is_bot(login: str) -> bool:
    return login.endswith(_BOT)
