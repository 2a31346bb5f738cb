"""deploy: what is planned, and what is refused before anything is written."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pressplay.api import policy
from pressplay.base.errors import Refused
from pressplay.evidence import shapes
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.previews import deploying

MakeEnv = Callable[..., StageEnvironment]
SHA = "a" * 40
REQUEST = {"repo": "acme/todo", "pr": "7", "sha": SHA, "ref": "feature/x"}
RULES = {
    "version": 1,
    "preview": {"process": {"command": ["python3", "app.py"], "ready": "/healthz"}},
}


def env_with(make_env: MakeEnv, rules: Any, **change: str) -> StageEnvironment:
    env = make_env(REQUEST=json.dumps(REQUEST | change), RUN="run-1", TASK="deploy")
    env.inputs.mkdir(parents=True)
    record = policy.Record(policy=policy.Policy.from_json(rules), base_sha="b" * 40)
    (env.inputs / "policy.json").write_text(json.dumps(record.to_json()))
    return env


def test_a_preview_is_planned_from_request_and_policy(make_env: MakeEnv) -> None:
    preview = deploying.plan(env_with(make_env, RULES))
    assert preview.names.namespace == "impl-pr-7"
    assert preview.process.command == ("python3", "app.py")
    assert preview.source_key == "run-1/source/deploy"
    assert (preview.sha, preview.run) == (SHA, "run-1")


def test_what_is_built_comes_from_the_build(make_env: MakeEnv) -> None:
    process = {"build": ["make"], "command": ["./app"]}
    rules = {"version": 1, "preview": {"process": process}}
    assert deploying.plan(env_with(make_env, rules)).source_key == "run-1/built/deploy"


def test_a_policy_that_does_not_say_how_to_start_is_refused_with_an_example(
    make_env: MakeEnv,
) -> None:
    with pytest.raises(Refused, match=r"\.pressplay\.yaml has no preview\.process\.command.*PORT"):
        deploying.plan(env_with(make_env, {"version": 1}))


def test_a_deployer_that_is_not_there_is_refused_by_its_key(make_env: MakeEnv) -> None:
    rules = {"version": 1, "preview": {"deployer": "helm", "helm": {"chart": "charts/app"}}}
    with pytest.raises(Refused, match=r"preview\.deployer is helm"):
        deploying.plan(env_with(make_env, rules))


@pytest.mark.parametrize("field", ["pr", "sha"])
def test_a_request_without_its_commit_or_pull_request_is_refused(
    make_env: MakeEnv, field: str
) -> None:
    with pytest.raises(Refused, match=f"spec.{field} is empty"):
        deploying.plan(env_with(make_env, RULES, **{field: ""}))


def test_a_run_without_a_recorded_policy_is_refused(make_env: MakeEnv) -> None:
    with pytest.raises(Refused, match="preflight must have recorded it"):
        deploying.plan(make_env(REQUEST=json.dumps(REQUEST), RUN="r", TASK="deploy"))


@pytest.mark.parametrize(
    ("point", "address"),
    [
        ({"ip": "127.0.0.1", "ports": [{"port": 31234, "protocol": "TCP"}]}, "127.0.0.1:31234"),
        ({"ip": "10.1.2.3"}, "10.1.2.3:80"),
        ({"hostname": "lb.example.com"}, "lb.example.com:80"),
        ({"ip": "::1", "ports": [{"port": 8080}]}, "[::1]:8080"),
    ],
)
def test_the_address_is_what_the_ingress_says(point: dict[str, Any], address: str) -> None:
    ingress = {"status": {"loadBalancer": {"ingress": [point]}}}
    assert deploying.address_of(ingress) == address


@pytest.mark.parametrize("ingress", [{}, {"status": {}}, {"status": {"loadBalancer": {}}}])
def test_an_ingress_without_an_address_has_none(ingress: dict[str, Any]) -> None:
    assert deploying.address_of(ingress) == ""


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:31234", "http://pr-7.preview.localhost:31234/"),
        ("10.1.2.3:80", "http://pr-7.preview.localhost/"),
    ],
)
def test_the_urls_have_their_shape(make_env: MakeEnv, address: str, url: str) -> None:
    urls = deploying.urls_of(deploying.plan(env_with(make_env, RULES)), address=address)
    shapes.validate("urls", urls)
    assert urls["endpoints"] == [
        {"host": "pr-7.preview.localhost", "path": "/", "url": url, "connect": address}
    ]
