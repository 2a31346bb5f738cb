"""Webhooks of the local forge: what is told, to whom, in which order, and what is not repeated."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest

from pressplay.forge import tokens
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.local.operator_hooks import OperatorHooks

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from pathlib import Path

    from tests.contract.conftest import CloneRepo, Receiver, ServedForge, ServeForge

OWNER = "captain"
SECRET = "a secret that only the two ends know"


@pytest.fixture
def hooks(forge: ServedForge) -> OperatorHooks:
    return OperatorHooks(forge.operator)


def _listen(hooks: OperatorHooks, repo: str, receiver: Receiver, *events: str) -> int:
    """A hook whose ping has arrived."""
    made = hooks.add_hook(OWNER, repo, url=receiver.url, secret=SECRET, events=events or ("*",))
    receiver.wait_for(1)
    return made


def test_new_hook_gets_a_ping_and_then_what_happens_in_order(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    _listen(hooks, repo, receiver)
    number = forge.operator.open_issue(OWNER, repo, title="t", labels=["a", "b"]).number
    for index in range(5):
        forge.operator.comment(OWNER, repo, number, body=str(index), speaking_for="bob")

    got = receiver.wait_for(9)

    assert [it.label for it in got] == [
        "ping", "issues/opened", "issues/labeled", "issues/labeled", *["issue_comment/created"] * 5
    ]  # fmt: skip
    assert [it.document["comment"]["body"] for it in got[4:]] == list("01234")
    assert got[4].document["sender"]["login"] == "bob"
    assert got[3].document["label"]["name"] == "b"


def test_delivery_has_githubs_headers_and_a_signature_over_the_body(
    hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    number = _listen(hooks, repo, receiver)
    ping = receiver.got[0]

    digest = hmac.new(SECRET.encode(), ping.body, hashlib.sha256).hexdigest()
    assert ping.headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert ping.headers["X-Hub-Signature"].startswith("sha1=")
    assert ping.headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert ping.headers["Content-Type"] == "application/json"
    assert ping.headers["X-GitHub-Hook-ID"] == str(number)
    assert ping.headers["X-GitHub-Hook-Installation-Target-Type"] == "repository"
    assert len(ping.headers["X-GitHub-Delivery"]) == 36


def test_hook_without_a_secret_signs_nothing(
    hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    hooks.add_hook(OWNER, repo, url=receiver.url, secret="", events=["push"])

    assert "X-Hub-Signature-256" not in receiver.wait_for(1)[0].headers


def test_only_the_events_that_were_asked_for_are_told(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    _listen(hooks, repo, receiver, "issue_comment")
    number = forge.operator.open_issue(OWNER, repo, title="t").number
    forge.operator.comment(OWNER, repo, number, body="b")

    assert [it.label for it in receiver.wait_for(2)] == ["ping", "issue_comment/created"]


def test_nothing_is_written_down_where_nobody_listens(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    forge.operator.open_issue(OWNER, repo, title="before")
    number = _listen(hooks, repo, receiver)
    hooks.drop_hook(OWNER, repo, number)
    forge.operator.open_issue(OWNER, repo, title="after")

    again = _listen(hooks, repo, receiver)
    assert [it.event for it in hooks.deliveries(OWNER, repo, again)] == ["ping"]


def test_life_of_a_pull_request_is_told(
    forge: ServedForge,
    hooks: OperatorHooks,
    filled_repo: str,
    receiver: Receiver,
    clone: CloneRepo,
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    _listen(hooks, filled_repo, receiver)
    first = checkout.commit({"a": "1"})
    assert checkout.push("HEAD:refs/heads/work").ok
    with forge.client(filled_repo) as rex, forge.client(filled_repo, slug="qa") as qa:
        number = rex.open_pull(
            OWNER, filled_repo, head="work", base="main", title="t", body="b"
        ).number
        second = checkout.commit({"a": "2", "b": "1"})
        assert checkout.push("HEAD:refs/heads/work").ok
        qa.add_check_run(
            OWNER, filled_repo, name="v", sha=second, status="completed", conclusion="success",
            external_id="run", title="t", summary="s",
        )  # fmt: skip
        qa.add_review(OWNER, filled_repo, number, commit=second, event="APPROVE", body="")
    forge.operator.merge(OWNER, filled_repo, number, sha=second)

    got = receiver.wait_for(10)

    assert [it.label for it in got] == [
        "ping", "push", "pull_request/opened", "push", "pull_request/synchronize",
        "check_run/created", "check_run/completed", "pull_request_review/submitted", "push",
        "pull_request/closed",
    ]  # fmt: skip
    made, moved, closed = got[1].document, got[4].document, got[9].document
    assert (made["ref"], made["created"], made["after"]) == ("refs/heads/work", True, first)
    assert made["pusher"]["name"] == "rex[bot]"
    assert got[3].document["commits"][0]["modified"] == ["a"]
    assert got[3].document["commits"][0]["added"] == ["b"]
    assert (moved["before"], moved["after"]) == (first, second)
    assert closed["pull_request"]["merged"] is True
    assert closed["pull_request"]["merged_by"]["login"] == OWNER
    assert closed["sender"]["login"] == OWNER


def test_forced_push_and_deleted_branch_are_told_as_such(
    forge: ServedForge,
    hooks: OperatorHooks,
    filled_repo: str,
    receiver: Receiver,
    clone: CloneRepo,
) -> None:
    person = clone(filled_repo)
    person.commit({"a": "1"})
    assert person.push("HEAD:refs/heads/work").ok
    _listen(hooks, filled_repo, receiver)
    assert person.git("reset", "--quiet", "--hard", "HEAD~1").ok
    person.commit({"a": "other"})
    assert person.push("HEAD:refs/heads/work", "--force").ok
    assert person.push(":refs/heads/work").ok

    forced, gone = (it.document for it in receiver.wait_for(3)[1:])

    assert (forced["forced"], forced["created"], forced["deleted"]) == (True, False, False)
    assert (gone["deleted"], gone["after"], gone["head_commit"]) == (True, "0" * 40, None)


def test_app_is_told_of_every_repository_with_its_installation(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    forge.app("listener")
    hooks.set_app_hook("listener", url=receiver.url, secret=SECRET, events=["issues"])
    forge.operator.open_issue(OWNER, repo, title="t")

    ping, issue = receiver.wait_for(2)

    assert ping.document["hook"]["type"] == "App"
    assert issue.headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert issue.headers["X-GitHub-Hook-Installation-Target-ID"] == forge.app("listener").app_id
    assert issue.document["installation"]["id"] > 0


def test_app_sees_its_deliveries_and_asks_for_one_again(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    key = forge.app("asker")
    hooks.set_app_hook("asker", url=receiver.url, secret=SECRET, events=["issues"])
    forge.operator.open_issue(OWNER, repo, title="t")
    receiver.wait_for(2)
    proof = tokens.app_jwt(key.app_id, key.private_key, forge.clock.now()).reveal()
    headers = {"Authorization": f"Bearer {proof}"}
    url = f"{forge.api_url}/app/hook/deliveries"

    newest = forge.http.get(f"{url}?per_page=1", headers=headers)
    older = forge.http.get(newest.links["next"]["url"], headers=headers).json()
    one = newest.json()[0]
    assert forge.http.post(f"{url}/{one['id']}/attempts", headers=headers).status_code == 202

    again = receiver.wait_for(3)[2]
    assert [it["event"] for it in older] == ["ping"]
    assert again.headers["X-GitHub-Delivery"] == one["guid"]
    assert again.body == receiver.got[1].body
    seen = forge.http.get(f"{url}?per_page=1", headers=headers).json()[0]
    assert (seen["guid"], seen["redelivery"]) == (one["guid"], True)


@pytest.mark.parametrize("status", [500, 404, 302])
def test_failed_delivery_is_recorded_and_not_repeated(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    number = _listen(hooks, repo, receiver)
    forge.operator.open_issue(OWNER, repo, title="t")
    receiver.wait_for(2)
    _settle(hooks, repo, number)

    issue, ping = hooks.deliveries(OWNER, repo, number)

    assert (ping.event, issue.event, issue.action) == ("ping", "issues", "opened")
    assert (issue.status, issue.status_code) == (f"Invalid HTTP Response: {status}", status)
    assert len(receiver.got) == 2


def test_receiver_that_is_not_there_is_recorded(
    forge: ServedForge, hooks: OperatorHooks, repo: str
) -> None:
    number = hooks.add_hook(OWNER, repo, url="http://127.0.0.1:9/", secret="", events=["*"])
    _settle(hooks, repo, number)

    (ping,) = hooks.deliveries(OWNER, repo, number)
    assert ping.status.startswith("failed to connect to host")
    assert ping.status_code == 0


def _settle(hooks: OperatorHooks, repo: str, number: int) -> None:
    for _ in range(200):
        if all(it.status != "pending" for it in hooks.deliveries(OWNER, repo, number)):
            return
    raise AssertionError("a delivery stayed on its way")


def test_slow_receiver_delays_nobody_else(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    receiver.gate.clear()
    slow = hooks.add_hook(OWNER, repo, url=f"{receiver.url}/slow", secret="", events=["*"])
    receiver.wait_for(1)
    other = hooks.add_hook(OWNER, repo, url="http://127.0.0.1:9/", secret="", events=["*"])

    _settle(hooks, repo, other)

    assert hooks.deliveries(OWNER, repo, slow)[0].status == "pending"
    receiver.gate.set()
    _settle(hooks, repo, slow)
    assert hooks.deliveries(OWNER, repo, slow)[0].status == "OK"


def test_delivery_that_a_stop_interrupts_has_failed_and_one_that_waited_is_sent(
    serve_forge: ServeForge, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.gate.clear()
    with serve_forge(tmp_path) as first:
        first.operator.ensure_repository("app")
        hook = OperatorHooks(first.operator).add_hook(
            OWNER, "app", url=receiver.url, secret=SECRET, events=["*"]
        )
        receiver.wait_for(1)
        first.operator.open_issue(OWNER, "app", title="t")
    receiver.gate.set()

    with serve_forge(tmp_path) as second:
        assert [it.label for it in receiver.wait_for(2)] == ["ping", "issues/opened"]
        hooks = OperatorHooks(second.operator)
        _settle(hooks, "app", hook)
        issue, ping = hooks.deliveries(OWNER, "app", hook)
    assert ping.status.startswith("interrupted")
    assert issue.status == "OK"


def test_push_that_a_crash_kept_from_being_told_is_told_after_the_start(
    serve_forge: ServeForge, tmp_path: Path, receiver: Receiver, clone: CloneRepo
) -> None:
    with serve_forge(tmp_path) as first:
        made = first.operator.ensure_repository("app")
        OperatorHooks(first.operator).add_hook(
            OWNER, "app", url=receiver.url, secret=SECRET, events=["push"]
        )
        checkout = clone("app", url=first.url)
        sha = checkout.commit({"a": "1"})
        assert checkout.push("HEAD:refs/heads/main").ok
        receiver.wait_for(2)
        checkout.commit({"a": "2"})
        bare = tmp_path / "repositories" / f"{made.id}.git"
        # As a crash between git's answer and its record would leave it.
        assert checkout.git("push", "--quiet", str(bare), "HEAD:refs/heads/late").ok

    with serve_forge(tmp_path):
        late = receiver.wait_for(3)[2].document
    assert (late["ref"], late["created"]) == ("refs/heads/late", True)
    assert [it["id"] for it in late["commits"]] == [late["after"]]
    assert late["after"] != sha


@pytest.mark.parametrize(
    ("url", "events"),
    [
        ("ftp://x/", ["push"]),
        ("", ["push"]),
        ("http://x/", ["bogus"]),
        ("http:///x", ["push"]),
        ("http://[::1", ["push"]),
    ],
)
def test_impossible_hook_is_refused(
    forge: ServedForge, hooks: OperatorHooks, repo: str, *, url: str, events: list[str]
) -> None:
    with pytest.raises(RefusedByForge) as caught:
        hooks.add_hook(OWNER, repo, url=url, secret="", events=events)
    assert caught.value.status == 422


def test_secret_of_a_hook_is_never_shown(
    forge: ServedForge, hooks: OperatorHooks, repo: str, receiver: Receiver
) -> None:
    number = _listen(hooks, repo, receiver)
    shown = forge.operator.ask("GET", f"api/v3/repos/{OWNER}/{repo}/hooks/{number}")

    assert shown["config"]["secret"] == "********"
    forge.operator.ask(
        "PATCH",
        f"api/v3/repos/{OWNER}/{repo}/hooks/{number}",
        body={"config": shown["config"]},
    )
    forge.operator.open_issue(OWNER, repo, title="t")
    issue = receiver.wait_for(2)[1]
    digest = hmac.new(SECRET.encode(), issue.body, hashlib.sha256).hexdigest()
    assert issue.headers["X-Hub-Signature-256"] == f"sha256={digest}"
