"""What the local forge tells webhooks, against GitHub's own description of its events.

Installs @octokit/openapi into the tests' cache, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressplay.forge.local.operator_hooks import OperatorHooks

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from tests.contract.conftest import CloneRepo, Receiver, ServedForge
    from tests.contract.github.conftest import Description

OWNER = "captain"
TOLD = {
    "check_run/completed", "check_run/created", "issue_comment/created", "issue_comment/edited",
    "issues/closed", "issues/edited", "issues/labeled", "issues/opened", "issues/reopened", "ping",
    "pull_request/auto_merge_disabled", "pull_request/auto_merge_enabled", "pull_request/closed",
    "pull_request/converted_to_draft", "pull_request/edited", "pull_request/labeled",
    "pull_request/opened", "pull_request/ready_for_review", "pull_request/reopened",
    "pull_request/synchronize", "pull_request_review/submitted",
    "pull_request_review_comment/created", "push",
}  # fmt: skip


def test_every_event_is_told_as_the_installed_description_says(
    description: Description,
    forge: ServedForge,
    filled_repo: str,
    receiver: Receiver,
    clone: CloneRepo,
) -> None:
    hooks = OperatorHooks(forge.operator)
    hooks.add_hook(OWNER, filled_repo, url=receiver.url, secret="", events=["*"])
    forge.app("told")
    hooks.set_app_hook("told", url=receiver.url, secret="", events=["*"])
    _issues(forge, filled_repo)
    _pulls(forge, filled_repo, clone)

    # Closed twice, and told to the repository's hook and to the App's: the last of all.
    got = receiver.wait_for(4, label="pull_request/closed")
    assert {it.label for it in got} == TOLD
    complaints = [
        f"{it.label}: {complaint}\n"
        for it in got
        for complaint in description.problems(
            description.webhook(*it.label.split("/")), it.document
        )
    ]
    assert "".join(complaints) == ""


def _issues(forge: ServedForge, repo: str) -> None:
    operator = forge.operator
    number = operator.open_issue(OWNER, repo, title="t", labels=["bug"]).number
    path = f"api/v3/repos/{OWNER}/{repo}/issues/{number}"
    for body in ({"title": "u"}, {"state": "closed"}, {"state": "open"}):
        operator.ask("PATCH", path, body=body)
    said = operator.comment(OWNER, repo, number, body="hi", speaking_for="bob")
    with forge.client(repo) as client:
        client.edit_comment(OWNER, repo, said.id, body="ho")


def _pulls(forge: ServedForge, repo: str, clone: CloneRepo) -> None:
    operator, checkout = forge.operator, clone(repo)
    checkout.commit({"a": "1"})
    assert checkout.push("HEAD:refs/heads/work").ok
    with forge.client(repo) as rex, forge.client(repo, slug="qa") as qa:
        number = rex.open_pull(OWNER, repo, head="work", base="main", title="t", body="").number
        head = checkout.commit({"a": "2"})
        assert checkout.push("HEAD:refs/heads/work").ok
        rex.edit_pull(OWNER, repo, number, title="u", body="v")
        check = qa.add_check_run(
            OWNER, repo, name="v", sha=head, status="in_progress", conclusion="",
            external_id="", title="t", summary="s",
        )  # fmt: skip
        qa.edit_check_run(
            OWNER, repo, check.id, status="completed", conclusion="success", title="t", summary="s"
        )
        qa.add_review(OWNER, repo, number, commit=head, event="APPROVE", body="fine")
    operator.label(OWNER, repo, number, labels=["pressplay"])
    for state in (True, False):
        operator.set_draft(OWNER, repo, number, draft=state)
        operator.set_auto_merge(OWNER, repo, number, enabled=state)
    for change in ("closed", "open"):
        operator.set_pull_state(OWNER, repo, number, state=change)
    line = {"body": "why?", "path": "a", "line": 1, "side": "RIGHT", "commit_id": head}
    operator.ask("POST", f"api/v3/repos/{OWNER}/{repo}/pulls/{number}/comments", body=line)
    operator.merge(OWNER, repo, number)
