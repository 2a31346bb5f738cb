"""`pressplay controllers` on a real cluster: with the shipped rights alone, beside real Argo.

The template that a real agent run enters is the pipeline's business (test_pipeline.py); here a
small one stands in its place, so that each end of a Workflow is seen within seconds.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from live import images
from pressplay.api import kinds
from pressplay.base.errors import Refused
from pressplay.cluster import kubeconfig
from pressplay.cluster.connection import Connection
from pressplay.cluster.port import AlreadyExists, Key, NotFound, Object
from pressplay.cluster.remote import RemoteObjects
from pressplay.manifests import loading

if TYPE_CHECKING:
    from live.places import Places

_PATIENCE_S = 90.0
_ADMISSION = "/apis/admissionregistration.k8s.io/v1/{}"
_POLICIES = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}

_TEMPLATE = """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: NAME}
spec:
  entrypoint: main
  serviceAccountName: agent-run
  arguments:
    parameters:
      - {name: github-app}
      - {name: run}
      - {name: task}
      - {name: request}
  templates:
    - &main
      name: main
      container:
        image: localhost/busybox:dev
        imagePullPolicy: Never
        command: [sh, -c]
        args:
          - |
            case "$REQUEST" in
              *'"task":"bad"'*) echo "the words of the step" > /tmp/reason; exit 2 ;;
              *'"task":"slow"'*) sleep 300 ;;
            esac
            echo 7 > /tmp/pr
            echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa > /tmp/head
        env: [{name: REQUEST, value: "{{workflow.parameters.request}}"}]
      outputs:
        parameters:
          - {name: reason, valueFrom: {path: /tmp/reason, default: ""}, globalName: reason}
          - {name: pr, valueFrom: {path: /tmp/pr, default: ""}, globalName: pr}
          - {name: head, valueFrom: {path: /tmp/head, default: ""}, globalName: head_sha}
    - {<<: *main, name: command}
"""


@dataclass
class Home:
    """A namespace with the shipped accounts, and the way there as `controllers`."""

    name: str
    store: RemoteObjects
    connection: Connection
    kubeconfig: Path

    @asynccontextmanager
    async def controllers(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program, ended at the latest when this ends."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pressplay.cli", "controllers"),
            *("--kubeconfig", str(self.kubeconfig), "--namespace", self.name, *options),
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.kubeconfig.parent)},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def key(self, kind: str, name: str) -> Key:
        return Key(kind, self.name, name)

    async def make(self, name: str, kind: str = "CodeRun", **spec: Any) -> Object:
        """An agent run whose task is called as it is."""
        wanted = {"repo": "o/r", "github": {"appName": "qa"}, "task": name, **spec}
        return await self.store.create(
            {
                "apiVersion": "taskmaster.io/v1",
                "kind": kind,
                "metadata": {"name": name, "namespace": self.name},
                "spec": wanted,
            }
        )

    async def status(self, name: str, *phases: str, kind: str = "CodeRun") -> Any:
        """The status of an agent run, once its phase is one of these."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                found = await self.store.get(self.key(kind, name))
                status = (found or {}).get("status", {})
                if status.get("phase") in phases:
                    return status
                await asyncio.sleep(0.1)

    async def gone(self, key: Key) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while await self.store.get(key) is not None:
                await asyncio.sleep(0.1)


@pytest.fixture
async def home(live_places: Places, tmp_path: Path) -> AsyncIterator[Home]:
    way = kubeconfig.read([live_places.kubeconfig])
    name = f"controllers-{secrets.token_hex(3)}"
    connection = Connection(way)
    async with RemoteObjects(way) as store:
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        outside = [each async for each in _install(store, name)]
        path = f"/api/v1/namespaces/{name}/serviceaccounts/controllers/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = (await connection.ask("POST", path, body=request))["status"]["token"]
        try:
            there = _kubeconfig(live_places.kubeconfig, tmp_path, token)
            yield Home(name, store, connection, there)
        finally:
            for key in (*outside, Key("Namespace", "", name)):
                await store.delete(key)
            await connection.aclose()


async def _install(store: RemoteObjects, home: str) -> AsyncIterator[Key]:
    """What is shipped, in a namespace of the test's own; what lies outside of it is told."""
    for obj in loading.shipped(namespace=home):
        if obj["kind"] == "CustomResourceDefinition":
            await _apply(store, obj)
        elif obj["kind"] not in ("Namespace", "WorkflowTemplate", "ConfigMap"):
            text = json.dumps(obj).replace('"namespace": "agents"', f'"namespace": "{home}"')
            moved = json.loads(text)
            if not kinds.by_name(obj["kind"]).namespaced:
                moved["metadata"]["name"] += f"-{home}"
                if "roleRef" in moved:
                    moved["roleRef"]["name"] += f"-{home}"
                yield Key(moved["kind"], "", moved["metadata"]["name"])
            await _apply(store, moved)
    for name in ("coderun-run", "docsrun-run"):
        template = yaml.safe_load(_TEMPLATE.replace("NAME", name))
        template["metadata"]["namespace"] = home
        await _apply(store, template)


async def _apply(store: RemoteObjects, obj: Object) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                await store.create(obj)
            except AlreadyExists:
                metadata = obj["metadata"]
                key = Key(obj["kind"], metadata.get("namespace", ""), metadata["name"])
                await store.patch(key, obj)
            except NotFound:
                # A kind that is installed is served a moment later.
                await asyncio.sleep(0.2)
                continue
            return


def _kubeconfig(path: Path, folder: Path, token: str) -> Path:
    config = yaml.safe_load(path.read_text())
    (folder / "token").write_text(token)
    config["users"][0]["user"] = {"tokenFile": "token"}
    made = folder / "config"
    made.write_text(yaml.safe_dump(config))
    return made


async def _read_until(process: asyncio.subprocess.Process, words: str) -> str:
    """The log up to the line with these words."""
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(_PATIENCE_S):
        while not lines or words not in lines[-1]:
            line = await process.stderr.readline()
            assert line, lines
            lines.append(line.decode())
    return "".join(lines)


async def test_agent_runs_end_as_their_workflows_do(home: Home) -> None:
    parent = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "parent", "namespace": home.name},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
    }
    await home.store.create(parent)
    await home.make("good", run="parent")
    async with home.controllers() as process:
        said = await _read_until(process, "controllers_ready controllers=runs,expiry")
        await home.make("bad")
        await home.make("slow")
        await home.make("told", kind="DocsRun", github={}, command=["true"])
        good = await home.status("good", "Succeeded", "Failed", "Error")
        assert good["phase"] == "Succeeded"
        assert (good["pullRequestNumber"], good["commitSha"]) == (7, "a" * 40)
        assert good["outputs"] == {"pr": "7", "head_sha": "a" * 40}
        bad = await home.status("bad", "Succeeded", "Failed", "Error")
        assert (bad["phase"], bad["reason"]) == ("Failed", "Refused")
        assert bad["message"] == "the words of the step"
        told = await home.status("told", "Succeeded", "Failed", "Error", kind="DocsRun")
        assert told["phase"] == "Succeeded"
        await home.status("slow", "Running")
        await home.store.patch(home.key("CodeRun", "slow"), {"spec": {"cancel": True}})
        await home.status("slow", "Cancelled")
        found = await home.store.get(home.key("Workflow", "parent"))
        assert found is not None
        labels = found["metadata"]["labels"]
        assert labels["pressplay.dev/pr"] == "7"
        assert labels["pressplay.dev/head"] == "a" * 40
        process.send_signal(signal.SIGTERM)
        said += await _read_until(process, "controllers_ended")
        assert await process.wait() == 0
    await home.store.delete(home.key("CodeRun", "good"))
    await home.gone(home.key("Workflow", "good"))
    for word in ("Traceback", "ERROR", "WARNING pressplay.controllers", "forbidden"):
        assert word not in said, said


async def test_what_was_begun_goes_on_with_the_next_process(home: Home) -> None:
    async with home.controllers() as process:
        await _read_until(process, "controllers_ready")
        await home.make("slow")
        await home.status("slow", "Running")
        process.kill()
        await process.wait()
    before = await home.store.get(home.key("Workflow", "slow"))
    await home.store.patch(home.key("CodeRun", "slow"), {"spec": {"cancel": True}})
    async with home.controllers(), home.controllers():
        await home.status("slow", "Cancelled")
    after = await home.store.get(home.key("Workflow", "slow"))
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.fixture
async def confined(home: Home) -> AsyncIterator[None]:
    """The shipped admission policy, about this namespace's accounts."""
    made = []
    text = (resources.files("pressplay.manifests") / "admission/confinement.yaml").read_text()
    text = text.replace("serviceaccount:agents:", f"serviceaccount:{home.name}:")
    for obj in yaml.safe_load_all(text):
        name = obj["metadata"]["name"] = f"{obj['metadata']['name']}-{home.name}"
        if "policyName" in obj["spec"]:
            obj["spec"]["policyName"] = name
        path = _ADMISSION.format(_POLICIES[obj["kind"]])
        await home.connection.ask("POST", path, body=obj)
        made.append(f"{path}/{name}")
    try:
        yield
    finally:
        for path in made:
            await home.connection.ask("DELETE", path)


async def _until_confined(home: Home, namespace: str) -> None:
    """A policy takes effect a moment after it is there."""
    somebody = Connection(kubeconfig.read([home.kubeconfig]))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                query = {"dryRun": "All"}
                try:
                    await somebody.ask("DELETE", f"/api/v1/namespaces/{namespace}", query=query)
                except Refused as error:
                    if "only Namespaces called impl-pr-" in str(error):
                        return
                await asyncio.sleep(0.2)
    finally:
        await somebody.aclose()


@pytest.mark.usefixtures("confined")
async def test_previews_end_and_nothing_else_does(home: Home) -> None:
    names = {each: f"impl-pr-{each}-{home.name}" for each in ("past", "future")}
    names["other"] = f"other-{home.name}"
    try:
        for each, name in names.items():
            year = "2999" if each == "future" else "2026"
            annotations = {"pressplay.dev/expires": f"{year}-01-01T00:00:00Z"}
            metadata = {"name": name, "labels": {"preview": "true"}, "annotations": annotations}
            obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            await home.store.create(obj)
        await _until_confined(home, names["other"])
        async with home.controllers() as process:
            said = await _read_until(process, f"preview_stays namespace={names['other']}")
            await home.gone(Key("Namespace", "", names["past"]))
            process.terminate()
            said += await _read_until(process, "controllers_ended")
        assert "only Namespaces called impl-pr-" in said
        # Previews belong to nobody's namespace: the installation that the pipeline's tests made
        # may have been faster. Without it, who but this process ended the one that is gone?
        assert said.count(f"preview_expired namespace={names['past']}") <= 1
        for each in ("future", "other"):
            found = await home.store.get(Key("Namespace", "", names[each]))
            assert found is not None
            assert found["status"]["phase"] == "Active"
    finally:
        for name in names.values():
            await home.store.delete(Key("Namespace", "", name))


async def test_account_without_the_rights_is_told_which_it_lacks(home: Home) -> None:
    await home.store.delete(home.key("RoleBinding", "controllers"))
    async with home.controllers() as process, asyncio.timeout(_PATIENCE_S):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert " cannot be watched: " in said.decode()
    assert f'system:serviceaccount:{home.name}:controllers" cannot list resource' in said.decode()


@pytest.mark.timeout(900)  # the first time, the image is made of a Debian root
async def test_the_shipped_deployment_finds_its_cluster_from_within(
    home: Home, live_places: Places
) -> None:
    await asyncio.to_thread(images.ensure, live_places)
    settings = {"GITHUB_API_URL": "https://forge.example"}
    metadata = {"name": "pressplay-settings", "namespace": home.name}
    await home.store.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings}
    )
    text = (resources.files("pressplay.manifests") / "cluster/controllers.yaml").read_text()
    obj = yaml.safe_load(text)
    obj["metadata"]["namespace"] = home.name
    await home.store.create(obj)
    await home.make("good")
    await home.status("good", "Succeeded")
    (pod,) = await home.store.list(
        "Pod", namespace=home.name, labels="app.kubernetes.io/name=controllers"
    )
    assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]
