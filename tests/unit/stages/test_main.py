"""`python -m pressplay.stages NAME`, as a step starts it."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pressplay.stages import __main__ as entry


def start(arguments: list[str], out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pressplay.stages", *arguments],
        env={"PRESSPLAY_OUT": str(out), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("arguments", [["nope"], []])
def test_an_unknown_name_is_bad_input_and_lists_the_names(
    arguments: list[str], tmp_path: Path
) -> None:
    ended = start(arguments, tmp_path)
    assert ended.returncode == 2
    assert "Unknown stage" in ended.stderr
    assert "preflight" in ended.stderr
    assert "cleanup" in ended.stderr
    assert (tmp_path / "reason").read_text().startswith("Unknown stage")


def test_every_name_of_the_manifests_is_in_the_table() -> None:
    folder = Path(entry.__file__).parents[1] / "manifests" / "workflows"
    used = {
        word.strip(" ]")
        for path in folder.glob("*.yaml")
        for line in path.read_text().splitlines()
        if "pressplay.stages," in line
        for word in [line.split("pressplay.stages,", 1)[1].split(",")[0].split("]")[0]]
    }
    assert used
    assert used <= set(entry.STAGES)


def test_every_entry_names_a_module_and_a_function_of_this_room() -> None:
    for target in entry.STAGES.values():
        module, _, function = target.partition(":")
        assert module.startswith("pressplay.stages.")
        assert function.isidentifier()


def test_starting_a_stage_loads_no_other_stage_and_nothing_heavy(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pressplay.stages", "nope"],
        env={"PRESSPLAY_OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in ended.stderr.splitlines()}
    assert "pressplay.stages.wrapper" in loaded
    heavy = {"asyncio", "aiohttp", "httpx2", "yaml", "cryptography", "jsonschema_rs"}
    assert not loaded & heavy


def test_sigterm_ends_a_stage_with_143_after_its_clean_up(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from pressplay.stages import wrapper
        from pressplay.stages.environment import StageEnvironment

        def stage(env):
            try:
                print("ready", flush=True)
                time.sleep(30)
            finally:
                env.write_output("cleaned", "yes")

        wrapper.stop_on_signals()
        sys.exit(wrapper.run("nap", stage, StageEnvironment.of_process(())))
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={"PRESSPLAY_OUT": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert "Traceback" not in process.stderr.read()
    assert (tmp_path / "cleaned").read_text() == "yes"
    assert (tmp_path / "reason").read_text() == "Stage nap was stopped from outside"


def test_the_room_can_be_started_by_name() -> None:
    assert importlib.util.find_spec("pressplay.stages.__main__") is not None
