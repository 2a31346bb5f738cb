"""The operator's side, the pages for people, and what a restart keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.local.app import build
from pressplay.forge.local.operator import Operator

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from pathlib import Path

    from tests.contract.conftest import Checkout, CloneRepo, ServedForge, ServeForge

OWNER = "captain"


def test_repository_is_made_once(forge: ServedForge) -> None:
    made = forge.operator.ensure_repository("twice")

    assert forge.operator.ensure_repository("Twice") == made
    assert [it.name for it in forge.operator.repositories()].count("twice") == 1


def test_repository_may_belong_to_somebody_else_with_another_default_branch(
    forge: ServedForge,
) -> None:
    made = forge.operator.ensure_repository("theirs", owner="bob", default_branch="dev/trunk")

    assert (made.owner, made.default_branch) == ("bob", "dev/trunk")


@pytest.mark.parametrize("name", ["..", "a/b", "a b", "x.git", ""])
def test_impossible_repository_name_is_refused(forge: ServedForge, name: str) -> None:
    with pytest.raises(RefusedByForge) as caught:
        forge.operator.ensure_repository(name)
    assert caught.value.status == 422


def test_app_reaches_repositories_that_come_after_it(forge: ServedForge) -> None:
    forge.app("rex")
    later = forge.operator.ensure_repository("came-later")

    assert forge.token(later.name)


def test_known_app_gets_a_new_key_and_the_permissions_given(forge: ServedForge) -> None:
    first = forge.operator.ensure_app("changing", {"contents": "read"})
    second = forge.operator.ensure_app("changing", {"contents": "write"})

    assert first.id == second.id
    assert first.private_key != second.private_key
    assert second.private_key not in repr(second)


def test_edited_comment_shows_a_later_time(forge: ServedForge, repo: str) -> None:
    number = forge.operator.open_issue(OWNER, repo, title="t").number
    said = forge.operator.comment(OWNER, repo, number, body="/rex a", speaking_for="bob")

    with forge.client(repo) as client:
        # A token lives for an hour: the clock may move by less.
        forge.clock.ahead = timedelta(minutes=1)
        edited = client.edit_comment(OWNER, repo, said.id, body="/rex b")
    assert edited.created_at == said.created_at
    assert edited.updated_at > said.updated_at


def test_person_opens_a_draft(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    checkout = clone(filled_repo)
    checkout.commit({"a": "1"})
    assert checkout.push("HEAD:refs/heads/work").ok

    made = forge.operator.open_pull(
        OWNER, filled_repo, head="work", base="main", title="t", draft=True, speaking_for="bob"
    )

    assert (made.author, made.draft) == ("bob", True)
    assert forge.operator.pulls(OWNER, filled_repo, head_branch="work") == (made,)


@pytest.mark.parametrize(
    "path",
    [
        "contents/README.md?ref=%00",
        "contents/a%00b",
        "branches/%00",
        "commits/%00/check-runs",
        "issues/99999999999999999999999",
        "issues/x",
        "contents/README.md?ref=--output=x",
    ],
)
def test_address_that_cannot_be_is_not_found(
    forge: ServedForge, filled_repo: str, path: str
) -> None:
    headers = {"Authorization": f"Bearer {forge.token(filled_repo).reveal()}"}
    url = f"{forge.api_url}/repos/{OWNER}/{filled_repo}/{path}"

    assert forge.http.get(url, headers=headers).status_code == 404
    assert forge.http.get(f"/{OWNER}/{filled_repo}/pull/{10**30}").status_code == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"title": "\\ud800"}', 400),
        (b'{"title": 7}', 422),
        (b"{}", 422),
        (b'{"title": "t", "body": "' + b"x" * 65_537 + b'"}', 422),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_body_that_cannot_be_is_refused(
    forge: ServedForge, repo: str, *, content: bytes, status: int
) -> None:
    headers = {"Authorization": f"Bearer {forge.token(repo).reveal()}"}
    url = f"{forge.api_url}/repos/{OWNER}/{repo}/issues"

    answer = forge.http.post(url, headers=headers, content=content)

    assert answer.status_code == status
    assert answer.json()["documentation_url"].startswith("https://docs.github.com/")


def test_label_is_put_on_once(forge: ServedForge, repo: str) -> None:
    number = forge.operator.open_issue(OWNER, repo, title="t", labels=["bug"]).number
    for _ in range(2):
        forge.operator.label(OWNER, repo, number, labels=["pressplay", "bug"])

    assert forge.operator.issues(OWNER, repo)[0].labels == ("bug", "pressplay")


def test_forge_that_is_down_is_unavailable_to_the_operator() -> None:
    with (
        Operator("http://127.0.0.1:9", "x") as operator,
        pytest.raises(Unavailable, match="is it running"),
    ):
        operator.alarms()


def test_every_answer_says_that_this_is_no_github(forge: ServedForge) -> None:
    front = forge.http.get(forge.url)
    missing = forge.http.get(f"{forge.api_url}/nothing")

    assert "double of GitHub" in front.text
    for answer in (front, missing):
        assert "double of GitHub" in answer.headers["x-pressplay-double"]
    assert missing.status_code == 404
    assert missing.json()["message"] == "Not Found"


def _reviewed_pull(forge: ServedForge, checkout: Checkout, repo: str) -> int:
    checkout.commit({"a<b>.txt": "1\n", "blob": "\0\1"})
    assert checkout.push("HEAD:refs/heads/work").ok
    with forge.client(repo) as author, forge.client(repo, slug="qa") as approver:
        pull = author.open_pull(
            OWNER, repo, head="work", base="main", title="<script>t</script>", body="<b>&"
        )
        approver.add_review(
            OWNER, repo, pull.number, commit=pull.head_sha, event="APPROVE", body="<i>fine</i>"
        )
        approver.add_check_run(
            OWNER, repo, name="pressplay/verdict", sha=pull.head_sha, status="completed",
            conclusion="success", external_id="run", title="<u>Passed</u>", summary="<s>",
        )  # fmt: skip
        author.add_comment(OWNER, repo, pull.number, body="<img src=x>")
    return pull.number


def test_page_of_a_pull_request_shows_everything_and_trusts_nothing(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    number = _reviewed_pull(forge, clone(filled_repo), filled_repo)
    page = forge.http.get(f"{forge.url}/{OWNER}/{filled_repo}/pull/{number}")

    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for shown in (
        "&lt;script&gt;t&lt;/script&gt;", "&lt;b&gt;&amp;", "&lt;i&gt;fine&lt;/i&gt;", "APPROVED",
        "&lt;u&gt;Passed&lt;/u&gt;", "&lt;img src=x&gt;", "a&lt;b&gt;.txt", "+1 -0", "binary",
        "work → main", "1 commits",
    ):  # fmt: skip
        assert shown in page.text, shown
    for trusted in ("<script>t", "<img", "<i>", "<u>", "a<b>"):
        assert trusted not in page.text


def test_every_html_url_is_a_page(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    number = _reviewed_pull(forge, clone(filled_repo), filled_repo)
    headers = {"Authorization": f"Bearer {forge.token(filled_repo).reveal()}"}
    base = f"{forge.api_url}/repos/{OWNER}/{filled_repo}"
    issue = forge.operator.open_issue(OWNER, filled_repo, title="t").number
    head = forge.operator.pull(OWNER, filled_repo, number).head_sha

    for path in (
        "", f"/issues/{issue}", f"/issues/{number}", f"/pulls/{number}",
        f"/pulls/{number}/reviews", f"/issues/{number}/comments", f"/commits/{head}/check-runs",
    ):  # fmt: skip
        document = forge.http.get(base + path, headers=headers).json()
        listed = document.get("check_runs", document) if isinstance(document, dict) else document
        first = listed[0] if isinstance(listed, list) else listed
        page = forge.http.get(first["html_url"])
        assert page.status_code == 200, first["html_url"]
        assert page.headers["content-type"].startswith("text/html")


def test_page_of_a_private_repository_is_for_the_operator(forge: ServedForge) -> None:
    repo = forge.operator.ensure_repository("hidden", private=True).name
    url = f"{forge.url}/{OWNER}/{repo}"

    assert forge.http.get(url).status_code == 401
    app = {"Authorization": f"Bearer {forge.token(repo).reveal()}"}
    assert forge.http.get(url, headers=app).status_code == 404
    assert repo not in forge.http.get(forge.url, headers={"Accept": "text/html"}).text


def test_state_survives_a_restart(serve_forge: ServeForge, tmp_path: Path) -> None:
    with serve_forge(tmp_path / "forge") as first:
        first.operator.ensure_repository("app")
        first.operator.open_issue(OWNER, "app", title="keep me", speaking_for="bob")
        first.operator.set_permission(OWNER, "app", "bob", level="write")
        token, key = first.token("app"), first.app("rex")
        first.http.post(f"{first.url}/graphql")
        alarms = first.operator.alarms()

    with serve_forge(tmp_path / "forge") as second:
        second.keys["rex"] = key
        with second.client("app") as client:
            assert client.issue(OWNER, "app", 1).title == "keep me"
            assert client.permission(OWNER, "app", "bob") == "write"
            assert client.repository(OWNER, "app").clone_url.startswith(second.url)
        old = second.http.get(
            f"{second.api_url}/repos/{OWNER}/app",
            headers={"Authorization": f"Bearer {token.reveal()}"},
        )
        assert old.status_code == 200
        assert second.operator.alarms() == alarms
        assert len(alarms) == 1
        assert second.operator.open_issue(OWNER, "app", title="next").number == 2


def test_repository_whose_folder_a_crash_prevented_is_repaired(
    serve_forge: ServeForge, tmp_path: Path
) -> None:
    with serve_forge(tmp_path) as first:
        made = first.operator.ensure_repository("app")
    folder = tmp_path / "repositories" / f"{made.id}.git"
    folder.rename(tmp_path / "gone")

    with serve_forge(tmp_path) as second, second.client("app") as client:
        assert client.branch(OWNER, "app", "main") is None
        assert (folder / "HEAD").read_text() == "ref: refs/heads/main\n"


def _build(directory: Path, *, token: str = "x" * 20, search_path: str = "/usr/bin:/bin") -> None:
    build(
        directory=directory,
        operator_login=OWNER,
        operator_token=token,
        clock=SystemClock(),
        base_url=lambda: "http://127.0.0.1",
        search_path=search_path,
    )


def test_guessable_operator_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="at least 20 characters"):
        _build(tmp_path, token="admin")


def test_missing_git_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="git is not on PATH"):
        _build(tmp_path, search_path=str(tmp_path))
