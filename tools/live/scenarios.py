"""The runs that must be seen on a live cluster, each as what somebody does and what is seen then.

They are started together and waited for one by one: alone, most of their time is waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from live import forge, world
from live.world import AGENTS, MANIFESTS, Object, World
from pressplay.api.forge import Issue, Pull, Repository
from pressplay.forge import transport

GREETER = """import os
from http.server import BaseHTTPRequestHandler, HTTPServer


def answer(path):
    return (200, "hello") if path == "/" else (404, "no")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        code, text = answer(self.path)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
TEST = """import greeter


def test_it_greets():
    assert greeter.answer("/")[1].startswith("hello")
"""
POLICY = """version: 1
language: python
preview:
  process:
    command: [python3, greeter.py]
    ready: /
acceptance:
  # Patient: the cluster, the other runs and the app share two processors.
  load: {rate: 20, samples: 100, timeout_s: 5}
  thresholds: {max_p95_ms: 4000}
  endpoints:
    - {path: /, expect: 200}
"""
FILES: Mapping[str, str] = {
    "greeter.py": GREETER,
    "tests/test_greeter.py": TEST,
    "conftest.py": "",
    ".pressplay.yaml": POLICY,
}

WAVES = """set -e
case "$PRESSPLAY_ROLE" in
rex) sed -i 's/"hello"/"hello, and a wave"/' greeter.py ;;
qa) cat >tests/test_wave.py <<'PY'
import greeter


def test_it_waves():
    assert greeter.answer("/")[1] == "hello, and a wave"
PY
;;
esac
"""
IDLES = "echo nothing to do\n"
NEVER_ENDS = "sleep 3000\n"

HURRIED = "coderun-template-hurried"
HURRIED_S = 30


def agent(script: str) -> dict[str, str]:
    """The files of an agent of the kind `command` that is a shell script."""
    return {
        "command.json": '["sh", "/etc/pressplay/agent/work.sh"]',
        "work.sh": script,
    }


@dataclass(frozen=True)
class Seen:
    """What a scenario left: its run at the end, and whatever else it noted on the way."""

    run: Object
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the run."""
        return str(self.run["metadata"]["name"])

    @property
    def phase(self) -> str:
        """Of the run."""
        return str(self.run["status"].get("phase", ""))

    @property
    def outputs(self) -> dict[str, str]:
        """Of the run as a whole."""
        return world.outputs(self.run)

    def node(self, name: str) -> Object:
        """A node by its name without the run's own."""
        return world.node(self.run, name)

    def phase_of(self, name: str) -> str:
        """Of a node; empty where there is none."""
        return world.phase(self.run, name)

    def __str__(self) -> str:
        return f"{world.shown(self.run)}\n{self.notes}"


def goes_green(live: World) -> Seen:
    """An issue, an agent that does it, and nobody disturbs."""
    found, issue = _issue(live, "green")
    name = live.play(found, agent=agent(WAVES), values={"issue": str(issue.number)})
    run = live.until_over(name)
    with live.forge.client() as client:
        pulls = client.pulls(found.owner, found.name)
        reviews = [
            each for pull in pulls for each in client.reviews(found.owner, found.name, pull.number)
        ]
        checks = [
            each
            for pull in pulls
            for each in client.check_runs(found.owner, found.name, pull.head_sha)
        ]
    notes: dict[str, Any] = {"pulls": pulls, "reviews": reviews, "checks": checks}
    notes["keys"] = live.artifacts.keys(f"{name}/")
    notes["preview"] = bool(_previews(live, name))
    for pull in pulls:
        live.forge.operator.set_pull_state(found.owner, found.name, pull.number, state="closed")
    notes["preview_stays"] = not live.comes_true(lambda: not _previews(live, name))
    return Seen(run, notes)


def controller_dies(live: World) -> Seen:
    """A pull request is validated, and the workflow controller is killed while the agent works."""
    found, pull = _pull(live, "bereft", policy=POLICY)
    name = live.play(
        found,
        template="pr-validation",
        agent=agent(f"sleep 8\n{WAVES}"),
        values={"pr": str(pull.number), "sha": pull.head_sha},
    )
    _until_at_work(live, f"{name}-qa-testing")
    before = live.kubectl(*_CONTROLLER, "-o", "name").split()
    live.kubectl(*_CONTROLLER_GONE)
    run = live.until_over(name)
    after = live.kubectl(*_CONTROLLER, "-o", "name").split()
    return Seen(run, {"before": before, "after": after})


def judged_red(live: World) -> Seen:
    """A pull request whose preview does not answer as its policy wants."""
    policy = POLICY + "    - {path: /absent, expect: 200}\n"
    found, pull = _pull(live, "grumpy", policy=policy)
    name = live.play(
        found,
        template="pr-validation",
        agent=agent(WAVES),
        values={"pr": str(pull.number), "sha": pull.head_sha},
    )
    run = live.until_over(name)
    notes = {"preview": bool(_previews(live, name)), "keys": live.artifacts.keys(f"{name}/")}
    return Seen(run, notes)


def task_fails(live: World) -> Seen:
    """The agent changes nothing, so that its request fails."""
    found, issue = _issue(live, "idle")
    name = live.play(found, agent=agent(IDLES), values={"issue": str(issue.number)})
    run = live.until_over(name)
    return Seen(run, {"request": live.request("CodeRun", f"{name}-implement")})


def request_is_cancelled(live: World) -> Seen:
    """Somebody cancels the request while the agent works."""
    found, issue = _issue(live, "cancelled")
    name = live.play(found, agent=agent(NEVER_ENDS), values={"issue": str(issue.number)})
    request = f"{name}-implement"
    _until_at_work(live, request)
    live.kube.patch("CodeRun", AGENTS, request, {"spec": {"cancel": True}})
    run = live.until_over(name)
    return Seen(run, {"request": live.request("CodeRun", request)})


def request_is_never_answered(live: World) -> Seen:
    """The shipped template, its deadline of an hour cut down, and an agent that never ends."""
    found, issue = _issue(live, "unanswered")
    head = _head(live, found)
    live.kube.apply(_hurried())
    name = live.play(
        found,
        template=HURRIED,
        agent=agent(NEVER_ENDS),
        values={
            "github-app": "rex",
            "task": "implement",
            "issue": str(issue.number),
            "ref": "trunk",
            "sha": head,
            "base-sha": head,
        },
    )
    run = live.until_over(name)
    request = live.request("CodeRun", f"{name}-implement")
    live.kube.patch("CodeRun", AGENTS, f"{name}-implement", {"spec": {"cancel": True}})
    return Seen(run, {"request": request})


def request_is_not_valid(live: World) -> Seen:
    """The step that asks, called with a repository that no CodeRun may name."""
    name = "live-not-valid"
    obj: Object = yaml.safe_load((MANIFESTS / "workflows" / "coderun-template.yaml").read_text())
    (asks,) = (each for each in obj["spec"]["templates"] if each["name"] == "create-coderun")
    values = {each["name"]: "" for each in asks["inputs"]["parameters"]}
    values |= {"github-app": "rex", "task": "implement", "repository": "not a repository"}
    step = {
        "name": "ask",
        "templateRef": {"name": "coderun-template", "template": "create-coderun"},
        "arguments": {"parameters": [{"name": n, "value": v} for n, v in values.items()]},
    }
    live.kube.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": name, "namespace": AGENTS},
            "spec": {
                "entrypoint": "main",
                "serviceAccountName": "workflow-agent",
                "templates": [{"name": "main", "steps": [[step]]}],
            },
        }
    )
    return Seen(live.until_over(name))


def somebody_stops_it(live: World) -> Seen:
    """`argo stop` while the agent works."""
    found, issue = _issue(live, "stopped")
    name = live.play(found, agent=agent(NEVER_ENDS), values={"issue": str(issue.number)})
    request = f"{name}-implement"
    _until_at_work(live, request)
    live.kubectl.program("argo", "-n", AGENTS, "stop", name)
    run = live.until_over(name)
    ended = live.until_request("CodeRun", request, _ENDED)
    return Seen(run, {"request": ended, "work": live.workflow(request)})


def newer_run_comes(live: World) -> Seen:
    """Two runs for one issue; the older one's agent never ends."""
    found, issue = _issue(live, "rivals")
    older = live.play(found, agent=agent(NEVER_ENDS), values={"issue": str(issue.number)})
    _until_at_work(live, f"{older}-implement")
    newer = live.play(found, agent=agent(NEVER_ENDS), values={"issue": str(issue.number)})
    waiting: list[str] = []

    def has_begun(run: Object) -> bool:
        waiting.append(str(world.node(run, ".pipeline").get("message", "")))
        return bool(world.node(run, ".pipeline.implement"))

    begun = live.until(newer, has_begun)
    ended = live.until_over(older)
    live.kube.patch("Workflow", AGENTS, newer, {"spec": {"shutdown": "Stop"}})
    live.until_over(newer)
    return Seen(
        ended,
        {"newer": newer, "begun": begun, "waiting": [each for each in waiting if each]},
    )


def forge_is_out_for_the_stage(live: World) -> Seen:
    """The forge says "not now" until the first try of preflight has given up."""
    found, issue = _issue(live, "flaky", state="closed")
    path = f"/api/v3/repos/{found.owner}/{found.name}"
    live.forge.fail(f"GET {path}", times=transport.ATTEMPTS)
    return Seen(live.until_over(live.play(found, values={"issue": str(issue.number)})))


def forge_is_out_for_the_token(live: World) -> Seen:
    """The forge says "not now" until the first try of preflight's init container has given up."""
    found, issue = _issue(live, "shaky", state="closed")
    path = f"/api/v3/repos/{found.owner}/{found.name}/installation"
    live.forge.fail(f"GET {path}", times=transport.ATTEMPTS)
    return Seen(live.until_over(live.play(found, values={"issue": str(issue.number)})))


Scenario = Callable[[World], Seen]

ALL: tuple[Scenario, ...] = (
    goes_green,
    judged_red,
    forge_is_out_for_the_stage,
    forge_is_out_for_the_token,
    request_is_not_valid,
    task_fails,
    request_is_never_answered,
    request_is_cancelled,
    somebody_stops_it,
    newer_run_comes,
    controller_dies,
)
"""In the order in which they begin: what takes longest first, what disturbs others last."""

_ENDED = ("Succeeded", "Failed", "Error", "Cancelled")
_CONTROLLER = ("-n", "argo", "get", "pods", "-l", "app=workflow-controller")
_CONTROLLER_GONE = (
    *("-n", "argo", "delete", "pods", "-l", "app=workflow-controller"),
    *("--grace-period=0", "--force"),
)


def _previews(live: World, run: str) -> list[Object]:
    """The Namespaces that a run owns."""
    return live.kube.list("Namespace", labels=f"preview=true,pressplay.dev/workflow={run}")


def _until_at_work(live: World, request: str) -> None:
    """Until the agent of a request has begun."""
    live.until_request("CodeRun", request, ("Running",))
    live.until(request, lambda run: world.phase(run, "[1].agent") == "Running")


def _issue(live: World, name: str, *, state: str = "open") -> tuple[Repository, Issue]:
    found = live.new_repository(name, FILES)
    operator = live.forge.operator
    title, body = "Greet with a wave", "Say hello, and a wave."
    issue = operator.open_issue(found.owner, found.name, title=title, body=body)
    if state != "open":
        path = f"api/v3/repos/{found.owner}/{found.name}/issues/{issue.number}"
        operator.ask("PATCH", path, body={"state": state})
    return found, issue


def _pull(live: World, name: str, *, policy: str) -> tuple[Repository, Pull]:
    """A pull request that somebody opened, with the change that the agent would have made."""
    found = live.new_repository(name, {**FILES, ".pressplay.yaml": policy})
    folder = live.folder / name
    forge.git(folder, "checkout", "--quiet", "-b", "wave")
    (folder / "greeter.py").write_text(GREETER.replace('"hello"', '"hello, and a wave"'))
    live.commit(folder, message="Greet with a wave")
    live.forge.push(found, folder, "wave")
    pull = live.forge.operator.open_pull(
        found.owner, found.name, head="wave", base="trunk", title="Greet with a wave"
    )
    return found, pull


def _head(live: World, found: Repository) -> str:
    return forge.git(live.folder / found.name, "rev-parse", "HEAD")


def _hurried() -> Object:
    """`coderun-template` with another name and another deadline, and nothing else."""
    obj: Object = yaml.safe_load((MANIFESTS / "workflows" / "coderun-template.yaml").read_text())
    obj["metadata"] |= {"name": HURRIED, "namespace": AGENTS}
    (waiting,) = (each for each in obj["spec"]["templates"] if each["name"] == "create-coderun")
    waiting["activeDeadlineSeconds"] = HURRIED_S
    return obj
