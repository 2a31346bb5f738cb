"""The table: what is in it, word for word, and that nothing else can be said."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.forge import calls

GOLDEN = Path(__file__).parent / "golden"
SHA = "0123456789abcdef0123456789abcdef01234567"


def test_table_holds_these_calls_for_these_reasons_and_no_others() -> None:
    table = [f"{call.verb:<5} {call.path:<56} {call.why}" for call in calls.CALLS]

    assert table == (GOLDEN / "calls.txt").read_text().splitlines()


def test_no_call_merges_moves_a_ref_or_changes_a_setting() -> None:
    for call in calls.CALLS:
        words = {call.name, *call.path.replace("-", "/").split("/"), *call.fields}
        assert not words & {"merge", "merges", "graphql", "git", "refs", "auto_merge", "settings"}
        assert call.verb in ("GET", "POST", "PATCH")


def test_state_of_a_pull_request_cannot_be_expressed() -> None:
    assert set(calls.named("edit_pull").fields) == {"title", "body"}


def test_review_can_approve_or_comment_only() -> None:
    assert calls.named("add_review").fields["event"] == frozenset({"APPROVE", "COMMENT"})


def test_token_cannot_be_asked_for_administration_or_workflows() -> None:
    assert set(calls.PERMISSIONS) == {
        "contents",
        "pull_requests",
        "issues",
        "checks",
        "actions",
        "security_events",
        "metadata",
    }


def test_reading_calls_have_no_body() -> None:
    for call in calls.CALLS:
        assert bool(call.fields) == (call.verb != "GET"), call.name


@pytest.mark.parametrize("line", (GOLDEN / "never.txt").read_text().splitlines())
def test_operation_that_merges_moves_or_configures_is_not_in_the_table(line: str) -> None:
    verb, path = line.split(" ")

    assert calls.match(verb, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/repos/o/r/pulls/7/../7",
        "/repos/o/r/pulls/%2e%2e",
        "/repos/o/../r",
        "/repos/o/r/",
        "//repos/o/r",
        "/repos//r",
        "/repos/o/r/pulls/7%2Fmerge",
        "/repos/o/r/pulls/07",
        "/repos/o/r/pulls/7;x",
        "/repos/o/r/branches/a%252Fb",
        "/repos/o/r/branches/..%2Fmain",
        "/repos/o/r/branches/-x",
        "/repos/o/r/branches/a/b",
        "/repos/o/r/contents/",
        "/repos/o/r/contents/a/%2E%2E/b",
        "/repos/o/r/contents/a//b",
        "/repos/o/r/contents/a%5Cb",
        "/repos/o/r/contents/a%00",
        "/repos/o/r/commits/main/check-runs",
        "repos/o/r",
        "",
    ],
)
def test_strange_path_matches_nothing(path: str) -> None:
    assert calls.match("GET", path) is None


def test_encoded_spelling_of_a_call_is_that_call() -> None:
    assert calls.match("GET", "/%72epos/o/r") is calls.named("repository")
    assert calls.match("GET", "/repos/o/r/branches/feature%2Fx") is calls.named("branch")
    assert calls.match("GET", "/repos/o/r/contents/a/b%20c.md") is calls.named("file")
    assert calls.match("GET", "/repos/o/r/collaborators/rex%5Bbot%5D/permission") is calls.named(
        "permission"
    )


def test_verb_is_part_of_the_call() -> None:
    assert calls.match("DELETE", "/repos/o/r") is None
    assert calls.match("get", "/repos/o/r") is None


def test_parameter_that_cannot_exist_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="Invalid owner"):
        calls.named("repository").expand({"owner": "a/b", "repo": "r"})


_names = st.from_regex(r"[A-Za-z0-9._@+=#-]{1,30}", fullmatch=True)
_parameters = st.fixed_dictionaries(
    {
        "owner": st.from_regex(r"[A-Za-z0-9_-]{1,39}", fullmatch=True),
        "repo": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True),
        "login": st.from_regex(r"[A-Za-z0-9-]{1,39}(\[bot\])?", fullmatch=True),
        "number": st.integers(1, 10**9),
        "id": st.integers(1, 10**12),
        "sha": st.just(SHA),
        "branch": st.from_regex(
            r"[A-Za-z0-9_@+=#][A-Za-z0-9_@+=#-]{0,9}(/[\w-]{1,9})?", fullmatch=True
        ).filter(str.isascii),
        "path": st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1).filter(
            lambda it: not set("\\%/.") & set(it)
        ),
    }
)


@given(_parameters)
def test_what_the_table_writes_it_reads_back(parameters: dict[str, object]) -> None:
    for call in calls.CALLS:
        assert calls.match(call.verb, call.expand(parameters)) is call


_WORDS = (
    "repos o r pulls issues comments 7 merge merges git refs heads main branches protection "
    "contents .. . %2e%2e %2F check-runs graphql app installations"
)


@given(
    st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    st.lists(
        st.one_of(
            st.sampled_from(_WORDS.split()),
            st.text(max_size=8).map(lambda it: quote(it, safe="")),
            st.text(max_size=8).map(lambda it: it.replace("?", "")),
        ),
        max_size=9,
    ),
)
def test_no_path_reaches_a_merge(verb: str, segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    call = calls.match(verb, path)

    if call is not None:
        assert verb == call.verb
        assert verb not in ("PUT", "DELETE")
        assert ".." not in [unquote(segment) for segment in path.split("/")]
        if verb != "GET":
            assert not {"merge", "merges", "refs", "graphql"} & set(segments[4:5])
