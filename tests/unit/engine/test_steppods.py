"""A container or script template as a real pod."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pressplay.base import clocks
from pressplay.engine import templates
from pressplay.engine.artifacts import ArtifactRepository
from pressplay.engine.nodes import Outcome, Phase
from pressplay.engine.port import StepPod
from pressplay.engine.scoping import Given
from pressplay.engine.steppods import StepPods
from pressplay.engine.templates import Artifact
from pressplay.pods import images, sandboxing
from pressplay.pods.images import Images
from pressplay.pods.removing import Remover
from pressplay.pods.running import PodRun, PodRunner


class _NoSources:
    """A world without objects."""

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return None

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return None

    def account_token(self, namespace: str, account: str) -> str:
        return ""

    def artifact(self, key: str) -> Path | None:
        return None

    def claim(self, namespace: str, name: str) -> Path:
        raise NotImplementedError

    def pod_environment(self) -> Mapping[str, str]:
        return {}


class Bench:
    """Real pods below one folder."""

    def __init__(self, folder: Path) -> None:
        host = images.host_image(etc_folder=folder / "etc")
        self.artifacts = ArtifactRepository(folder / "artifacts")
        runner = PodRunner(
            directory=folder / "pods",
            images=Images(host),
            sources=_NoSources(),
            sandbox=sandboxing.detect(),
            clock=clocks.SystemClock(),
        )
        self.pods = StepPods(
            runner=runner, remover=Remover(), artifacts=self.artifacts, logs=folder / "logs"
        )

    async def run(self, raw: dict[str, Any], **artifacts: Artifact) -> Outcome:
        """Run one template."""
        template = templates.parse_template({"name": "t", **raw}, where="t")
        step = StepPod(
            uid="wf-1",
            name="wf-t-1",
            namespace="agents",
            workflow="wf",
            service_account="",
            template=template,
            given=Given({}, artifacts),
            wants_result="script" in raw,
        )
        return await self.pods.run(step)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench of its own."""
    return Bench(tmp_path)


def _shell(text: str, **more: Any) -> dict[str, Any]:
    return {"container": {"image": "x", "command": ["sh", "-c", text]}, **more}


def _parameter(name: str, **source: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "valueFrom": source}]}


async def test_a_parameter_is_read_from_its_file_without_the_last_line_end(bench: Bench) -> None:
    outputs = _parameter("word", path="/out/word")
    outcome = await bench.run(_shell("mkdir -p /out; echo hello > /out/word", outputs=outputs))
    assert (outcome.phase, outcome.outputs.parameters) == (Phase.SUCCEEDED, {"word": "hello"})


async def test_a_failed_step_still_hands_out_what_it_wrote(bench: Bench) -> None:
    outputs = {
        **_parameter("why", path="/out/why"),
        "artifacts": [{"name": "log", "path": "/out/log", "s3": {"key": "wf/log"}}],
    }
    script = "mkdir /out; echo no > /out/why; echo x > /out/log; exit 3"
    outcome = await bench.run(_shell(script, outputs=outputs))
    assert (outcome.phase, outcome.message) == (Phase.FAILED, "main: Error (exit code 3)")
    assert outcome.outputs.parameters == {"why": "no"}
    assert outcome.outputs.exit_code == "3"
    stored = bench.artifacts.path("wf/log")
    assert stored is not None
    assert stored.read_text() == "x\n"


@pytest.mark.parametrize(
    ("outer", "inner"), [("/out", "/out/deep/file"), ("/out/", "/out"), ("/", "/out/deep")]
)
async def test_outputs_that_lie_in_each_other_are_both_whole(
    bench: Bench, outer: str, inner: str
) -> None:
    outputs = {
        "artifacts": [
            {"name": "outer", "path": outer, "s3": {"key": "wf/outer"}},
            {"name": "inner", "path": inner, "s3": {"key": "wf/inner"}},
            {"name": "apart", "path": "/outside", "s3": {"key": "wf/apart"}},
        ]
    }
    script = "mkdir -p /out/deep; echo one > /out/deep/file; echo two > /outside"
    outcome = await bench.run(_shell(script, outputs=outputs))
    assert (outcome.phase, outcome.message) == (Phase.SUCCEEDED, "")
    found = [bench.artifacts.path(f"wf/{name}") for name in ("outer", "inner", "apart")]
    texts = [_texts(each) for each in found if each is not None]
    assert [text.count("one\n") for text in texts] == [1, 1, 0]
    assert texts[2] == "two\n"


def _texts(path: Path) -> str:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return "".join(each.read_text() for each in files if each.is_file())


async def test_artifacts_come_in_from_the_store_and_as_raw_text(bench: Bench) -> None:
    bench.artifacts.target("made/before").write_text("kept")
    outcome = await bench.run(
        _shell("cat /in/a /in/b > /out", outputs=_parameter("both", path="/out")),
        a=Artifact("a", path="/in/a", key="made/before"),
        b=Artifact("b", path="/in/b", raw="-raw"),
    )
    assert outcome.outputs.parameters == {"both": "kept-raw"}


async def test_a_missing_artifact_is_an_error_that_names_it(bench: Bench) -> None:
    outcome = await bench.run(_shell("true"), a=Artifact("a", path="/in/a", key="nowhere"))
    assert outcome.phase is Phase.ERROR
    assert "artifact a failed to load: The specified key does not exist." in outcome.message


async def test_a_link_planted_as_an_output_is_an_error_and_reads_nothing(bench: Bench) -> None:
    outputs = {
        **_parameter("stolen", path="/out/stolen"),
        "artifacts": [{"name": "more", "path": "/out/more", "s3": {"key": "wf/more"}}],
    }
    script = "mkdir /out; ln -s /etc/hostname /out/stolen; ln -s /etc /out/more"
    outcome = await bench.run(_shell(script, outputs=outputs))
    assert outcome.phase is Phase.ERROR
    assert "link" in outcome.message
    assert outcome.outputs.parameters == {}
    assert bench.artifacts.path("wf/more") is None


async def test_a_script_runs_its_source_and_its_output_is_the_result(bench: Bench) -> None:
    script = {"image": "x", "command": ["sh"], "source": "echo first\necho $((1 + 1))\n"}
    outcome = await bench.run({"script": script})
    assert outcome.outputs.result == "first\n2"


async def test_an_init_container_that_fails_gives_its_exit_code_and_its_last_words(
    bench: Bench,
) -> None:
    script = "echo minting; echo no key >&2; exit 3"
    init = {
        "name": "token",
        "image": "x",
        "command": ["sh", "-c", script],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    outcome = await bench.run(_shell("true", initContainers=[init]))
    assert outcome.phase is Phase.FAILED
    assert outcome.outputs.exit_code == "3"
    assert outcome.message == "token: Error (exit code 3): minting\nno key"


async def test_a_deadline_ends_the_pod_in_argos_words(bench: Bench) -> None:
    outcome = await bench.run(_shell("sleep 30", activeDeadlineSeconds=0.2))
    assert outcome.phase is Phase.FAILED
    assert outcome.message == "Pod was active on the node longer than the specified deadline"


async def test_a_sidecar_does_not_hold_the_pod(bench: Bench) -> None:
    sidecar = {"name": "beside", "image": "x", "command": ["sleep", "60"]}
    outcome = await bench.run(_shell("true", sidecars=[sidecar], activeDeadlineSeconds=20))
    assert outcome.phase is Phase.SUCCEEDED


async def test_a_container_without_a_command_is_refused(bench: Bench) -> None:
    outcome = await bench.run({"container": {"image": "x"}})
    assert outcome.phase is Phase.ERROR
    assert "no command" in outcome.message


async def test_a_log_is_found_while_its_step_runs_and_after(bench: Bench) -> None:
    template = _shell(
        "echo first; sleep 0.5; echo last",
        initContainers=[{"name": "early", "image": "x", "command": ["sh", "-c", "echo early"]}],
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(bench.run(template))
        while not _said(bench, "main"):
            await asyncio.sleep(0.02)
        assert bench.pods.is_running("agents", "wf-t-1")
        assert _said(bench, "main") == "first\n"
        assert _said(bench, "early") == "early\n"
        assert bench.pods.find_log("agents", "wf-t-1", "none") is None
        assert (await running).phase is Phase.SUCCEEDED
    assert not bench.pods.is_running("agents", "wf-t-1")
    assert (_said(bench, "early"), _said(bench, "main")) == ("early\n", "first\nlast\n")
    assert bench.pods.find_log("agents", "wf-t-2", "main") is None
    bench.pods.forget("wf")
    assert _said(bench, "main") == ""


def _said(bench: Bench, container: str) -> str:
    found = bench.pods.find_log("agents", "wf-t-1", container)
    return "" if found is None else found.read_text()


async def test_a_machine_that_cannot_run_a_pod_makes_an_error_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/where")

    monkeypatch.setattr(PodRun, "write", full)
    outcome = await bench.run(_shell("true"), a=Artifact("a", path="/in/a", raw="text"))
    assert outcome.phase is Phase.ERROR
    assert "No space left on device: '/some/where'" in outcome.message
