"""The four pods of an agent run as tests see them: real stages, git and forge, a folder each."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pressplay.api import policy
from pressplay.base.clocks import SystemClock
from pressplay.base.redaction import Secret
from pressplay.forge import git_auth, tokens
from pressplay.forge.local.app import build
from pressplay.forge.local.operator import Operator
from pressplay.forge.tokens import AppKey
from pressplay.stages import bundles, git, handover, prepare, publish, warming, wrapper
from pressplay.stages.agents import running
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.gates import verifying
from pressplay.stages.handover import Context

STAGES: Mapping[str, wrapper.Stage] = {
    "prepare": prepare.run,
    "agent": running.run,
    "warm": warming.run,
    "verify": verifying.run,
    "publish": publish.run,
}
INPUTS = {
    "prepare": {},
    "agent": {"prepare": "workspace"},
    "warm": {"prepare": "workspace"},
    "verify": {"prepare": "workspace", "agent": "work"},
    "publish": {"prepare": "workspace", "agent": "work", "verify": "verification"},
}
OPERATOR = "captain"
OPERATOR_TOKEN = "operator-token-for-these-tests-only"
PERSON = git.Identity("Person", "person@example.com")
PERMISSIONS = {"contents": "write", "pull_requests": "write", "issues": "write"}


def sh(cwd: Path, *command: str, env: Mapping[str, str] | None = None) -> str:
    """Run a person's git."""
    cwd.mkdir(parents=True, exist_ok=True)
    whole = {
        "PATH": os.environ["PATH"],
        "HOME": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **PERSON.variables(),
        **(env or {}),
    }
    done = subprocess.run(command, cwd=cwd, env=whole, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(repository: Path, files: Mapping[str, str | None], *, message: str = "more") -> str:
    """Write files (None removes one), commit them; the commit's id."""
    if not (repository / ".git").exists():
        sh(repository, "git", "init", "-q", "-b", "main", ".")
    for name, text in files.items():
        path = repository / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sh(repository, "git", "add", "-A", "-f")
    sh(repository, "git", "commit", "-q", "--allow-empty", "-m", message)
    return sh(repository, "git", "rev-parse", "HEAD")


@dataclass
class Pods:
    """One agent run. Every pod has a folder of its own, and gets what the manifest hands it."""

    root: Path
    role: str = "rex"
    request: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def env(self, pod: str) -> StageEnvironment:
        """The environment of a pod, with its inputs in place."""
        folder = self.root / pod
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for other, name in INPUTS[pod].items():
            source = self.root / other / "out" / name
            if source.is_dir():
                shutil.copytree(source, folder / "in" / name, symlinks=True)
        if pod in ("prepare", "publish"):
            token = folder / "var/run/github/token"
            token.parent.mkdir(parents=True)
            token.write_text(self.settings.get("TOKEN", "none"))
        prompts = folder / "etc/agents"
        prompts.mkdir(parents=True)
        (prompts / "default_system-prompt.md").write_text("Be good.\n")
        return StageEnvironment(
            variables={
                "PATH": os.environ["PATH"],
                "PRESSPLAY_ROOT": str(folder),
                "PRESSPLAY_RUN": "implement-r1-i7",
                "PRESSPLAY_GITHUB_APP": self.role,
                "PRESSPLAY_REQUEST": json.dumps(self.request),
                **{k: v for k, v in self.settings.items() if k != "TOKEN"},
            }
        )

    def run(self, pod: str, program: Mapping[str, str] | None = None) -> int:
        """Run one pod; its exit code."""
        env = self.env(pod)
        for name, text in (program or {}).items():
            path = env.agent_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return wrapper.run(pod, STAGES[pod], env)

    def reason(self, pod: str) -> str:
        path = self.root / pod / "out/reason"
        return path.read_text() if path.exists() else ""

    def out(self, pod: str, name: str) -> str:
        return (self.root / pod / "out" / name).read_text()

    def artifact(self, pod: str, name: str) -> Path:
        return self.root / pod / "artifacts" / name

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out("agent", handover.RESULT))
        return found

    def verification(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out("verify", handover.VERIFICATION))
        return found

    def files(self) -> dict[str, bytes]:
        """The files at the newest commit of the agent's work."""
        directory = self.root / f"looking-{next(_numbers)}"
        bundles.take(directory, self.root / "prepare/out" / handover.SOURCE)
        bundles.take_foreign(directory, self.root / "agent/out" / handover.CHANGES)
        tree = directory.with_suffix(".tree")
        git.export_tree(directory, self.result()["head"], tree)
        return {
            str(path.relative_to(tree)): path.read_bytes()
            for path in sorted(tree.rglob("*"))
            if path.is_file()
        }

    def prepared(self, origin: Path, *, base: str, head: str, **change: Any) -> Context:
        """Write what `prepare` would, from a local repository and without a forge."""
        rules = change.pop("rules", {"version": 1})
        parsed = policy.Policy.from_json(rules, source=f".pressplay.yaml@{base}")
        values: dict[str, Any] = {
            "role": self.role,
            "run": "implement-r1-i7",
            "owner": OPERATOR,
            "repo": "app",
            "pr": "",
            "issue": "7",
            "title": "Count the items",
            "branch": "pressplay/issue-7",
            "base_ref": "main",
            "base_sha": base,
            "head_sha": head,
            "fork": False,
            "kind": "",
            "default_kind": "",
            "timeout_s": 30,
            "policy": policy.Record(policy=parsed, base_sha=base),
            "base_is_default": True,
        }
        context = Context(**(values | change))
        env = self.env("prepare")
        tips = {handover.BASE: base, handover.HEAD: head}
        bundles.write(origin / ".git", env.out / handover.SOURCE, tips=tips)
        handover.write(env, handover.CONTEXT, context.to_json())
        env.write_output(handover.TASK, "# Task\n")
        env.write_output(handover.SYSTEM, "Be good.\n")
        return context


_numbers = count(1)


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(root=tmp_path / "pods")


@pytest.fixture
def write_commit() -> Callable[..., str]:
    return commit


@pytest.fixture
def run_git() -> Callable[..., str]:
    return sh


@dataclass
class World:
    """A local forge with one repository of this test's own, and an App that works on it."""

    url: str
    operator: Operator
    key: AppKey
    repo: str
    clone: Path

    def token(self) -> str:
        minted = tokens.mint(
            api_url=f"{self.url}/api/v3",
            app=self.key,
            owner=OPERATOR,
            repo=self.repo,
            permissions=PERMISSIONS,
            clock=SystemClock(),
        )
        return minted.value.reveal()

    def push(self, files: Mapping[str, str | None], *, branch: str = "main") -> str:
        """A person's commit on a branch."""
        sha = commit(self.clone, files)
        env = git_auth.environment(self.url, Secret(OPERATOR_TOKEN))
        url = f"{self.url}/{OPERATOR}/{self.repo}.git"
        sh(self.clone, "git", "push", "-q", url, f"+HEAD:refs/heads/{branch}", env=env)
        return sha

    def head(self, branch: str) -> str:
        env = git_auth.environment(self.url, Secret(OPERATOR_TOKEN))
        url = f"{self.url}/{OPERATOR}/{self.repo}.git"
        said = sh(self.clone, "git", "ls-remote", url, f"refs/heads/{branch}", env=env)
        return said.split("\t")[0]

    def pods(self, root: Path, *, role: str, **request: Any) -> Pods:
        spec = {
            "repo": f"{OPERATOR}/{self.repo}",
            "ref": "main",
            "sha": self.head("main"),
            "github": {"appName": role},
            "timeoutSeconds": 30,
        }
        settings = {
            "GITHUB_API_URL": f"{self.url}/api/v3",
            "GITHUB_SERVER_URL": self.url,
            "TOKEN": self.token(),
        }
        return Pods(root=root, role=role, request=spec | request, settings=settings)


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Operator, AppKey]]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application = build(
        directory=tmp_path_factory.mktemp("forge"),
        operator_login=OPERATOR,
        operator_token=OPERATOR_TOKEN,
        clock=SystemClock(),
        base_url=lambda: url,
        search_path=os.environ["PATH"],
    )
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with Operator(url, OPERATOR_TOKEN) as operator:
            made = operator.ensure_app("rex", PERMISSIONS)
            key = AppKey(app_id=str(made.id), private_key=Secret(made.private_key))
            yield url, operator, key
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def world(_served: tuple[str, Operator, AppKey], tmp_path: Path) -> World:
    url, operator, key = _served
    repo = operator.ensure_repository(f"app-{next(_numbers)}").name
    return World(url=url, operator=operator, key=key, repo=repo, clone=tmp_path / "clone")
