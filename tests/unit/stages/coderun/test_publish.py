"""Publish's pod against a local forge: one branch moves forward, or nothing does."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.redaction import Secret
from pressplay.forge.client import Forge
from pressplay.stages import publish, wrapper

START = {"app.py": "x = 1\n", "tests/test_app.py": "def test_it() -> None:\n    assert True\n"}
Through = Callable[..., Any]


@pytest.fixture
def through(world: Any, tmp_path: Path) -> Through:
    """Takes a change through prepare, agent and verify; publish is the test's own."""
    world.push(START)

    def run(code: str = "open('app.py', 'a').write('y = 2\\n')", **request: Any) -> Any:
        if not request:
            made = world.operator.open_issue(
                "captain", world.repo, title="Add y", body="Please add y. <!-- pressplay run=x -->"
            )
            request = {"issue": str(made.number)}
        pods = world.pods(tmp_path / "pods", role="rex", **request)
        assert pods.run("prepare") == 0, pods.reason("prepare")
        agent = {"command.json": json.dumps([sys.executable, "/etc/pressplay/agent/a.py"])}
        assert pods.run("agent", agent | {"a.py": code}) == 0
        assert pods.run("verify") == 0, pods.reason("verify")
        return pods

    return run


def pulls(world: Any) -> list[Any]:
    return list(world.operator.pulls("captain", world.repo))


def edit(pods: Any, name: str, **change: Any) -> None:
    """Change one of the JSON files between the pods."""
    path = pods.root / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_the_branch_is_pushed_and_a_pull_request_opened(through: Through, world: Any) -> None:
    pods = through()
    assert pods.run("publish") == 0
    (pull,) = pulls(world)
    number = pods.request["issue"]
    head = pods.result()["head"]
    assert (pull.head_ref, pull.head_sha, pull.base_ref) == (
        f"pressplay/issue-{number}",
        head,
        "main",
    )
    assert (pull.title, pull.draft, pull.author) == ("Add y", False, "rex[bot]")
    assert f"Closes #{number}" in pull.body
    assert pull.body.count("<!-- pressplay run=") == 1
    assert "<!-- pressplay run=implement-r1-i7 -->" in pull.body
    assert pods.out("publish", "pr") == str(pull.number)
    assert pods.out("publish", "pr-url") == pull.html_url
    assert pods.out("publish", "ref") == pull.head_ref
    assert pods.out("publish", "head-sha") == head
    said = pods.artifact("publish", "rex/commit.txt").read_text()
    assert said.startswith(f"{head} rex[bot] <rex[bot]@users.noreply.pressplay.dev> Add y")


def test_publishing_twice_is_publishing_once(through: Through, world: Any) -> None:
    pods = through()
    assert pods.run("publish") == 0
    first = pods.out("publish", "pr")
    assert pods.run("publish") == 0
    assert pods.out("publish", "pr") == first
    assert len(pulls(world)) == 1


def test_a_branch_that_moved_meanwhile_is_left_alone(through: Through, world: Any) -> None:
    pods = through()
    assert pods.run("publish") == 0
    branch = pods.out("publish", "ref")
    number = pods.out("publish", "pr")
    again = through(
        "open('app.py', 'a').write('z = 3\\n')", pr=number, ref=branch, sha=world.head(branch)
    )
    theirs = world.push({"other.py": "o = 1\n"}, branch=branch)
    assert again.run("publish") == 1
    assert f"branch {branch} moved ({theirs[:10]})" in again.reason("publish")
    assert world.head(branch) == theirs


def test_a_pull_requests_own_branch_moves_forward(through: Through, world: Any) -> None:
    pods = through()
    assert pods.run("publish") == 0
    branch, number = pods.out("publish", "ref"), pods.out("publish", "pr")
    again = through(
        "open('app.py', 'a').write('z = 3\\n')", pr=number, ref=branch, sha=world.head(branch)
    )
    assert again.run("publish") == 0
    assert again.out("publish", "pr") == number
    assert world.head(branch) == again.result()["head"]
    assert len(pulls(world)) == 1


def test_without_new_commits_nothing_is_pushed_and_the_present_state_told(
    through: Through, world: Any, tmp_path: Path
) -> None:
    first = through()
    assert first.run("publish") == 0
    branch, number = first.out("publish", "ref"), first.out("publish", "pr")
    head = world.head(branch)
    pods = world.pods(tmp_path / "more", role="clippy", pr=number, ref=branch, sha=head)
    for pod in ("prepare", "agent", "verify", "publish"):
        assert pods.run(pod) == 0
    assert pods.out("publish", "head-sha") == head
    assert pods.out("publish", "pr") == number
    assert not pods.artifact("publish", "clippy/commit.txt").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"passed": False, "reasons": ["it stinks"]}, "verify said no: it stinks"),
        ({"passed": "true"}, "verify said no"),
        ({"head": "1" * 40}, "judged another commit"),
        ({"role": "qa"}, "judged another commit"),
    ],
)
def test_only_verifys_yes_to_this_commit_counts(
    through: Through, world: Any, change: dict[str, Any], words: str
) -> None:
    pods = through()
    edit(pods, "verify/out/verification/verification.json", **change)
    assert pods.run("publish") == 1
    assert words in pods.reason("publish")
    assert world.head(f"pressplay/issue-{pods.request['issue']}") == ""


def test_publish_examines_again_and_does_not_believe_verify(through: Through, world: Any) -> None:
    pods = through()
    agent = {"command.json": json.dumps([sys.executable, "/etc/pressplay/agent/a.py"])}
    code = "import os; os.makedirs('.github'); open('.github/ci.yml', 'w').write('x')"
    assert pods.run("agent", agent | {"a.py": code}) == 0
    head = pods.result()["head"]
    edit(pods, "verify/out/verification/verification.json", head=head)
    assert pods.run("publish") == 1
    assert ".github/ci.yml is configuration of CI" in pods.reason("publish")
    assert pulls(world) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"branch": "main"}, "not this run's own branch"),
        ({"branch": "other"}, "not this run's own branch"),
        ({"fork": True}, "in a fork"),
    ],
)
def test_only_the_one_branch_is_pushed(
    through: Through, world: Any, change: dict[str, Any], words: str
) -> None:
    pods = through()
    edit(pods, "prepare/out/workspace/context.json", **change)
    before = world.head("main")
    assert pods.run("publish") == 1
    assert words in pods.reason("publish")
    assert world.head("main") == before
    assert pulls(world) == []


def test_a_forks_author_is_told_what_was_made(through: Through) -> None:
    pods = through()
    edit(pods, "prepare/out/workspace/context.json", fork=True)
    assert pods.run("publish") == 1
    said = pods.artifact("publish", "rex/commit.txt").read_text()
    assert "Not pushed" in said
    assert pods.result()["head"] in said


def test_a_protected_branch_is_never_pushed(through: Through, world: Any) -> None:
    pods = through()
    assert pods.run("publish") == 0
    branch, number = pods.out("publish", "ref"), pods.out("publish", "pr")
    before = world.head(branch)
    again = through("open('app.py', 'a').write('z = 3\\n')", pr=number, ref=branch, sha=before)
    world.operator.set_protection("captain", world.repo, branch, enabled=True)
    assert again.run("publish") == 1
    assert f"branch {branch} is protected" in again.reason("publish")
    assert world.head(branch) == before


def test_a_pull_request_from_the_default_branch_gets_no_push(through: Through, world: Any) -> None:
    world.push({"old.py": "o = 1\n"}, branch="release")
    world.push({"app.py": "x = 2\n"})
    with Forge(api_url=f"{world.url}/api/v3", token=Secret(world.token())) as forge:
        made = forge.open_pull(
            "captain", world.repo, head="main", base="release", title="Forward", body=""
        )
    pods = through(pr=str(made.number), ref="main", sha=world.head("main"))
    before = world.head("main")
    assert pods.run("publish") == 1
    assert "main is the default branch" in pods.reason("publish")
    assert world.head("main") == before


def test_a_pull_request_that_was_closed_meanwhile_gets_no_push(
    through: Through, world: Any
) -> None:
    pods = through()
    assert pods.run("publish") == 0
    branch, number = pods.out("publish", "ref"), pods.out("publish", "pr")
    before = world.head(branch)
    again = through("open('app.py', 'a').write('z = 3\\n')", pr=number, ref=branch, sha=before)
    world.operator.set_pull_state("captain", world.repo, int(number), state="closed")
    assert again.run("publish") == 1
    assert "was closed while the agent worked" in again.reason("publish")
    assert world.head(branch) == before


def test_nothing_of_the_repository_is_run_beside_the_token(
    through: Through, tmp_path: Path
) -> None:
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'pwned')!r}).touch()\n"
    code = (
        "import os\n"
        f"trap = {trap!r}\n"
        "for name in ('conftest.py', 'sitecustomize.py', 'setup.py', 'ruff.py', 'git.py'):\n"
        "    open(name, 'w').write(trap)\n"
        "open('.gitattributes', 'w').write('* filter=x diff=x merge=x\\n')\n"
    )
    pods = through(code)
    assert pods.run("publish") == 0
    assert not (tmp_path / "pwned").exists()


def test_a_forge_that_does_not_answer_is_worth_a_retry(through: Through) -> None:
    pods = through()
    pods.settings["GITHUB_SERVER_URL"] = "http://127.0.0.1:9"
    assert pods.run("publish") == 3


def test_a_missing_token_is_said(through: Through) -> None:
    pods = through()
    env = pods.env("publish")
    env.token_file.unlink()
    assert wrapper.run("publish", publish.run, env) == 2
    assert "No token at" in pods.reason("publish")
