"""A runner in bubblewrap, for what only a sandbox can keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.pods import images, sandboxing, spec
from pressplay.pods.images import Image, Images
from pressplay.pods.running import PodResult, PodRun, PodRunner
from pressplay.pods.sandboxing import Bubblewrap

DETECTED = sandboxing.detect()


@dataclass
class Kept:
    """Sources from plain dictionaries."""

    folder: Path
    config_maps: dict[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self.config_maps.get(f"{namespace}/{name}")

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return self.secrets.get(f"{namespace}/{name}")

    def account_token(self, namespace: str, account: str) -> str:
        return ""

    def artifact(self, key: str) -> Path | None:
        return None

    def claim(self, namespace: str, name: str) -> Path:
        claim = self.folder / "claims" / name
        claim.mkdir(parents=True, exist_ok=True)
        return claim

    def pod_environment(self) -> Mapping[str, str]:
        return {}


@dataclass
class World:
    """Pods in a sandbox."""

    runner: PodRunner
    sources: Kept
    pods: Path
    created: list[PodRun] = field(default_factory=list)

    def create(
        self, script: str | Sequence[str], *, labels: Mapping[str, str] | None = None, **pod: Any
    ) -> PodRun:
        """A pod whose container `main` runs a shell script or an argument list."""
        main = {
            "name": "main",
            "image": pod.pop("image", "any"),
            "command": ["sh", "-c", script] if isinstance(script, str) else list(script),
            **pod.pop("container", {}),
        }
        run = self.runner.create(
            spec.parse_pod(
                {**pod, "containers": [main, *pod.get("containers", ())]},
                name="step-1",
                namespace="agents",
                uid=f"uid-{len(self.created)}",
                labels=labels or {},
            )
        )
        self.created.append(run)
        return run

    async def run(self, script: str | Sequence[str], **pod: Any) -> tuple[PodResult, str]:
        """Run it to the end; its result, and all that `main` printed."""
        run = self.create(script, **pod)
        result = await run.run()
        return result, run.log_path("main").read_text()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return images.host_image(etc_folder=tmp_path_factory.mktemp("image") / "etc")


@pytest.fixture
def sandbox() -> Bubblewrap:
    if not isinstance(DETECTED, Bubblewrap):
        pytest.skip(DETECTED.warning)
    return DETECTED


@pytest.fixture
def world(sandbox: Bubblewrap, host: Image, tmp_path: Path) -> Iterator[World]:
    sources = Kept(tmp_path)
    runner = PodRunner(
        directory=tmp_path / "pods",
        images=Images(host=host, named={"pressplay/runner": images.runner_image(host)}),
        sources=sources,
        sandbox=sandbox,
        clock=SystemClock(),
    )
    yield World(runner, sources, tmp_path / "pods")
    runner.sweep()
