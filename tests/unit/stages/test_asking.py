"""What a run was asked to be about."""

import json
from collections.abc import Callable

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import asking
from pressplay.stages.environment import StageEnvironment

MakeEnv = Callable[..., StageEnvironment]
SHA = "0123456789abcdef0123456789abcdef01234567"
EVENT = json.dumps(
    {
        "repository": {"name": "todo", "owner": {"login": "acme"}},
        "pull_request": {"number": 12, "head": {"ref": "feature/x", "sha": SHA}},
        "comment": {"id": 5},
    }
)


def test_the_event_fills_what_the_parameters_leave_open(make_env: MakeEnv) -> None:
    asked = asking.from_environment(make_env(EVENT=EVENT))
    assert asked.repository == "acme/todo"
    assert (asked.pr, asked.ref, asked.sha, asked.comment_id) == ("12", "feature/x", SHA, "5")


def test_parameters_win_over_the_event(make_env: MakeEnv) -> None:
    asked = asking.from_environment(make_env(EVENT=EVENT, OWNER="other", REPO="thing", PR="3"))
    assert (asked.repository, asked.pr) == ("other/thing", "3")


def test_an_event_never_completes_half_a_subject(make_env: MakeEnv) -> None:
    asked = asking.from_environment(make_env(EVENT=EVENT, ISSUE="7"))
    assert (asked.issue, asked.pr, asked.ref, asked.sha, asked.comment_id) == ("7", "", "", "", "")


def test_half_a_repository_is_refused(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="go together"):
        asking.from_environment(make_env(OWNER="acme"))


def test_a_malformed_event_is_logged_and_counts_as_empty(
    make_env: MakeEnv, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asking.from_environment(make_env(EVENT="{nonsense", OWNER="acme", REPO="todo"))
    assert asked.repository == "acme/todo"
    assert "event_unreadable" in capsys.readouterr().out


def test_a_bad_parameter_is_refused_by_name(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="attempt"):
        asking.from_environment(make_env(ATTEMPT="9"))


def test_a_step_takes_its_repository_from_its_request(make_env: MakeEnv) -> None:
    env = make_env(REQUEST='{"repo": "acme/todo"}', EVENT=EVENT)
    assert asking.repository_of(env) == ("acme", "todo")


def test_a_step_takes_its_repository_from_the_event_last(make_env: MakeEnv) -> None:
    assert asking.repository_of(make_env(EVENT=EVENT)) == ("acme", "todo")


def test_a_step_without_a_repository_ends_in_the_agreed_words(make_env: MakeEnv) -> None:
    with pytest.raises(Refused) as caught:
        asking.repository_of(make_env())
    assert str(caught.value) == (
        "Error: Repository information not available from event payload and no git context found"
    )


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_request_that_is_no_object_is_refused(make_env: MakeEnv, text: str) -> None:
    with pytest.raises(Refused, match="PRESSPLAY_REQUEST"):
        asking.read_request(make_env(REQUEST=text))


def test_a_repository_outside_the_list_is_refused_with_the_remedy(make_env: MakeEnv) -> None:
    settings = {"PRESSPLAY_ALLOWED_REPOSITORIES": "acme/todo, acme/other"}
    env = make_env(settings=settings, OWNER="acme", REPO="secret")
    with pytest.raises(Refused, match="add it to PRESSPLAY_ALLOWED_REPOSITORIES"):
        asking.repository_of(env)


def test_the_list_of_repositories_ignores_case(make_env: MakeEnv) -> None:
    settings = {"PRESSPLAY_ALLOWED_REPOSITORIES": "acme/todo"}
    env = make_env(settings=settings, OWNER="Acme", REPO="Todo")
    assert asking.repository_of(env) == ("Acme", "Todo")
