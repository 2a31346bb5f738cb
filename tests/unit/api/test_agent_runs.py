from __future__ import annotations

import copy
from typing import Any

import pytest

from pressplay.api import agent_runs
from pressplay.api.agent_runs import RunPhase
from pressplay.base.errors import Refused


def _code_run(**spec: Any) -> dict[str, Any]:
    base = {"repo": "acme/shop", "github": {"appName": "rex"}}
    return {"apiVersion": "taskmaster.io/v1", "kind": "CodeRun", "spec": base | spec}


def _docs_run(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "taskmaster.io/v1", "kind": "DocsRun", "spec": spec}


# The two objects of the requirements' template task, with their placeholders filled in.
REQUESTED_CODE_RUN = {
    "repo": "acme/shop",
    "ref": "main",
    "prompts": {"system": "/etc/agents/rex_system-prompt.md", "user": "task/prompt.md"},
    "mcpRequirementsFile": "/work/requirements.yaml",
    "github": {"appName": "rex", "tokenFile": "/var/run/github/token"},
    "workspace": {"path": "/work/src"},
    "taskRef": "task/format",
}
REQUESTED_DOCS_RUN = {
    "repo": "acme/shop",
    "ref": "main",
    "prompts": {"system": "/etc/agents/clippy_system-prompt.md", "user": "docs/task.md"},
    "github": {"appName": "clippy", "tokenFile": "/var/run/github/token"},
    "workspace": {"path": "/work/src"},
    "taskRef": "docs/api-guide",
    "docs": {"path": "docs/", "action": "build-preview"},
}
REQUESTED_DEPLOYMENT = {
    "command": ["/bin/sh", "-lc"],
    "args": ["set -euo pipefail\nhelm upgrade --install ${RELEASE} ${CHART_PATH} -n ${NS}\n"],
    "env": [{"name": "NS", "value": "impl-pr-7"}, {"name": "RELEASE", "value": "shop-pr-7"}],
}


def test_code_run_of_the_requirements_is_valid() -> None:
    run = agent_runs.parse_code_run(_code_run(**REQUESTED_CODE_RUN))
    assert (run.repo, run.ref, run.app, run.task_ref) == ("acme/shop", "main", "rex", "task/format")
    assert run.prompts is not None
    assert run.prompts.user == "task/prompt.md"
    assert run.mcp_requirements == "/work/requirements.yaml"
    assert run.workspace_mode == "fresh"


def test_docs_runs_of_the_requirements_are_valid() -> None:
    docs = agent_runs.parse_docs_run(_docs_run(**REQUESTED_DOCS_RUN))
    assert docs.docs is not None
    assert docs.docs.action == "build-preview"
    command = agent_runs.parse_docs_run(_docs_run(**REQUESTED_DEPLOYMENT))
    assert command.command == ("/bin/sh", "-lc")
    assert [v.name for v in command.env] == ["NS", "RELEASE"]


def test_full_code_run_is_read() -> None:
    run = agent_runs.parse_code_run(
        _code_run(
            ref="refs/heads/feature/x",
            sha="A" * 40,
            baseSha="b" * 40,
            pr="7",
            issue="3",
            commentId="99",
            taskId="2",
            run="implement-r1-i3",
            task="implement",
            attempt="1",
            agent="claude",
            model="some-model:latest",
            maxTurns=60,
            budget={"usd": 5, "tokens": 1000},
            envFrom=[{"secretRef": {"name": "registry"}}, {"configMapRef": {"name": "flags"}}],
            timeoutSeconds=3600,
            ttlSecondsAfterFinished=60,
            cancel=True,
        )
    )
    assert (run.ref, run.sha, run.base_sha) == ("feature/x", "a" * 40, "b" * 40)
    assert (run.max_turns, run.max_usd, run.max_tokens) == (60, 5.0, 1000)
    assert [(s.kind, s.name) for s in run.env_from] == [
        ("secret", "registry"),
        ("configMap", "flags"),
    ]
    assert (run.timeout_s, run.ttl_s, run.cancel) == (3600, 60, True)


def test_empty_text_means_not_given() -> None:
    empty = dict.fromkeys(
        [
            "ref",
            "sha",
            "baseSha",
            "pr",
            "issue",
            "commentId",
            "taskRef",
            "taskId",
            "attempt",
            "agent",
        ],
        "",
    )
    run = agent_runs.parse_code_run(_code_run(**empty))
    assert (run.agent, run.attempt, run.pr, run.sha) == ("", "", "", "")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"repo": "shop"}, r"spec\.repo"),
        ({"repo": "acme/.."}, "repo"),
        ({"repo": ""}, "spec.repo is missing"),
        ({"github": {}}, "spec.github.appName is missing"),
        ({"github": {"appName": "mallory"}}, "use one of: rex, clippy, qa, triage, security"),
        ({"github": "rex"}, "spec.github must be an object"),
        ({"pr": 7}, "spec.pr must be text"),
        ({"pr": "07"}, "spec.pr"),
        ({"sha": "abc"}, "spec.sha"),
        ({"baseSha": "abc"}, "spec.baseSha"),
        ({"ref": "a..b"}, "spec.ref"),
        ({"taskRef": "/etc"}, "spec.taskRef"),
        ({"attempt": "4"}, "spec.attempt"),
        ({"agent": "gpt"}, "spec.agent"),
        ({"maxTurns": 0}, "spec.maxTurns must be a whole number from 1 to 1000"),
        ({"maxTurns": True}, "spec.maxTurns"),
        ({"budget": {"usd": -1}}, "spec.budget.usd"),
        ({"budget": {"eur": 1}}, "spec.budget.eur is unknown"),
        ({"timeoutSeconds": "60"}, "spec.timeoutSeconds"),
        ({"cancel": "true"}, "spec.cancel must be true or false"),
        ({"workspace": {"mode": "stale"}}, "spec.workspace.mode"),
        ({"prompts": {"system": "../../etc/passwd"}}, "spec.prompts.system"),
        ({"envFrom": [{"secretRef": {"name": "github-app-rex"}}]}, "never a key of ours"),
        ({"envFrom": [{"secretRef": {"name": "evidence-signing"}}]}, "never a key of ours"),
        ({"envFrom": [{"secretRef": {"name": "model-key"}}]}, "never a key of ours"),
        ({"envFrom": [{}]}, "exactly one of configMapRef, secretRef"),
        ({"env": [{"value": "x"}]}, "without a name"),
        ({"env": [{"name": "PRESSPLAY_KUBE_URL", "value": "x"}]}, "does not begin with PRESSPLAY_"),
        ({"env": "A=b"}, "spec.env must be a list"),
        ({"refs": "main"}, "spec.refs is unknown; did you mean 'ref'"),
        ({"timeoutSecond": 5}, "did you mean 'timeoutSeconds'"),
        ({"zzz": 5}, "known: agent, attempt"),
        ({"ref": "{{workflow.name}}"}, "spec.ref holds"),
        ({"env": [{"name": "A", "value": "{{=1+1}}"}]}, r"spec\.env\[0\]\.value holds"),
    ],
)
def test_wrong_code_run_is_refused_and_the_field_named(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        agent_runs.parse_code_run(_code_run(**spec))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "nothing; give exactly one of command, prompts, profile"),
        ({"repo": "a/b"}, "nothing"),
        ({"command": [], "repo": "a/b"}, "nothing"),
        ({"command": ["true"], "profile": "deploy"}, "several things"),
        ({"command": ["true"], "prompts": {"system": "a"}}, "several things"),
        ({"profile": "destroy"}, "spec.profile"),
        ({"profile": "deploy"}, "spec.repo is missing"),
        ({"profile": "deploy", "repo": "a/b", "args": ["x"]}, "spec.args needs spec.command"),
        (
            {"profile": "deploy", "repo": "a/b", "docs": {"path": "x"}},
            "spec.docs needs spec.prompts",
        ),
        ({"command": ["a", 1]}, r"spec\.command\[1\] must be text"),
        ({"command": "true"}, "spec.command must be a list"),
        ({"command": ["true"], "outputs": [{"name": "a"}]}, "without name and path"),
        ({"command": ["true"], "outputs": [{"name": "a", "path": "../a"}]}, "without '..'"),
        ({"command": ["true"], "agent": "claude"}, "spec.agent is unknown"),
    ],
)
def test_wrong_docs_run_is_refused_and_the_field_named(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        agent_runs.parse_docs_run(_docs_run(**spec))


def test_object_of_another_kind_is_refused() -> None:
    with pytest.raises(Refused, match="is a DocsRun, not a CodeRun"):
        agent_runs.parse_code_run(_docs_run(command=["true"]))


def test_object_without_a_spec_is_refused() -> None:
    with pytest.raises(Refused, match="spec must be an object"):
        agent_runs.parse_code_run({"kind": "CodeRun"})


def test_parsing_changes_nothing_in_the_object() -> None:
    obj = _code_run(**REQUESTED_CODE_RUN)
    before = copy.deepcopy(obj)
    agent_runs.parse_code_run(obj)
    assert obj == before


def test_only_pending_and_running_go_on() -> None:
    assert {phase for phase in RunPhase if not phase.is_done} == {
        RunPhase.PENDING,
        RunPhase.RUNNING,
    }
