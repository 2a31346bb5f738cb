"""validate-prompt: the App's own prompt, else the default one, else a clear end."""

from collections.abc import Callable

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import prompts
from pressplay.stages.environment import StageEnvironment

MakeEnv = Callable[..., StageEnvironment]


def put(env: StageEnvironment, *names: str) -> None:
    env.agents_dir.mkdir()
    for name in names:
        (env.agents_dir / name).write_text("Do the work.\n")


def test_an_app_with_a_prompt_of_its_own_gets_it(make_env: MakeEnv) -> None:
    env = make_env(GITHUB_APP="rex")
    put(env, "rex_system-prompt.md", "default_system-prompt.md")
    prompts.run(env)
    found = (env.out / "system-prompt-path").read_text()
    assert found == "/etc/agents/rex_system-prompt.md"


def test_an_app_without_one_gets_the_default(make_env: MakeEnv) -> None:
    env = make_env(GITHUB_APP="qa")
    put(env, "default_system-prompt.md")
    prompts.run(env)
    found = (env.out / "system-prompt-path").read_text()
    assert found == "/etc/agents/default_system-prompt.md"


def test_without_both_it_ends_in_the_agreed_words(make_env: MakeEnv) -> None:
    with pytest.raises(Refused) as caught:
        prompts.run(make_env(GITHUB_APP="rex"))
    assert str(caught.value) == (
        "Error: System prompt not found at /etc/agents/rex_system-prompt.md "
        "or /etc/agents/default_system-prompt.md"
    )


def test_an_unknown_app_is_refused_before_any_file_is_looked_for(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="Error: Invalid github-app"):
        prompts.run(make_env(GITHUB_APP="../../root"))
