"""Who may start a run."""

from dataclasses import replace

import pytest

from pressplay.api.events import Event
from pressplay.api.forge import Comment, Issue, Pull
from pressplay.stages.admission.trust import Trust

HEAD = "0123456789abcdef0123456789abcdef01234567"
STARTED = "2026-01-02T03:04:05Z"


class People:
    """Who may do what, and one thread."""

    def __init__(self, *thread: Comment) -> None:
        self.thread = thread
        self.asked: list[str] = []

    def permission(self, owner: str, repo: str, login: str) -> str:
        assert (owner, repo) == ("acme", "todo")
        self.asked.append(login)
        return {"ada": "admin", "wim": "write", "mia": "maintain", "tri": "read"}.get(login, "none")

    def issue_comments(self, owner: str, repo: str, number: int) -> tuple[Comment, ...]:
        assert (owner, repo, number) == ("acme", "todo", 12)
        return self.thread


def trust(*thread: Comment) -> Trust:
    return Trust(People(*thread), owner="acme", repo="todo")


def comment(author: str, body: str = "", *, edited: str = STARTED) -> Comment:
    return Comment(id=5, author=author, body=body, created_at=STARTED, updated_at=edited)


def issue(author: str) -> Issue:
    return Issue(
        number=7, title="t", body="b", author=author, labels=(), state="open", html_url="u"
    )


PULL = Pull(
    number=12,
    title="t",
    body="b",
    author="wim",
    state="open",
    draft=False,
    merged=False,
    auto_merge=False,
    head_ref="feature/x",
    head_sha=HEAD,
    head_repo="acme/todo",
    base_ref="main",
    base_sha="b" * 40,
    html_url="u",
)


@pytest.mark.parametrize("login", ["ada", "wim", "mia"])
def test_write_permission_is_trust(login: str) -> None:
    assert trust().of_issue(issue(login), Event()) == ""


@pytest.mark.parametrize("login", ["tri", "stranger", "ghost"])
def test_everybody_else_is_told_who_can_help(login: str) -> None:
    reason = trust().of_issue(issue(login), Event())
    assert f"{login} has no write permission on acme/todo" in reason
    assert "`pressplay`" in reason


@pytest.mark.parametrize("login", ["", "a/b", "../x", "x" * 200, "a b"])
def test_what_is_no_login_is_not_even_asked_about(login: str) -> None:
    people = People()
    assert not Trust(people, owner="acme", repo="todo").is_trusted(login)
    assert people.asked == []


def labelled(sender: str, label: str = "pressplay", action: str = "labeled") -> Event:
    return Event(action=action, label=label, sender=sender)


def test_a_trusted_persons_label_makes_a_strangers_issue_trusted() -> None:
    assert trust().of_issue(issue("stranger"), labelled("wim")) == ""


@pytest.mark.parametrize(
    "event",
    [
        labelled("tri"),
        labelled("stranger"),
        labelled("wim", label="bug"),
        labelled("wim", action="opened"),
        labelled("rex[bot]"),
    ],
)
def test_no_other_label_does(event: Event) -> None:
    assert trust().of_issue(issue("stranger"), event) != ""


def test_a_trusted_persons_comment_starts_a_run() -> None:
    assert trust().of_comment(comment("wim"), started=STARTED) == ""


def test_a_strangers_comment_starts_nothing() -> None:
    assert "no write permission" in trust().of_comment(comment("stranger"), started=STARTED)


def test_a_bots_comment_starts_nothing_whatever_the_bot_may_do() -> None:
    assert "starts nothing" in trust().of_comment(comment("rex[bot]"), started=STARTED)


def test_a_comment_edited_after_the_start_is_refused() -> None:
    later = comment("wim", edited="2026-01-02T03:04:06Z")
    assert "was edited after" in trust().of_comment(later, started=STARTED)


def test_a_comment_edited_before_the_start_is_fine() -> None:
    earlier = replace(comment("wim"), created_at="2026-01-02T03:04:00Z")
    assert trust().of_comment(earlier, started=STARTED) == ""


@pytest.mark.parametrize("author", ["wim", "rex[bot]"])
def test_a_pull_request_from_here_by_somebody_trusted_may_run(author: str) -> None:
    assert trust().of_pull(replace(PULL, author=author)) == ""


def test_a_strangers_pull_request_from_here_waits() -> None:
    reason = trust().of_pull(replace(PULL, author="stranger"))
    assert "stranger has no write permission" in reason
    assert f"`/ok-to-test {HEAD[:10]}`" in reason


@pytest.mark.parametrize("head_repo", ["stranger/todo", ""])
@pytest.mark.parametrize("author", ["wim", "stranger", "rex[bot]"])
def test_every_fork_waits_whoever_opened_it(head_repo: str, author: str) -> None:
    reason = trust().of_pull(replace(PULL, head_repo=head_repo, author=author))
    assert "its head is in a fork" in reason


FORK = replace(PULL, head_repo="stranger/todo", author="stranger")


@pytest.mark.parametrize(
    "body",
    [
        f"/ok-to-test {HEAD[:10]}",
        f"/ok-to-test {HEAD}",
        f"/ok-to-test  {HEAD[:12].upper()} \r\nLooks harmless.",
    ],
)
def test_a_trusted_person_who_names_the_head_lets_it_run(body: str) -> None:
    assert trust(comment("wim", body)).of_pull(FORK) == ""


@pytest.mark.parametrize(
    ("author", "body"),
    [
        ("wim", "/ok-to-test"),
        ("wim", "/ok-to-test ffffffffff"),
        ("wim", f"/ok-to-test {HEAD[:9]}"),
        ("wim", f"please /ok-to-test {HEAD}"),
        ("wim", f"Hello\n/ok-to-test {HEAD}"),
        ("stranger", f"/ok-to-test {HEAD}"),
        ("rex[bot]", f"/ok-to-test {HEAD}"),
    ],
)
def test_nothing_less_does(author: str, body: str) -> None:
    assert trust(comment(author, body)).of_pull(FORK) != ""
