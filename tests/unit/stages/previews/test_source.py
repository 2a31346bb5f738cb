"""source, against a real forge: exactly the commit that was asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pressplay.api import policy
from pressplay.base.errors import Refused
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.previews import source

RULES = {"version": 1, "preview": {"process": {"command": ["./app"]}}}


def env_for(
    make_env: Any, repository: Any, *, rules: Any = None, **request: str
) -> StageEnvironment:
    asked = {"repo": f"{repository.owner}/{repository.name}", **request}
    env: StageEnvironment = make_env(settings=repository.forge.settings, REQUEST=json.dumps(asked))
    token = repository.forge.token("rex", repository, contents="read", metadata="read")
    env.inputs.mkdir(parents=True)
    record = policy.Record(policy=policy.Policy.from_json(rules or RULES), base_sha="b" * 40)
    (env.inputs / "policy.json").write_text(json.dumps(record.to_json()))
    env.token_file.parent.mkdir(parents=True)
    env.token_file.write_text(token.reveal())
    return env


def test_the_tree_of_the_head_is_exported_without_git(make_env: Any, repository: Any) -> None:
    sha = repository.commit("feature/x", {"app.py": "print(1)\n", "web/index.html": "hello\n"})
    env = env_for(make_env, repository, sha=sha, ref="feature/x")
    assert source.run(env).reason == ""
    root = env.out / "source"
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert found == ["README.md", "app.py", "web/index.html"]


@pytest.mark.parametrize(("build", "said"), [([], "false"), (["make"], "true")])
def test_it_says_whether_there_is_something_to_build(
    make_env: Any, repository: Any, build: list[str], said: str
) -> None:
    sha = repository.commit("feature/x", {"app.py": "print(1)\n"})
    rules = {"version": 1, "preview": {"process": {"build": build, "command": ["./app"]}}}
    env = env_for(make_env, repository, rules=rules, sha=sha, ref="feature/x")
    source.run(env)
    assert (env.out / "build").read_text() == said


def test_a_branch_that_moved_on_is_told_and_the_asked_commit_exported(
    make_env: Any, repository: Any
) -> None:
    sha = repository.commit("feature/x", {"app.py": "one\n"})
    newer = repository.commit("feature/x", {"app.py": "two\n"})
    env = env_for(make_env, repository, sha=sha, ref="feature/x")
    reason = source.run(env).reason
    assert reason == (
        f"Branch feature/x has moved on to {newer[:10]}; the preview shows {sha[:10]}, as asked"
    )
    assert (env.out / "source/app.py").read_text() == "one\n"


def test_a_commit_that_is_not_there_is_refused(make_env: Any, repository: Any) -> None:
    env = env_for(make_env, repository, sha="0" * 39 + "1", ref="main")
    with pytest.raises(Refused):
        source.run(env)


@pytest.mark.parametrize("sha", ["", "main", "abc"])
def test_anything_but_a_whole_commit_id_is_refused(
    make_env: Any, repository: Any, sha: str
) -> None:
    with pytest.raises(Refused, match="sha"):
        source.run(env_for(make_env, repository, sha=sha, ref="main"))


def test_without_a_token_it_says_who_should_have_written_it(make_env: Any, repository: Any) -> None:
    env = env_for(make_env, repository, sha="a" * 40)
    env.token_file.unlink()
    with pytest.raises(Refused, match="init container `token`"):
        source.run(env)
