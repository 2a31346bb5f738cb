"""The Rust sample's Helm chart, rendered by Helm as it would be for a preview."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pressplay.api import names, policy

pytestmark = pytest.mark.skipif(
    shutil.which("helm") is None, reason="no helm on this machine; see https://helm.sh"
)

REPOSITORY = Path(__file__).parents[3] / "src" / "pressplay" / "samples" / "rust" / "repository"
CHART = REPOSITORY / "charts" / "app"
PREVIEW = CHART / "values-preview.yaml"
SHA = "0123456789abcdef0123456789abcdef01234567"
NAMES = names.preview(
    owner="operator", repo="shelf", pr="7", domain="preview.localhost", scheme="repo-pr"
)
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = ["helm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@functools.cache
def rendered(release: str, *settings: str, values: Path | None = None) -> dict[str, dict[str, Any]]:
    """The objects by kind, of which each comes once."""
    chosen: list[str | Path] = [] if values is None else ["--values", values]
    done = helm("template", release, CHART, *chosen, *(f"--set-string={each}" for each in settings))
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    found = {each["kind"]: each for each in objects}
    assert len(found) == len(objects)
    return found


def of_a_preview(release: str = NAMES.release) -> dict[str, dict[str, Any]]:
    return rendered(
        release,
        "image.repository=registry.example/shelf",
        f"image.tag={SHA}",
        f"ingress.host={NAMES.host}",
        values=PREVIEW,
    )


def test_helm_has_nothing_to_complain_about() -> None:
    done = helm("lint", "--strict", CHART, "--values", PREVIEW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_a_preview_is_one_app_behind_one_host() -> None:
    found = of_a_preview()
    assert set(found) == {"Deployment", "Service", "Ingress"}
    (rule,) = found["Ingress"]["spec"]["rules"]
    assert rule["host"] == NAMES.host
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == found["Service"]["metadata"]["name"]
    ports = found["Service"]["spec"]["ports"]
    assert backend["port"]["name"] in [port["name"] for port in ports]
    pod = found["Deployment"]["spec"]["template"]
    assert found["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    assert ports[0]["targetPort"] in [port["name"] for port in container["ports"]]


def test_the_app_gets_the_heads_image_its_port_and_what_the_policy_asks_for() -> None:
    (container,) = of_a_preview()["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/shelf:{SHA}"
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["PORT"] == str(container["ports"][0]["containerPort"])
    assert variables["HOST"] == "0.0.0.0"  # noqa: S104 - inside of its container
    rules = policy.parse((REPOSITORY / policy.FILE_NAME).read_text(), source="the sample")
    assert container["readinessProbe"]["httpGet"]["path"] == rules.preview.process.ready
    # A quota refuses whoever does not say what it takes.
    assert set(container["resources"]) == {"requests", "limits"}


def test_nothing_chooses_a_namespace_or_holds_a_right() -> None:
    found = of_a_preview()
    assert not any("namespace" in each["metadata"] for each in found.values())
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("release", [NAMES.release, "r" * names.RELEASE_LIMIT])
def test_names_and_labels_are_as_kubernetes_wants_them(release: str) -> None:
    for each in of_a_preview(release).values():
        assert len(each["metadata"]["name"]) <= names.OBJECT_LIMIT
        assert all(LABEL.fullmatch(value) for value in each["metadata"]["labels"].values())


def test_without_the_previews_values_nothing_is_reachable_from_outside() -> None:
    assert set(rendered("shelf")) == {"Deployment", "Service"}


@pytest.mark.parametrize("field", ["image.repository", "ingress.host"])
def test_what_must_be_given_is_named(field: str) -> None:
    done = helm("template", "shelf", CHART, "--values", PREVIEW, f"--set-string={field}=")
    assert done.returncode != 0
    assert f"set {field}" in done.stderr
