"""What an agent can reach: its checkout, its task, and nothing else of the machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pressplay.pods import sandboxing

if TYPE_CHECKING:
    from tests.flows.conftest import Machine  # only a name here: pytest hands the object in

PROBE = """#!/usr/bin/env python3
import json, os, pathlib, socket

def reaches(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False

def readable(path):
    try:
        return os.listdir(path) if os.path.isdir(path) else open(path).read()[:20]
    except OSError:
        return None

if os.environ["PRESSPLAY_ROLE"] == "rex":
    seen = {
        "environment": sorted(os.environ),
        "ports": [port for port in PORTS if reaches(port)],
        "files": {path: readable(path) for path in PATHS if readable(path)},
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "root": os.access("/etc/passwd", os.W_OK),
    }
    pathlib.Path("probe.json").write_text(json.dumps(seen))
"""


def test_an_agent_sees_no_token_no_network_and_no_file_of_the_user(
    machine: Machine, repository: Path, tmp_path: Path
) -> None:
    if not sandboxing.detect().is_tight:
        pytest.skip("this host forbids user namespaces; the server says so loudly")
    address = machine.address
    secret = tmp_path / "home" / "id_ed25519"
    secret.parent.mkdir()
    secret.write_text("a user's key")
    paths = [
        *(str(secret), str(machine.state), str(repository), str(Path.home() / ".ssh")),
        *("/var/run/secrets", "/var/run/github", "/run/secrets", "/etc/shadow"),
    ]
    ports = [int(url.rpartition(":")[2]) for url in (address.kube_url, address.forge_url)]
    agent = tmp_path / "probe.py"
    agent.write_text(PROBE.replace("PORTS", json.dumps(ports)).replace("PATHS", json.dumps(paths)))
    agent.chmod(0o755)
    issue = tmp_path / "issue.md"
    issue.write_text("Look around\n")
    arguments = ("run", "--repo", repository, "--issue", issue, "--output", "json", "--")
    done = machine.call(*arguments, agent)
    assert done.json()["branch"], done.out + done.err
    command: list[str] = ["git", "-C", str(repository), "show", "pressplay/issue-1:probe.json"]
    seen = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert seen["ports"] == []
    assert seen["files"] == {}
    assert seen["processes"] < 10
    assert not seen["root"]
    suspicious = ("TOKEN", "KEY", "SECRET", "GITHUB", "KUBE")
    assert [name for name in seen["environment"] if any(word in name for word in suspicious)] == []
