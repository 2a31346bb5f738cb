"""The sample, taken through all roles by the scripted agent: what the demo shows is real."""

import json
import shutil
import socket
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2

from pressplay.api import policy

SAMPLE = Path(str(resources.files("pressplay"))) / "samples" / "python"
ENV = [{"name": "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "value": "1"}]


def test_the_scripted_agent_takes_the_sample_through_all_gates(world: Any, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "repository", world.clone)
    base = world.push({})
    title, _, body = (SAMPLE / "issue.md").read_text().partition("\n")
    issue = world.operator.open_issue(
        "captain", world.repo, title=title.lstrip("# "), body=body.strip()
    )
    scenario = {"scenario.yaml": (SAMPLE / "scenario.yaml").read_text()}
    request: dict[str, Any] = {"ref": "main", "sha": base}
    runs: dict[str, Any] = {}
    for role in ("rex", "clippy", "qa"):
        pods = runs[role] = world.pods(
            tmp_path / role,
            role=role,
            issue=str(issue.number),
            baseSha=base,
            env=ENV,
            agent="scripted" if role != "clippy" else "",
            **request,
        )
        for pod in ("prepare", "agent", "verify", "publish"):
            given = scenario if pod == "agent" else {}
            assert pods.run(pod, given) == 0, f"{role} {pod}: {pods.reason(pod)}"
        # Each role has something to do, or the demo would show nothing.
        assert pods.result()["outcome"] == "changed"
        request = {
            "pr": pods.out("publish", "pr"),
            "ref": pods.out("publish", "ref"),
            "sha": pods.out("publish", "head-sha"),
        }
    pods = runs["qa"]
    log = pods.artifact("verify", "qa/proof/tests.txt").read_text()
    assert "fails on the base, as it must: tests.test_count" in log
    assert "mutant" not in log
    rules = json.loads(pods.out("prepare", "workspace/policy.json"))
    ask_endpoints(pods, policy.Record.from_json(rules).policy, tmp_path / "head")


def ask_endpoints(pods: Any, rules: policy.Policy, tree: Path) -> None:
    """Every endpoint that the policy names answers as it says, on the last head."""
    for name, content in pods.files().items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable if w == "python3" else w for w in rules.preview.process.command]
    app = subprocess.Popen([*command], cwd=tree, env={"PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_until_ready(client, rules.preview.process.ready)
            for endpoint in rules.acceptance.endpoints:
                answer = client.request(endpoint.method, endpoint.path, json=endpoint.json)
                assert answer.status_code in endpoint.expect, endpoint.name
                if endpoint.body is not None:
                    assert endpoint.body.jsonpath.removeprefix("$.") in answer.json()
    finally:
        app.kill()
        app.wait()


def wait_until_ready(client: httpx2.Client, path: str) -> None:
    for _ in range(100):
        try:
            if client.get(path).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the sample did not start")
