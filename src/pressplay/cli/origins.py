"""Where the work comes from: a repository on this machine with its local forge, or a forge's own.

Both are read through the same client, with the same closed table of calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pressplay.api import names
from pressplay.api.forge import Issue, Pull, Repository
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.cli import workspaces
from pressplay.cli.workspaces import Workspace
from pressplay.forge import tokens
from pressplay.forge.client import Forge
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.local.operator import Operator
from pressplay.server.standing import Address, ForgeSettings

_READING = {"contents": "read", "issues": "read", "pull_requests": "read", "metadata": "read"}


@dataclass(frozen=True)
class IssueText:
    """What somebody asks for; the first line is the title."""

    title: str
    body: str


@dataclass(frozen=True)
class Asked:
    """What a run is to be about: one of a text, an issue's number, a pull request's number.

    With `fresh`, the same text is a new issue.
    """

    text: IssueText | None = None
    issue: int = 0
    pr: int = 0
    fresh: bool = False


@dataclass(frozen=True)
class Subject:
    """What was asked for, as the forge has it; `sha` is the commit that the run starts from."""

    repository: Repository
    sha: str
    issue: int = 0
    pr: int = 0

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.repository.owner}/{self.repository.name}"

    @property
    def name(self) -> str:
        """`pr-7` or `issue-7`."""
        return names.subject_of(pr=str(self.pr or ""), issue=str(self.issue or ""))

    @property
    def title(self) -> str:
        """For people."""
        return f"pull request {self.pr}" if self.pr else f"issue {self.issue}"


class Origin(Protocol):
    """Where a run's subject is, and where its result goes."""

    def find(self, asked: Asked) -> Subject:
        """The subject, put there first where it comes from this machine. Raises Refused."""

    def pull_of(self, subject: Subject) -> Pull | None:
        """The pull request that the run is about, or that it opened."""

    def bring_home(self, branch: str) -> None:
        """Fetch the run's branch into the user's repository, where there is one."""


class LocalOrigin:
    """A repository on this machine; issues and pull requests are on the local forge."""

    def __init__(self, address: Address, workspace: Workspace) -> None:
        self._address = address
        self._workspace = workspace
        self._token = Secret(address.operator_token)

    def find(self, asked: Asked) -> Subject:
        """Put the repository, and a text as an issue, on the forge."""
        with Operator(self._address.forge_url, self._address.operator_token) as operator:
            repository = operator.ensure_repository(
                self._workspace.name, default_branch=self._workspace.branch
            )
            self._bring(repository)
            if asked.pr:
                return self._pull(operator, repository, asked.pr)
            number = asked.issue
            if asked.text is not None:
                number = _issue_for(operator, repository, asked.text, fresh=asked.fresh)
            with self._forge() as forge:
                issue = _issue(forge, repository, number)
            return Subject(repository, self._workspace.sha, issue=issue.number)

    def pull_of(self, subject: Subject) -> Pull | None:
        with self._forge() as forge:
            return _pull_of(forge, subject)

    def bring_home(self, branch: str) -> None:
        workspaces.take_branch(
            self._workspace,
            branch,
            url=f"{self._address.forge_url}/{self._full_name()}.git",
            server_url=self._address.forge_url,
            token=self._token,
        )

    def _full_name(self) -> str:
        with Operator(self._address.forge_url, self._address.operator_token) as operator:
            repository = operator.ensure_repository(self._workspace.name)
        return f"{repository.owner}/{repository.name}"

    def _bring(self, repository: Repository) -> None:
        """Push what the run is to start from, unless the forge has it there."""
        branch, sha = self._workspace.branch, self._workspace.sha
        with self._forge() as forge:
            found = forge.branch(repository.owner, repository.name, branch)
        if found is None or found.sha != sha:
            self._push(repository, sha=sha, branch=branch)

    def _pull(self, operator: Operator, repository: Repository, number: int) -> Subject:
        """The pull request, brought up to the user's branch of the same name."""
        with self._forge() as forge:
            pull = _pull(forge, repository, number)
        sha = workspaces.branch_head(self._workspace, pull.head_ref)
        if sha and not self._has(repository, pull, sha):
            self._push(repository, sha=sha, branch=pull.head_ref, fast_forward=True)
            pull = operator.pull(repository.owner, repository.name, number)
        return Subject(repository, pull.head_sha, pr=number)

    def _has(self, repository: Repository, pull: Pull, sha: str) -> bool:
        """Whether the pull request's branch has this commit of the user's already."""
        workspaces.fetch_objects(
            self._workspace,
            pull.head_ref,
            url=repository.clone_url,
            server_url=self._address.forge_url,
            token=self._token,
        )
        return workspaces.has_ancestor(self._workspace, sha, of=pull.head_sha)

    def _push(
        self, repository: Repository, *, sha: str, branch: str, fast_forward: bool = False
    ) -> None:
        workspaces.push(
            self._workspace,
            workspaces.Refspec(sha, branch, fast_forward=fast_forward),
            url=repository.clone_url,
            server_url=self._address.forge_url,
            token=self._token,
        )

    def _forge(self) -> Forge:
        return Forge(api_url=f"{self._address.forge_url}/api/v3", token=self._token)


class ForgeOrigin:
    """A repository on a forge elsewhere, read with a short-lived token of the App `rex`."""

    def __init__(
        self, settings: ForgeSettings, *, owner: str, repo: str, key: tokens.AppKey
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._repo = repo
        self._key = key

    def find(self, asked: Asked) -> Subject:
        if asked.text is not None:
            raise Refused(
                "--issue must be the number of an issue on the forge where --repo is an address; "
                "open the issue there first"
            )
        with self._forge() as forge:
            repository = forge.repository(self._owner, self._repo)
            if asked.pr:
                pull = _pull(forge, repository, asked.pr)
                return Subject(repository, pull.head_sha, pr=pull.number)
            issue = _issue(forge, repository, asked.issue)
            branch = forge.branch(repository.owner, repository.name, repository.default_branch)
        if branch is None:
            raise Refused(
                f"Repository {self._owner}/{self._repo} has no commit on "
                f"{repository.default_branch}; push a first one"
            )
        return Subject(repository, branch.sha, issue=issue.number)

    def pull_of(self, subject: Subject) -> Pull | None:
        with self._forge() as forge:
            return _pull_of(forge, subject)

    def bring_home(self, branch: str) -> None:
        """The branch is where it belongs."""

    def _forge(self) -> Forge:
        token = tokens.mint(
            api_url=self._settings.api_url,
            app=self._key,
            owner=self._owner,
            repo=self._repo,
            permissions=_READING,
            clock=SystemClock(),
        )
        return Forge(api_url=self._settings.api_url, token=token.value)


def _issue(forge: Forge, repository: Repository, number: int) -> Issue:
    owner, repo = repository.owner, repository.name
    try:
        issue = forge.issue(owner, repo, number)
    except RefusedByForge as error:
        if error.status not in (404, 410):
            raise
        raise Refused(
            f"--issue {number}: {owner}/{repo} has no such issue; "
            "give the number of one that is open there"
        ) from error
    if f"/pull/{issue.number}" in issue.html_url:
        raise Refused(f"--issue {number} is a pull request; give it as `--pr {number}`")
    if issue.state != "open":
        raise Refused(f"--issue {number} is closed; reopen it, or give another one")
    return issue


def _pull(forge: Forge, repository: Repository, number: int) -> Pull:
    owner, repo = repository.owner, repository.name
    try:
        pull = forge.pull(owner, repo, number)
    except RefusedByForge as error:
        if error.status != 404:
            raise
        raise Refused(
            f"--pr {number}: {owner}/{repo} has no such pull request; "
            "give the number of one that is open there"
        ) from error
    if pull.merged or pull.state != "open":
        state = "merged" if pull.merged else "closed"
        raise Refused(f"--pr {number} is {state}; give one that is open")
    return pull


def _pull_of(forge: Forge, subject: Subject) -> Pull | None:
    owner, repo = subject.repository.owner, subject.repository.name
    if subject.pr:
        return forge.pull(owner, repo, subject.pr)
    found = forge.pulls(owner, repo, head_branch=names.run_branch(subject.name))
    return found[0] if found else None


def _issue_for(operator: Operator, repository: Repository, text: IssueText, *, fresh: bool) -> int:
    """The open issue of this text, opened if there is none."""
    for known in () if fresh else operator.issues(repository.owner, repository.name):
        if (known.title, known.body, known.state) == (text.title, text.body, "open"):
            return known.number
    made = operator.open_issue(repository.owner, repository.name, title=text.title, body=text.body)
    return made.number
