"""Each stage failing stops what follows and cleans up: the matrix of stages and their failures.

Every step of the shipped pipeline fails once by a fault that is put into its process (`FAULTS`; a
test compares the list with the manifests), and the stages fail by what really happens to them:

stage              | what really happens
-------------------|-----------------------------------------------------------------------------
preflight          | a policy that cannot be used (test_bad_input)
validate-prompt    | the prompts are gone
create-coderun     | a request that is not valid, of each kind
prepare            | an App's key is gone
agent              | fails, asks, changes nothing, never ends (test_bad_input); killed
warm               | fails without harm: it only saves time
verify of rex      | broken build, broken test (test_bad_input)
verify of clippy   | lint that nothing mends
verify of qa       | tests of its own that fail, that prove nothing; killed
build              | a build that fails; killed
deploy             | no right to make a preview; an app that does not come up (test_bad_input)
acceptance         | an app that fails or hangs (test_bad_input); too close to tell; killed
approve            | a draft by now; the App's key was replaced
seal               | no signing key, after a good run and after a bad one
cleanup            | no right to look for previews

What is killed is in test_killing.
"""

from __future__ import annotations

import base64
import copy
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressplay.api import names
from pressplay.app.wiring import OPERATOR
from pressplay.pods.running import RETIRED

if TYPE_CHECKING:
    from tests.flows.conftest import Called, Machine, Step, Walk

PIPELINE = "implementation-dag"
BUG, REFUSED, NO, UNAVAILABLE, INCONCLUSIVE = 70, 2, 1, 3, 4

FAULTS = {
    "preflight": BUG,
    "look-again": REFUSED,
    "set-params": BUG,
    "implement/context": REFUSED,
    "implement/validate-prompt": BUG,
    "implement/prepare": NO,
    "implement/agent": BUG,
    "implement/verify": REFUSED,
    "implement/publish": NO,
    "clippy-format/context": BUG,
    "clippy-format/validate-prompt": REFUSED,
    "clippy-format/prepare": BUG,
    "clippy-format/agent": NO,
    "clippy-format/verify": BUG,
    "clippy-format/publish": REFUSED,
    "qa-testing/context": BUG,
    "qa-testing/validate-prompt": REFUSED,
    "qa-testing/prepare": UNAVAILABLE,
    "qa-testing/agent": REFUSED,
    "qa-testing/verify": BUG,
    "qa-testing/publish": BUG,
    "deploy/source": BUG,
    "deploy/build": REFUSED,
    "deploy/deploy": BUG,
    "acceptance": BUG,
    "approve": BUG,
}
"""Steps, and the exit codes with which they are made to fail."""

OTHERWISE = {
    "implement/create-coderun",
    "clippy-format/create-coderun",
    "qa-testing/create-coderun",
    "deploy",
    "implement/warm",
    "clippy-format/warm",
    "qa-testing/warm",
    "seal",
    "cleanup",
}
"""Steps that have no process, that never run, or whose failing means something else: below."""

WORDS = "a fault that a test put in here"
FAULT = """
import os, sys
from pressplay.stages import __main__ as stages
from pressplay.stages.environment import Ending, Outcome

class Faulty:
    def run(env):
        if {code} == 70:
            raise RuntimeError({words!r})
        return Outcome(Ending({code}), {words!r})

if all(os.environ.get(name) == value for name, value in {where!r}.items()):
    sys.modules["faulty"] = Faulty
    stages.STAGES[{stage!r}] = "faulty:run"
sys.exit(stages.main([{stage!r}]))
"""
APPS = {"implement": "rex", "clippy-format": "clippy", "qa-testing": "qa"}

ISSUE = "# Greet with a wave\n\nSay hello, and a wave.\n"
TEST = (
    "import greeter\n\n\ndef test_it_waves():\n"
    '    assert greeter.answer("/")[1] == "hello, and a wave"\n'
)
AGENT = """#!/usr/bin/env python3
import os, pathlib
path = pathlib.Path("greeter.py")
if os.environ["PRESSPLAY_ROLE"] == "rex":
    path.write_text(path.read_text().replace("hello", "hello, and a wave") + {more!r})
else:
    pathlib.Path("tests/test_wave.py").write_text({test!r})
"""


@dataclass
class World:
    """A machine that the tests of this file share, and one repository on it."""

    machine: Machine
    repository: Path
    folder: Path
    walk: Walk
    before: dict[str, str] = field(default_factory=dict)
    """All of the repository when the run began."""
    mended: list[Callable[[], None]] = field(default_factory=list)

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
        command: list[str] = ["git", "-C", str(self.repository), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def change(self, path: str, before: str, after: str) -> None:
        """Edit a file of the repository and commit."""
        file = self.repository / path
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))
        self.git("commit", "-qam", "change")

    def run(self, *, more: str = "", test: str = TEST) -> Called:
        """`pressplay run` with an agent that appends `more` to the app and writes `test`."""
        issue, program = self.folder / "issue.md", self.folder / "agent"
        issue.write_text(ISSUE)
        program.write_text(AGENT.format(more=more, test=test))
        program.chmod(0o755)
        arguments = ("run", "--repo", self.repository, "--issue", issue, "--output", "json")
        self.before = _state(self.repository)
        return self.machine.call(*arguments, "--", program)

    def steps(self, run: str) -> dict[str, Step]:
        """The shipped steps of a run by their labels, in their order."""
        return {step.label: step for step in self.walk.steps(PIPELINE, run)}

    def phases(self, run: str) -> dict[str, str]:
        """How the nodes of a run and of its requests' Workflows ended, by name."""
        with self.machine.kube() as kube:
            made = kube.list("Workflow", "agents", labels=f"pressplay.dev/run={run}")
            whole = kube.get("Workflow", "agents", run)
        assert whole is not None
        return {
            node["name"]: node["phase"]
            for each in (whole, *made)
            for node in each["status"]["nodes"].values()
        }

    def requests(self, run: str) -> list[dict[str, Any]]:
        with self.machine.kube() as kube:
            return [
                each
                for kind in ("CodeRun", "DocsRun")
                for each in kube.list(kind, "agents", labels=f"pressplay.dev/run={run}")
            ]

    def previews(self) -> list[str]:
        mark = names.repo_hash(OPERATOR, self.repository.name)
        with self.machine.kube() as kube:
            found = kube.list("Namespace", "", labels=f"pressplay.dev/repo={mark}")
        return [each["metadata"]["name"] for each in found]

    def pulls(self) -> list[dict[str, Any]]:
        found: dict[str, Any] = self.machine.world()["repositories"]
        pulls: list[dict[str, Any]] = found.get(self.repository.name, {"pulls": []})["pulls"]
        return pulls

    def verdict(self, summary: dict[str, Any]) -> str:
        """What the proof of a run says by itself."""
        verified = self.machine.call("evidence", "verify", summary["bundle"], "--output", "json")
        assert verified.code == 0, verified.out
        found: str = verified.json()["verdict"]
        return found

    def tidy(self) -> None:
        """Take the previews away, as a user would."""
        for pull in self.pulls():
            arguments = ("--repo", f"{OPERATOR}/{self.repository.name}", "--yes")
            done = self.machine.call("preview", "destroy", str(pull["number"]), *arguments)
            assert done.code == 0, done.out + done.err

    # Breaking things, each until the end of the test

    def edit(self, template: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change a copy of a shipped WorkflowTemplate's templates and use it."""
        with self.machine.kube() as kube:
            found = kube.get("WorkflowTemplate", "agents", template)
            assert found is not None
            before = found["spec"]["templates"]
            change(after := copy.deepcopy(before))
            assert after != before
            kube.patch("WorkflowTemplate", "agents", template, {"spec": {"templates": after}})
        self.mended.append(lambda: self._put_back(template, before))

    def _put_back(self, template: str, before: list[dict[str, Any]]) -> None:
        with self.machine.kube() as kube:
            kube.patch("WorkflowTemplate", "agents", template, {"spec": {"templates": before}})

    def take_away(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object."""
        with self.machine.kube() as kube:
            before = kube.get(kind, namespace, name)
            assert before is not None
            kube.delete(kind, namespace, name)
        for each in ("resourceVersion", "uid", "creationTimestamp", "generation"):
            before["metadata"].pop(each, None)
        self.mended.append(lambda: self._make_again(before))

    def _make_again(self, obj: dict[str, Any]) -> None:
        with self.machine.kube() as kube:
            kube.apply(obj)

    def mend(self) -> None:
        """Everything as it was."""
        for each in reversed(self.mended):
            each()


@pytest.fixture
def world(
    shared: Machine, repository: Path, tmp_path: Path, walk: Walk, request: pytest.FixtureRequest
) -> Iterator[World]:
    """A repository with a name of its own and every step that there is."""
    named = repository.rename(tmp_path / f"greeter-{abs(hash(request.node.name)) % 10**8}")
    found = World(shared, named, tmp_path, walk)
    found.change(".pressplay.yaml", "    ready: /\n", "    build: ['true']\n    ready: /\n")
    yield found
    found.mend()
    assert found.previews() == []
    assert _state(named) == found.before


def _state(repository: Path) -> dict[str, str]:
    """All of a repository that is tracked or configured, but not its branches."""
    files = [each for each in sorted(repository.rglob("*")) if ".git" not in each.parts]
    return {
        "head": (repository / ".git" / "HEAD").read_text(),
        "config": (repository / ".git" / "config").read_text(),
        "files": "\n".join(f"{each} {each.read_bytes()!r}" for each in files if each.is_file()),
    }


def stopped(world: World, done: Called, *, at: str, code: int) -> dict[str, Any]:
    """The summary of a run that failed at one step, after everything that must be so then."""
    assert done.code == code, done.out + done.err
    summary = done.json()
    assert (summary["phase"], summary["exit_code"]) == ("Failed", code), summary
    run, phases = summary["run"], world.phases(summary["run"])
    steps = world.steps(run)
    assert phases[steps[at].node] in ("Failed", "Error"), phases
    labels = list(steps)
    after = [steps[label].node for label in labels[labels.index(at) + 1 :]]
    hook = [steps["seal"].node, steps["cleanup"].node]
    # What runs beside an agent had begun with it.
    ran = {n for n in after if phases.get(n, "Omitted") not in ("Omitted", "Skipped")} - {*hook}
    assert {node for node in ran if not node.endswith(".warm")} == set()
    assert [phases[node] for node in hook] == ["Succeeded", "Succeeded"]
    left_nothing(world, summary)
    assert all(not pull["reviews"] for pull in world.pulls())
    checks = [check for pull in world.pulls() for check in pull["checks"]]
    assert "success" not in [conclusion for _, conclusion, _ in checks]
    if at == "preflight":
        assert summary["bundle"] == "", "nothing had begun"
    else:
        # What was measured is what was measured; it was not approved all the same.
        assert (world.verdict(summary) == "pass") is (at == "approve")
    return summary


def left_nothing(world: World, summary: dict[str, Any]) -> None:
    """No preview, no request that goes on, no pod."""
    assert (summary["urls"], world.previews()) == ({}, [])
    asked = world.requests(summary["run"])
    assert {each["status"]["phase"] for each in asked} <= {"Succeeded", "Failed", "Cancelled"}
    pods = world.machine.state / "pods"
    assert not list(pods.glob(f"{summary['run']}*"))
    until = time.monotonic() + 20
    while list(pods.glob(f"{RETIRED}*")):
        assert time.monotonic() < until, "what is over is not removed"
        time.sleep(0.02)


# Every step


def test_every_shipped_step_is_made_to_fail(walk: Walk) -> None:
    shipped = {step.label for step in walk.steps(PIPELINE, "run")}
    assert shipped == {*FAULTS, *OTHERWISE}


def put_fault(world: World, label: str, code: int) -> None:
    """Let one step of the next run fail in its stage's own frame."""
    step = world.steps("run")[label]
    task, _, name = label.rpartition("/")
    # Steps that are carried out for several callers are told apart by their variables.
    where = {"PRESSPLAY_GITHUB_APP": APPS[task]} if task in APPS and name != "warm" else {}
    if step.template == "preflight":
        where = {"PRESSPLAY_LOOK": "locked" if label == "look-again" else "first"}
    home = PIPELINE
    if step.workflow != "run":
        home = "docsrun-run" if task == "deploy" else "coderun-run"
    elif name in ("context", "validate-prompt"):
        home = "coderun-template"

    def change(templates: list[dict[str, Any]]) -> None:
        container = next(t for t in templates if t["name"] == step.template)["container"]
        stage = container["command"][-1]
        program = FAULT.format(code=code, words=WORDS, where=where, stage=stage)
        container["command"] = ["python3", "-c", program]

    world.edit(home, change)


@pytest.mark.parametrize(("label", "code"), FAULTS.items(), ids=list(FAULTS))
def test_a_step_that_fails_stops_what_follows_and_the_run_cleans_up(
    world: World, label: str, code: int
) -> None:
    put_fault(world, label, code)
    summary = stopped(world, world.run(), at=label, code=code)
    assert ("met a bug of its own (RuntimeError)" if code == BUG else WORDS) in summary["reason"]


def test_a_cache_that_cannot_be_kept_costs_time_and_nothing_else(world: World) -> None:
    put_fault(world, "implement/warm", BUG)
    done = world.run()
    assert done.code == 0, done.out + done.err
    summary = done.json()
    warm = world.steps(summary["run"])["implement/warm"]
    assert world.phases(summary["run"])[warm.node] == "Failed"
    assert (summary["verdict"], world.verdict(summary)) == ("pass", "pass")
    world.tidy()


@pytest.mark.parametrize(
    ("label", "home", "template"),
    [
        ("clippy-format/create-coderun", "coderun-template", "create-coderun"),
        ("deploy", PIPELINE, "deploy"),
    ],
)
def test_a_request_that_is_not_taken_stops_the_run(
    world: World, label: str, home: str, template: str
) -> None:
    task = label.partition("/")[0]

    def change(templates: list[dict[str, Any]]) -> None:
        wanted = next(each for each in templates if each["name"] == template)["resource"]
        # The condition keeps it from the other callers of the same template.
        wrong = "timeoutSeconds: {{=inputs.parameters.task == 'TASK' ? -1 : 60}}"
        wrong = wrong.replace("TASK", task)
        if task == "deploy":
            wrong = "timeoutSeconds: -1"
        before = wanted["manifest"].partition("timeoutSeconds:")[2].partition("\n")[0]
        wanted["manifest"] = wanted["manifest"].replace(f"timeoutSeconds:{before}", wrong)

    world.edit(home, change)
    summary = stopped(world, world.run(), at=label, code=REFUSED)
    assert "spec.timeoutSeconds must be a whole number" in summary["reason"]


# What really happens


def test_without_prompts_no_agent_is_asked(world: World) -> None:
    world.take_away("ConfigMap", "agents", "controller-agents")
    summary = stopped(world, world.run(), at="implement/validate-prompt", code=REFUSED)
    assert "System prompt not found at /etc/agents/rex_system-prompt.md" in summary["reason"]


def test_an_app_whose_key_is_gone_stops_at_its_own_stage(world: World) -> None:
    world.take_away("Secret", "agents", "github-app-clippy")
    # A pod that cannot even be filled has no exit code.
    summary = stopped(world, world.run(), at="clippy-format/prepare", code=NO)
    assert "github-app-clippy" in summary["reason"]


def test_lint_that_nothing_mends_is_shown_and_nothing_is_deployed(world: World) -> None:
    done = world.run(more="\n\ndef unused():\n    return nowhere_defined\n")
    summary = stopped(world, done, at="clippy-format/verify", code=NO)
    assert "F821" in summary["reason"]


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (TEST.replace("hello, and a wave", "good bye"), "test_it_waves"),
        ("def test_nothing():\n    assert True\n", "qa.must_fail_on_base"),
    ],
    ids=["that fail", "that prove nothing"],
)
def test_tests_of_qa_stop_the_run(world: World, test: str, said: str) -> None:
    summary = stopped(world, world.run(test=test), at="qa-testing/verify", code=NO)
    assert said in summary["reason"]


def test_a_build_that_fails_is_told_in_its_own_words(world: World) -> None:
    build = "[python3, -c, 'raise SystemExit(\"no compiler today\")']"
    world.change(".pressplay.yaml", "build: ['true']", f"build: {build}")
    summary = stopped(world, world.run(), at="deploy/build", code=NO)
    assert "The build ended with exit code 1" in summary["reason"]
    assert "no compiler today" in summary["reason"]


def test_without_the_right_to_make_previews_nothing_is_served(world: World) -> None:
    world.take_away("ClusterRoleBinding", "", "pressplay-preview-manager")
    summary = stopped(world, world.run(), at="deploy/deploy", code=REFUSED)
    assert "preview-manager" in summary["reason"]


def test_an_app_too_close_to_tell_is_not_approved(world: World) -> None:
    world.change(".pressplay.yaml", "ready: /\n", "ready: /ready\n")
    world.change("greeter.py", '(404, "no")', '((200, "ok") if path == "/ready" else (404, "no"))')
    world.change(
        "greeter.py",
        "        code, text = answer(self.path)\n",
        "        code, text = answer(self.path)\n"
        "        type(self).asked = getattr(type(self), 'asked', 0) + (self.path == '/')\n"
        "        if type(self).asked in (31, 41, 51):\n            code = 503\n",
    )
    summary = stopped(world, world.run(), at="acceptance", code=INCONCLUSIVE)
    assert summary["verdict"] == "inconclusive"


@contextmanager
def meanwhile(world: World, label: str, act: Callable[[str], None]) -> Iterator[None]:
    """Do something with the next run as soon as one of its steps runs."""
    over = threading.Event()

    def watch() -> None:
        with world.machine.kube() as kube:
            known = {each["metadata"]["name"] for each in kube.list("Workflow", "agents")}
            while not over.wait(0.01):
                for workflow in kube.list("Workflow", "agents"):
                    run = workflow["metadata"]["name"]
                    if run in known or workflow["metadata"].get("ownerReferences"):
                        continue
                    node = world.steps(run)[label].node
                    nodes = workflow.get("status", {}).get("nodes", {}).values()
                    if any(each["name"] == node for each in nodes):
                        act(run)
                        return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def test_a_pull_request_that_became_a_draft_is_not_approved(world: World) -> None:
    def act(_run: str) -> None:
        with world.machine.operator() as operator:
            (pull,) = operator.pulls(OPERATOR, world.repository.name)
            operator.set_draft(OPERATOR, world.repository.name, pull.number, draft=True)

    with meanwhile(world, "acceptance", act):
        done = world.run()
    summary = stopped(world, done, at="approve", code=NO)
    assert "is a draft; nothing is approved until it is ready for review" in summary["reason"]


def test_an_approver_whose_key_was_replaced_approves_nothing(world: World) -> None:
    with world.machine.operator() as operator:
        replaced = operator.rotate_key("qa-approver")
    key = base64.b64encode(replaced.private_key.encode()).decode()

    def take_over() -> None:
        with world.machine.kube() as kube:
            patch = {"data": {"private-key": key}}
            kube.patch("Secret", "agents", "github-app-qa-approver", patch)

    world.mended.append(take_over)
    summary = stopped(world, world.run(), at="approve", code=REFUSED)
    assert "(401)" in summary["reason"]
    assert "Check that private-key belongs to App" in summary["reason"]


def test_a_run_that_cannot_be_sealed_says_so_and_is_no_success(world: World) -> None:
    world.take_away("Secret", "agents", "evidence-signing")
    done = world.run()
    summary = done.json()
    assert (done.code, summary["phase"]) == (REFUSED, "Succeeded"), done.out + done.err
    assert summary["bundle"] == ""
    assert "evidence-signing" in summary["reason"]
    phases, steps = world.phases(summary["run"]), world.steps(summary["run"])
    assert phases[steps["cleanup"].node] == "Succeeded"
    world.tidy()


def test_a_failed_run_that_cannot_be_sealed_still_loses_its_preview(world: World) -> None:
    world.take_away("Secret", "agents", "evidence-signing")
    put_fault(world, "acceptance", NO)
    done = world.run()
    summary = done.json()
    assert done.code == NO, done.out + done.err
    assert summary["bundle"] == ""
    assert WORDS in summary["reason"]
    assert "evidence-signing" in summary["reason"]
    left_nothing(world, summary)


def test_a_preview_that_cannot_be_removed_is_named(world: World) -> None:
    world.take_away("ClusterRoleBinding", "", "pressplay-preview-janitor")
    put_fault(world, "acceptance", NO)
    done = world.run()
    summary = done.json()
    assert done.code == NO, done.out + done.err
    assert WORDS in summary["reason"]
    assert "Not cleaned up: Previews could not be listed" in summary["reason"]
    assert world.verdict(summary) != "pass"
    assert world.previews() != []
    world.mend()
    world.mended.clear()
    world.tidy()
