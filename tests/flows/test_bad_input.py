"""What cannot be used is answered well: what, where, what next, and the right exit code."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Called, Machine  # only names here


def _commit(repository: Path) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    command = ["git", "-C", str(repository), *identity, "commit", "-qam", "change"]
    subprocess.run(command, check=True)


def _run(machine: Machine, repository: Path, folder: Path, *program: str) -> Called:
    issue = folder / "issue.md"
    issue.write_text("Do something\n")
    arguments = ("run", "--repo", repository, "--issue", issue, "--output", "json", "--")
    return machine.call(*arguments, *program)


def test_an_agent_that_changes_nothing_is_told_so_and_ends_with_1(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    done = _run(machine, repository, tmp_path, "true")
    assert done.code == 1, done.out + done.err
    assert done.json()["pr"] == {}
    assert machine.world()["namespaces"] == ["agents"]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("language: python", "langauge: python", "language"),
        ("    command: [python3, greeter.py]\n", "", "preview.process.command"),
    ],
)
def test_a_policy_that_cannot_be_used_ends_with_2_and_names_the_key(
    machine: Machine,
    repository: Path,
    tmp_path: Path,
    before: str,
    after: str,
    complaint: str,
) -> None:
    policy = repository / ".pressplay.yaml"
    assert before in policy.read_text()
    policy.write_text(policy.read_text().replace(before, after))
    _commit(repository)
    agent = tmp_path / "agent.sh"
    agent.write_text(
        "#!/bin/sh\n"
        'if [ "$PRESSPLAY_ROLE" = rex ]; then sed -i s/hello/hello2/ greeter.py; fi\n'
        'if [ "$PRESSPLAY_ROLE" = qa ]; then printf "import greeter\\n\\n\\ndef test_two():\\n'
        "    assert greeter.answer('/')[1] == 'hello2'\\n\" > tests/test_two.py; fi\n"
    )
    agent.chmod(0o755)
    done = _run(machine, repository, tmp_path, str(agent))
    assert done.code == 2, done.out + done.err
    assert complaint in done.json()["reason"]
    assert machine.world()["namespaces"] == ["agents"]
