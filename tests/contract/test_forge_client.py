"""The client and the double agree: every call of the table, over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.forge import calls, tokens
from pressplay.forge.client import Forge
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.tokens import AppKey

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from tests.contract.conftest import CloneRepo, ServedForge

OWNER = "captain"
BRANCH = "pressplay/issue-1"


def ruleset(*kinds: str) -> dict[str, object]:
    """An active ruleset on the default branch."""
    return {
        "name": "default branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [{"type": kind} for kind in kinds],
    }


@pytest.fixture
def worked_repo(filled_repo: str, clone: CloneRepo) -> str:
    """A repository with one commit on main and one more on BRANCH."""
    checkout = clone(filled_repo)
    checkout.commit({"src/app.py": "print('ho')\n", "new.txt": "1\n"})
    assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok
    return filled_repo


def _open(client: Forge, repo: str) -> int:
    return client.open_pull(OWNER, repo, head=BRANCH, base="main", title="Do it", body="x").number


def test_repository_and_branches_are_read(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as client:
        repository = client.repository(OWNER, worked_repo)
        main = client.branch(OWNER, worked_repo, "main")
        work = client.branch(OWNER, worked_repo, BRANCH)
        absent = client.branch(OWNER, worked_repo, "no/such")

    assert (repository.owner, repository.name) == (OWNER, worked_repo)
    assert repository.clone_url == f"{forge.url}/{OWNER}/{worked_repo}.git"
    assert (repository.default_branch, repository.private) == ("main", False)
    assert main is not None
    assert work is not None
    assert absent is None
    assert main.protected
    assert not work.protected
    assert main.sha != work.sha


def test_rules_of_a_branch_are_known_without_administration(
    forge: ServedForge, worked_repo: str
) -> None:
    forge.operator.add_ruleset(OWNER, worked_repo, ruleset=ruleset("deletion", "pull_request"))
    with forge.client(worked_repo) as client:
        rules = client.branch_rules(OWNER, worked_repo, "main")
        assert rules == ("deletion", "pull_request")
        assert client.branch_rules(OWNER, worked_repo, BRANCH) == ()
        with pytest.raises(RefusedByForge, match="not accessible by integration"):
            client.has_protection(OWNER, worked_repo, "main")


def test_file_is_read_at_a_branch_and_at_a_commit(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as client:
        main = client.branch(OWNER, worked_repo, "main")
        assert main is not None
        assert client.file(OWNER, worked_repo, "src/app.py", ref=main.sha) == b"print('hi')\n"
        assert client.file(OWNER, worked_repo, "src/app.py", ref=BRANCH) == b"print('ho')\n"
        assert client.file(OWNER, worked_repo, "new.txt", ref="main") is None
        assert client.file(OWNER, worked_repo, "new.txt", ref="gone") is None
        with pytest.raises(Refused, match="is a folder"):
            client.file(OWNER, worked_repo, "src", ref="main")


def test_file_is_read_at_a_tag_and_at_a_part_of_a_commits_id(
    forge: ServedForge, worked_repo: str, clone: CloneRepo
) -> None:
    person = clone(worked_repo)
    head = person.git("rev-parse", "HEAD").text().strip()
    assert person.git("tag", "--annotate", "--message", "first", "v1").ok
    assert person.push("refs/tags/v1").ok
    other = person.commit({"src/app.py": "print('other')\n"})
    # A branch goes before a commit with the same name.
    assert person.push(f"{other}:refs/heads/{head[:9]}").ok
    with forge.client(worked_repo) as client:
        assert client.file(OWNER, worked_repo, "src/app.py", ref="v1") == b"print('hi')\n"
        assert client.file(OWNER, worked_repo, "src/app.py", ref=head[:10]) == b"print('hi')\n"
        assert client.file(OWNER, worked_repo, "src/app.py", ref=head[:9]) == b"print('other')\n"
        assert client.file(OWNER, worked_repo, "src/app.py", ref="f" * 40) is None


def test_permission_is_what_the_forge_reports(forge: ServedForge, repo: str) -> None:
    forge.operator.set_permission(OWNER, repo, "maintainer", level="write")
    forge.operator.open_issue(OWNER, repo, title="hi", speaking_for="stranger")

    with forge.client(repo) as client:
        assert client.permission(OWNER, repo, OWNER) == "admin"
        assert client.permission(OWNER, repo, "Maintainer") == "write"
        assert client.permission(OWNER, repo, "stranger") == "read"
        assert client.permission(OWNER, repo, "never-seen") == "none"


def test_stranger_has_no_permission_on_a_private_repository(forge: ServedForge) -> None:
    repo = forge.operator.ensure_repository("secret-plans", private=True).name
    forge.operator.open_issue(OWNER, repo, title="hi", speaking_for="stranger")

    with forge.client(repo) as client:
        assert client.permission(OWNER, repo, "stranger") == "none"


def test_issue_and_its_thread_are_read_and_answered(forge: ServedForge, repo: str) -> None:
    opened = forge.operator.open_issue(
        OWNER, repo, title="Crash <b>", body="when I…", labels=["bug"], speaking_for="stranger"
    )
    said = forge.operator.comment(OWNER, repo, opened.number, body="/rex go", speaking_for="bob")

    with forge.client(repo) as client:
        issue = client.issue(OWNER, repo, opened.number)
        answer = client.add_comment(OWNER, repo, opened.number, body="On it")
        edited = client.edit_comment(OWNER, repo, answer.id, body="Done")
        thread = client.issue_comments(OWNER, repo, opened.number)
        one = client.comment(OWNER, repo, said.id)

    assert (issue.title, issue.body, issue.author) == ("Crash <b>", "when I…", "stranger")
    assert (issue.labels, issue.state) == (("bug",), "open")
    assert [(it.author, it.body) for it in thread] == [("bob", "/rex go"), ("rex[bot]", "Done")]
    assert (edited.id, edited.body) == (answer.id, "Done")
    assert one == said


def test_issue_that_is_not_there_is_refused(forge: ServedForge, repo: str) -> None:
    with forge.client(repo) as client, pytest.raises(RefusedByForge) as caught:
        client.issue(OWNER, repo, 99)
    assert caught.value.status == 404


def test_pull_request_is_opened_found_and_edited(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as client:
        made = client.open_pull(OWNER, worked_repo, head=BRANCH, base="main", title="A", body="B")
        found = client.pulls(OWNER, worked_repo, head_branch=BRANCH)
        other = client.pulls(OWNER, worked_repo, head_branch="main")
        edited = client.edit_pull(OWNER, worked_repo, made.number, title="C", body="D")
        work = client.branch(OWNER, worked_repo, BRANCH)

    assert work is not None
    assert found == (made,)
    assert other == ()
    assert (made.state, made.draft, made.merged, made.auto_merge) == ("open", False, False, False)
    assert (made.head_ref, made.head_sha, made.base_ref) == (BRANCH, work.sha, "main")
    assert (made.head_repo, made.author) == (f"{OWNER}/{worked_repo}", "rex[bot]")
    assert made.html_url == f"{forge.url}/{OWNER}/{worked_repo}/pull/{made.number}"
    assert (edited.title, edited.body, edited.number) == ("C", "D", made.number)


def test_pull_request_and_issue_share_numbers_and_thread(
    forge: ServedForge, worked_repo: str
) -> None:
    opened = forge.operator.open_issue(OWNER, worked_repo, title="first")

    with forge.client(worked_repo) as client:
        number = _open(client, worked_repo)
        assert number == opened.number + 1
        assert client.issue(OWNER, worked_repo, number).title == "Do it"
        client.add_comment(OWNER, worked_repo, number, body="hello")
        assert len(client.issue_comments(OWNER, worked_repo, number)) == 1
        with pytest.raises(RefusedByForge):
            client.pull(OWNER, worked_repo, opened.number)
    assert [it.number for it in forge.operator.issues(OWNER, worked_repo)] == [opened.number]


def test_armed_auto_merge_and_closing_are_seen(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as client:
        number = _open(client, worked_repo)
        forge.operator.set_auto_merge(OWNER, worked_repo, number, enabled=True)
        assert client.pull(OWNER, worked_repo, number).auto_merge
        forge.operator.set_auto_merge(OWNER, worked_repo, number, enabled=False)
        assert not client.pull(OWNER, worked_repo, number).auto_merge
        forge.operator.set_pull_state(OWNER, worked_repo, number, state="closed")
        assert client.pull(OWNER, worked_repo, number).state == "closed"
        assert client.pulls(OWNER, worked_repo) == ()
        assert len(client.pulls(OWNER, worked_repo, state="all")) == 1


def test_second_pull_request_from_one_head_is_refused(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as client:
        _open(client, worked_repo)
        with pytest.raises(RefusedByForge, match=f"already exists for {OWNER}:{BRANCH}") as caught:
            _open(client, worked_repo)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("head", "base", "message"),
    [
        ("main", "main", "No commits between main and main"),
        ("main", BRANCH, "No commits between"),
        ("gone", "main", "head invalid"),
        (BRANCH, "gone", "base invalid"),
        (f"fork:{BRANCH}", "main", "head invalid"),
    ],
)
def test_impossible_pull_request_is_refused_as_github_does(
    forge: ServedForge, worked_repo: str, *, head: str, base: str, message: str
) -> None:
    with forge.client(worked_repo) as client, pytest.raises(RefusedByForge, match=message):
        client.open_pull(OWNER, worked_repo, head=head, base=base, title="t", body="")


def test_another_app_approves_the_head(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as author, forge.client(worked_repo, slug="qa") as approver:
        number = _open(author, worked_repo)
        head = author.pull(OWNER, worked_repo, number).head_sha
        made = approver.add_review(
            OWNER, worked_repo, number, commit=head, event="APPROVE", body="passed"
        )
        assert approver.reviews(OWNER, worked_repo, number) == (made,)

    assert (made.author, made.state, made.commit_id) == ("qa[bot]", "APPROVED", head)


def test_nobody_approves_their_own_pull_request(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as client:
        number = _open(client, worked_repo)
        head = client.pull(OWNER, worked_repo, number).head_sha
        with pytest.raises(RefusedByForge, match="Can not approve your own") as caught:
            client.add_review(OWNER, worked_repo, number, commit=head, event="APPROVE", body="")
        own = client.add_review(
            OWNER, worked_repo, number, commit=head, event="COMMENT", body="why"
        )

    assert caught.value.status == 422
    assert own.state == "COMMENTED"


def test_commit_from_elsewhere_cannot_be_reviewed(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo) as author, forge.client(worked_repo, slug="qa") as approver:
        number = _open(author, worked_repo)
        with pytest.raises(RefusedByForge, match="not part of the pull request"):
            approver.add_review(
                OWNER, worked_repo, number, commit="0" * 40, event="APPROVE", body=""
            )


def test_check_run_is_begun_and_completed_by_its_app(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo, slug="qa") as client:
        head = client.branch(OWNER, worked_repo, BRANCH)
        assert head is not None
        begun = client.add_check_run(
            OWNER, worked_repo, name="pressplay/verdict", sha=head.sha, status="in_progress",
            conclusion="", external_id="run-1", title="Working", summary="",
        )  # fmt: skip
        done = client.edit_check_run(
            OWNER, worked_repo, begun.id, status="completed", conclusion="success",
            title="Passed", summary="all",
        )  # fmt: skip
        listed = client.check_runs(OWNER, worked_repo, head.sha)

    assert (begun.status, begun.conclusion, begun.app) == ("in_progress", "", "qa")
    assert (done.status, done.conclusion, done.external_id) == ("completed", "success", "run-1")
    assert listed == (done,)


def test_newest_check_run_of_a_name_is_listed(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo, slug="qa") as client:
        head = client.branch(OWNER, worked_repo, "main")
        assert head is not None
        made = [
            client.add_check_run(
                OWNER, worked_repo, name="verdict", sha=head.sha, status="completed",
                conclusion=conclusion, external_id="", title="t", summary="s",
            )
            for conclusion in ("failure", "success")
        ]  # fmt: skip
        assert client.check_runs(OWNER, worked_repo, head.sha) == (made[-1],)


def test_check_run_is_changed_by_no_other_app(forge: ServedForge, worked_repo: str) -> None:
    with forge.client(worked_repo, slug="qa") as owner, forge.client(worked_repo) as other:
        head = owner.branch(OWNER, worked_repo, "main")
        assert head is not None
        made = owner.add_check_run(
            OWNER, worked_repo, name="verdict", sha=head.sha, status="completed",
            conclusion="failure", external_id="", title="t", summary="s",
        )  # fmt: skip
        with pytest.raises(RefusedByForge, match="only be modified by the GitHub App"):
            other.edit_check_run(
                OWNER, worked_repo, made.id, status="completed", conclusion="success",
                title="t", summary="s",
            )  # fmt: skip


def test_long_thread_comes_in_pages(forge: ServedForge, repo: str) -> None:
    number = forge.operator.open_issue(OWNER, repo, title="long").number
    for index in range(103):
        forge.operator.comment(OWNER, repo, number, body=str(index))

    with forge.client(repo) as client:
        thread = client.issue_comments(OWNER, repo, number)
    assert [it.body for it in thread] == [str(index) for index in range(103)]


CALLS_AND_NEEDS = [
    ("branch", {"branch": "main"}, None, "contents:read"),
    ("file", {"path": "README.md"}, None, "contents:read"),
    ("issue", {"number": 1}, None, "issues:read"),
    ("issue_comments", {"number": 1}, None, "issues:read"),
    ("comment", {"id": 1}, None, "issues:read"),
    ("add_comment", {"number": 1}, {"body": "b"}, "issues:write"),
    ("edit_comment", {"id": 1}, {"body": "b"}, "issues:write"),
    ("pulls", {}, None, "pull_requests:read"),
    ("pull", {"number": 1}, None, "pull_requests:read"),
    ("open_pull", {}, {"head": "h", "base": "b", "title": "t"}, "pull_requests:write"),
    ("edit_pull", {"number": 1}, {"title": "t"}, "pull_requests:write"),
    ("reviews", {"number": 1}, None, "pull_requests:read"),
    (
        "add_review",
        {"number": 1},
        {"commit_id": "c", "event": "APPROVE"},
        "pull_requests:write",
    ),
    ("check_runs", {"sha": "0" * 40}, None, "checks:read"),
    (
        "add_check_run",
        {},
        {"name": "n", "head_sha": "s", "status": "queued"},
        "checks:write",
    ),
    ("edit_check_run", {"id": 1}, {"status": "queued"}, "checks:write"),
]


def test_every_call_with_a_token_is_in_the_list_of_needs() -> None:
    own = {"installation", "access_token"}
    free = {"repository", "branch_rules", "ruleset", "permission"}
    unmet = {"branch_protection"}  # needs administration, which no token of ours may carry
    listed = {name for name, _, _, _ in CALLS_AND_NEEDS}

    assert listed | own | free | unmet == {call.name for call in calls.CALLS}


@pytest.mark.parametrize("case", CALLS_AND_NEEDS, ids=lambda case: case[0])
def test_token_without_the_permission_is_refused(
    forge: ServedForge, repo: str, case: tuple[str, dict[str, object], dict[str, object], str]
) -> None:
    name, parameters, body, need = case
    permission, level = need.split(":")
    # Everything else, and of this one only as much as is not enough.
    wanted = {"contents": "write", "pull_requests": "write", "issues": "write", "checks": "write"}
    if permission == "issues":
        del wanted["pull_requests"]  # either opens a thread
    del wanted[permission]
    if level == "write":
        wanted[permission] = "read"

    with forge.client(repo, **wanted) as client, pytest.raises(RefusedByForge) as caught:
        client._session.ask(name, {"owner": OWNER, "repo": repo, **parameters}, body=body)
    assert caught.value.status == 403
    assert "Resource not accessible by integration" in str(caught.value)


def test_token_opens_no_other_repository(forge: ServedForge, repo: str) -> None:
    other = forge.operator.ensure_repository(f"{repo}-neighbour").name

    with forge.client(repo) as client, pytest.raises(RefusedByForge) as caught:
        client.repository(OWNER, other)
    assert caught.value.status == 404


def test_token_ends_after_an_hour(forge: ServedForge, repo: str) -> None:
    with forge.client(repo) as client:
        assert client.repository(OWNER, repo).name == repo
        forge.clock.ahead = timedelta(hours=1)
        with pytest.raises(RefusedByForge, match="Bad credentials"):
            client.repository(OWNER, repo)


def test_permission_that_the_app_lacks_is_refused_with_advice(
    forge: ServedForge, repo: str
) -> None:
    with pytest.raises(Refused, match="lacks a permission"):
        forge.token(repo, actions="read")


def test_repository_without_an_installation_is_refused_with_advice(forge: ServedForge) -> None:
    key = forge.app("rex")

    with pytest.raises(Refused, match=f"Install App {key.app_id} on {OWNER}/no-such"):
        forge.token("no-such")


def test_wrong_key_is_refused_with_advice(forge: ServedForge, repo: str) -> None:
    stranger = forge.app("stranger-app", {"contents": "read"})
    rex = forge.app("rex")

    with pytest.raises(Refused, match="private-key belongs to App"):
        tokens.mint(
            api_url=forge.api_url,
            app=AppKey(app_id=rex.app_id, private_key=stranger.private_key),
            owner=OWNER,
            repo=repo,
            permissions={"contents": "read"},
            clock=forge.clock,
        )


def test_replaced_key_is_worth_nothing(forge: ServedForge, repo: str) -> None:
    before = forge.app("short-lived", {"contents": "read"})
    after = forge.operator.rotate_key("short-lived")

    def mint(key: AppKey) -> tokens.Token:
        return tokens.mint(
            api_url=forge.api_url, app=key, owner=OWNER, repo=repo,
            permissions={"contents": "read"}, clock=forge.clock,
        )  # fmt: skip

    with pytest.raises(Refused):
        mint(before)
    assert mint(AppKey(app_id=str(after.id), private_key=Secret(after.private_key))).value


def test_forge_that_is_down_is_unavailable() -> None:
    client = Forge(api_url="http://127.0.0.1:9/api/v3", token=Secret("x"))
    with client, pytest.raises(Unavailable, match="does not answer"):
        client.add_comment(OWNER, "r", 1, body="b")
