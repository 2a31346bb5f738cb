"""Reading a projected delivery, whatever it holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import events, parameters
from pressplay.api.events import Event

SHA = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = {"name": "todo", "full_name": "acme/todo", "owner": {"login": "acme"}}


def project(**fields: Any) -> Event:
    return events.project_event(json.dumps({"repository": REPOSITORY, **fields}))


def test_a_pull_request_gives_its_head_and_its_number() -> None:
    event = project(
        action="opened",
        pull_request={"number": 12, "head": {"ref": "feature/x", "sha": SHA}},
        sender={"login": "ada"},
    )
    assert event == Event(
        owner="acme",
        repo="todo",
        ref="feature/x",
        sha=SHA,
        pr="12",
        action="opened",
        sender="ada",
    )


def test_an_issue_gives_its_number() -> None:
    event = project(action="labeled", issue={"number": 7}, label={"name": "pressplay"})
    assert (event.issue, event.pr, event.label) == ("7", "", "pressplay")


def test_a_comment_on_an_issue_keeps_the_issue() -> None:
    event = project(issue={"number": 7}, comment={"id": 4_123_456_789})
    assert (event.issue, event.pr, event.comment_id) == ("7", "", "4123456789")


def test_a_comment_on_a_pull_request_is_about_the_pull_request() -> None:
    event = project(issue={"number": 7, "pull_request": {"url": "x"}}, comment={"id": 5})
    assert (event.issue, event.pr) == ("", "7")


def test_a_push_gives_branch_and_commit() -> None:
    event = project(ref="refs/heads/main", after=SHA)
    assert (event.ref, event.sha) == ("main", SHA)


def test_a_deleted_branch_has_no_commit() -> None:
    assert project(ref="refs/heads/old", after="0" * 40).sha == ""


def test_a_pushed_tag_is_no_branch() -> None:
    assert project(ref="refs/tags/v1", after=SHA).ref == ""


def test_a_workflow_run_gives_branch_commit_and_pull_request() -> None:
    event = project(
        workflow_run={"head_branch": "fix", "head_sha": SHA, "pull_requests": [{"number": 3}]}
    )
    assert (event.ref, event.sha, event.pr) == ("fix", SHA, "3")


def test_a_check_run_gives_branch_commit_and_pull_request() -> None:
    event = project(
        check_run={
            "head_sha": SHA,
            "check_suite": {"head_branch": "fix"},
            "pull_requests": [{"number": 3}],
        }
    )
    assert (event.ref, event.sha, event.pr) == ("fix", SHA, "3")


def test_the_full_name_stands_in_for_owner_and_name() -> None:
    event = events.project_event('{"repository": {"full_name": "acme/todo"}}')
    assert (event.owner, event.repo) == ("acme", "todo")


def test_the_organization_stands_in_for_the_owner() -> None:
    event = events.project_event('{"repository": {"name": "a"}, "organization": {"login": "o"}}')
    assert (event.owner, event.repo) == ("o", "a")


@pytest.mark.parametrize("text", ["{", "nonsense", "\x00", '{"a": ' * 100_000])
def test_malformed_json_counts_as_empty_with_a_warning(text: str) -> None:
    event = events.project_event(text)
    assert event == Event(warnings=("The event is not JSON and counts as {}",))


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_json_that_is_no_object_counts_as_empty_with_a_warning(text: str) -> None:
    assert "not a JSON object" in events.project_event(text).warnings[0]


@pytest.mark.parametrize("text", ["", "{}"])
def test_no_event_is_no_reason_for_a_warning(text: str) -> None:
    assert events.project_event(text) == Event()


def test_a_branch_name_that_is_no_parameter_is_left_out_with_a_warning() -> None:
    event = project(pull_request={"number": 1, "head": {"ref": "x$(id)", "sha": SHA}})
    assert (event.ref, event.pr) == ("", "1")
    assert "ref" in event.warnings[0]
    assert "$(id)" not in event.warnings[0]


KEYS = [
    *("repository", "owner", "login", "name", "full_name", "pull_request", "head", "ref", "sha"),
    *("number", "issue", "comment", "id", "after", "check_run", "check_suite", "workflow_run"),
    *("head_branch", "head_sha", "pull_requests", "sender", "action"),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(document=JSON)
def test_whatever_comes_out_is_fit_to_be_a_parameter(document: Any) -> None:
    event = events.project_event(json.dumps(document))
    for name in ("owner", "repo", "ref", "sha", "pr", "issue"):
        value = getattr(event, name)
        assert parameters.check(name, value) == value
    assert parameters.check("commentId", event.comment_id) == event.comment_id


@given(text=st.text(max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(events.project_event(text), Event)
