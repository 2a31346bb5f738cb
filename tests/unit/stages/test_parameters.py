"""set-params: the names of a preview before there is one."""

from collections.abc import Callable

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import parameters
from pressplay.stages.environment import StageEnvironment

MakeEnv = Callable[..., StageEnvironment]
GIVEN = {
    "OWNER": "acme",
    "REPO": "Todo_App",
    "SUBJECT": "pr-7",
    "BASE": "main",
    "BASE_SHA": "a" * 40,
}


def outputs(env: StageEnvironment) -> dict[str, str]:
    return {file.name: file.read_text() for file in env.out.iterdir()}


def test_a_known_pull_request_has_its_names(make_env: MakeEnv) -> None:
    env = make_env(**GIVEN, PR="7")
    parameters.run(env)
    assert outputs(env) == {
        "base": "main",
        "base-sha": "a" * 40,
        "ns": "impl-pr-7",
        "release": "todo-app-pr-7",
        "host": "pr-7.preview.localhost",
    }


def test_an_issue_has_no_names_yet(make_env: MakeEnv) -> None:
    env = make_env(**GIVEN, ISSUE="3")
    parameters.run(env)
    assert (outputs(env)["ns"], outputs(env)["release"], outputs(env)["host"]) == ("", "", "")


def test_the_operators_domain_and_scheme_are_used(make_env: MakeEnv) -> None:
    settings = {"PRESSPLAY_DOMAIN": "preview.example.com", "PRESSPLAY_NAMING": "repo-pr"}
    env = make_env(settings=settings, **GIVEN, PR="7")
    parameters.run(env)
    found = outputs(env)
    assert found["ns"].startswith("impl-pr-7-")
    assert found["host"] == f"pr-7-{found['ns'][-8:]}.preview.example.com"


@pytest.mark.parametrize(("name", "told"), [("BASE", "base"), ("BASE_SHA", "base-sha")])
def test_a_missing_base_is_refused(make_env: MakeEnv, name: str, told: str) -> None:
    with pytest.raises(Refused, match=f"Parameter {told} is empty"):
        parameters.run(make_env(**(GIVEN | {name: ""})))


def test_a_missing_repository_is_refused_in_the_agreed_words(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="Error: Repository information not available"):
        parameters.run(make_env(**(GIVEN | {"OWNER": "", "REPO": ""})))


def test_a_domain_of_the_operators_that_is_none_is_refused(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="domain"):
        parameters.run(make_env(settings={"PRESSPLAY_DOMAIN": "a b"}, **GIVEN, PR="7"))
