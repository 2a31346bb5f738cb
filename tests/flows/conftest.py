"""A server of its own for each test, and the command line as a user would call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pressplay.base.redaction import Secret
from pressplay.cli import local_server
from pressplay.cluster.kube import KubeClient
from pressplay.engine import nodes
from pressplay.forge.client import Forge
from pressplay.forge.local.operator import Operator
from pressplay.manifests import loading
from pressplay.server import standing
from pressplay.server.standing import Address

_TIMEOUT_S = 300

CARRIED_OUT = {"CodeRun": ("coderun-run", "main"), "DocsRun": ("docsrun-run", "deploy")}
"""The template and its entry by which the pipeline's requests are carried out."""


@dataclass(frozen=True)
class Called:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Standard output as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Machine:
    """One state folder with its server."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def call(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Called:
        """Run `pressplay` with this state folder; `env` adds to the environment."""
        done = subprocess.run(
            [sys.executable, "-m", "pressplay.cli", "--state", self.state, *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            check=False,
        )
        return Called(done.returncode, done.stdout, done.stderr)

    @property
    def address(self) -> Address:
        """The server, started if need be."""
        return local_server.ensure(self.state)

    def kube(self) -> KubeClient:
        """The server's API as the operator."""
        address = self.address
        return KubeClient(url=address.kube_url, token=Secret(address.operator_token))

    def operator(self) -> Operator:
        """The operator's side of the local forge."""
        address = self.address
        return Operator(address.forge_url, address.operator_token)

    def forge(self) -> Forge:
        """The local forge, read as the operator."""
        address = self.address
        return Forge(api_url=f"{address.forge_url}/api/v3", token=Secret(address.operator_token))

    def kill(self) -> None:
        """kill -9, if a server runs."""
        address = standing.read_address(self.state)
        if address is not None:
            os.kill(address.pid, signal.SIGKILL)
            _reap(address.pid)
            # Its first thread may be gone, and shown as such, a moment before the others are.
            while standing.read_address(self.state) == address:
                time.sleep(0.001)

    def world(self) -> dict[str, Any]:
        """What is outside of us, in a form that two runs of the same work share."""
        with self.operator() as operator, self.forge() as forge, self.kube() as kube:
            repositories = operator.repositories()
            return {
                "repositories": {
                    found.name: self._repository(forge, found.owner, found.name)
                    for found in repositories
                },
                "namespaces": sorted(
                    each["metadata"]["name"] for each in kube.list("Namespace", "")
                ),
                "deployments": sorted(
                    each["metadata"]["name"] for each in kube.list("Deployment", "")
                ),
                "alarms": [alarm.path for alarm in operator.alarms()],
            }

    def _repository(self, forge: Forge, owner: str, name: str) -> dict[str, Any]:
        bare = next(self.state.glob(f"forge/**/{name}.git"), None) or self._bare()
        pulls = forge.pulls(owner, name, state="all")
        return {
            "refs": _refs(bare),
            "pulls": [
                {
                    "number": pull.number,
                    "state": pull.state,
                    "merged": pull.merged,
                    "head": pull.head_ref,
                    "title": pull.title,
                    "author": pull.author,
                    "reviews": [
                        (review.author, review.state, review.commit_id == pull.head_sha)
                        for review in forge.reviews(owner, name, pull.number)
                    ],
                    "checks": sorted(
                        (check.name, check.conclusion, check.external_id)
                        for check in forge.check_runs(owner, name, pull.head_sha)
                    ),
                    "comments": len(forge.issue_comments(owner, name, pull.number)),
                }
                for pull in pulls
            ],
        }

    def _bare(self) -> Path:
        return next(self.state.glob("forge/**/HEAD")).parent


def _refs(bare: Path) -> dict[str, list[str]]:
    """Branches with their trees and messages: commit ids hold the time and differ."""
    names = _git(bare, "for-each-ref", "--format=%(refname)", "refs/heads").split()
    return {
        name: _git(bare, "log", "--format=%T %an %s", name).splitlines() for name in sorted(names)
    }


def _git(where: Path, *arguments: str) -> str:
    command: list[str] = ["git", "-c", "safe.directory=*", "-C", str(where), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _reap(pid: int) -> None:
    """Wait for the end of a process, our child or not."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid):
            signal.sigtimedwait([], 0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@dataclass(frozen=True)
class Step:
    """One step of a shipped pipeline; all is as it will be for the run `run`.

    `label` are the names on the way to it; `node` is the name of its node, of the first try;
    `asks_for` the kind that it makes, where it has no pod.
    """

    label: str
    workflow: str
    node: str
    template: str
    asks_for: str = ""

    @property
    def uid(self) -> str:
        """Of its pod."""
        return nodes.node_id(self.workflow, self.node)


class Walk:
    """Goes through the shipped templates as the engine does, and finds every step."""

    def __init__(self) -> None:
        self._templates = {
            (obj["metadata"]["name"], template["name"]): template
            for obj in loading.shipped(namespace="agents")
            if obj["kind"] == "WorkflowTemplate"
            for template in obj["spec"]["templates"]
        }

    def steps(self, pipeline: str, run: str) -> Iterator[Step]:
        """All of them, in the order in which they begin."""
        yield from self._below((pipeline, "main"), Step("", run, run, ""))
        yield from self._below((pipeline, "finish"), Step("", run, f"{run}.onExit", ""))

    def _below(self, at: tuple[str, str], above: Step) -> Iterator[Step]:
        template = self._templates[at]
        for task in template.get("dag", {}).get("tasks", ()):
            yield from self._called(at[0], task, above, f"{above.node}.{task['name']}")
        for number, group in enumerate(template.get("steps", ())):
            for step in group:
                node = f"{above.node}[{number}].{step['name']}"
                yield from self._called(at[0], step, above, node)
        if "container" in template:
            node = f"{above.node}(0)" if "retryStrategy" in template else above.node
            yield replace(above, node=node, template=at[1])
        if "resource" in template:
            kind = yaml.safe_load(template["resource"]["manifest"].split("metadata:")[0])["kind"]
            yield replace(above, template=at[1], asks_for=kind)
            # The object is named after the task that asks for it, and its Workflow like the object.
            task = above.label.partition("/")[0]
            child = f"{above.workflow}-{task}"
            yield from self._below(CARRIED_OUT[kind], Step(task, child, child, ""))

    def _called(self, home: str, call: dict[str, Any], above: Step, node: str) -> Iterator[Step]:
        reference = call.get("templateRef") or {"name": home, "template": call["template"]}
        # The pipeline's own frame says nothing.
        label = "" if call["name"] == "pipeline" else f"{above.label}/{call['name']}".strip("/")
        at = (reference["name"], reference["template"])
        yield from self._below(at, Step(label, above.workflow, node, ""))


@pytest.fixture(scope="session")
def walk() -> Walk:
    """The steps of the shipped pipelines."""
    return Walk()


@pytest.fixture(scope="session")
def new_machine() -> Callable[[Path], Machine]:
    """Makes a machine on a folder; whoever asks also kills it."""
    return Machine


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, new_machine: Callable[[Path], Machine]
) -> Iterator[Machine]:
    """One server for all tests of a module: what one does to it, the next one sees."""
    machine = new_machine(tmp_path_factory.mktemp("shared") / "state")
    yield machine
    alarms = machine.world()["alarms"]
    machine.kill()
    assert alarms == []


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A fresh machine; at the end its server is gone and no merge was ever asked for."""
    made = Machine(tmp_path / "state")
    yield made
    alarms = made.world()["alarms"] if standing.read_address(made.state) is not None else []
    made.kill()
    assert alarms == []


@pytest.fixture
def repository(tmp_path: Path, new_repository: Callable[[Path], Path]) -> Path:
    """A small project that knows nothing of us: an HTTP service with a test."""
    return new_repository(tmp_path / "greeter")


@pytest.fixture(scope="session")
def new_repository() -> Callable[[Path], Path]:
    """Makes that project in a folder."""
    return _greeter


def _greeter(path: Path) -> Path:
    (path / "tests").mkdir(parents=True)
    (path / "greeter.py").write_text(
        "import os\n"
        "from http.server import BaseHTTPRequestHandler, HTTPServer\n\n\n"
        "def answer(path):\n"
        '    return (200, "hello") if path == "/" else (404, "no")\n\n\n'
        "class Handler(BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        code, text = answer(self.path)\n"
        "        self.send_response(code)\n"
        "        self.end_headers()\n"
        "        self.wfile.write(text.encode())\n\n\n"
        'if __name__ == "__main__":\n'
        '    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()\n'
    )
    (path / "tests" / "test_greeter.py").write_text(
        "import greeter\n\n\ndef test_it_greets():\n"
        '    assert greeter.answer("/")[1].startswith("hello")\n'
    )
    (path / "conftest.py").write_text("")
    (path / ".pressplay.yaml").write_text(
        "version: 1\nlanguage: python\npreview:\n  process:\n"
        "    command: [python3, greeter.py]\n    ready: /\n"
        # A busy machine must not be what the app is judged by.
        "acceptance:\n  thresholds: {max_p95_ms: 9000}\n"
        "  load: {rate: 200, samples: 100, timeout_s: 10}\n"
        "  endpoints:\n    - {path: /, expect: 200}\n"
    )
    for arguments in (
        ("init", "-q", "-b", "trunk"),
        ("add", "-A"),
        ("-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "start"),
    ):
        _git(path, *arguments)
    return path
