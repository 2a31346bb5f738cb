"""What a repository depends on, in the pods of an agent run: warmed, restored, never spoiled."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pressplay.stages import caching, relaying
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.relaying import Carried
from pressplay.stages.toolchains.python import Python

WriteCommit = Callable[..., str]
RunGit = Callable[..., str]

START = {
    "app.py": "import bolts\n\n\ndef count() -> int:\n    return bolts.COUNT\n",
    "requirements.txt": "bolts\n",
}
ADD_DEPENDENCY = "open('requirements.txt', 'a').write('{}\\n')\n"


@dataclass(frozen=True)
class Shelf(Carried):
    """A way out that leads to a folder of wheels."""

    folder: str = ""

    def registry_variables(self) -> dict[str, str]:
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.folder}


def _wheel(folder: Path, name: str, module: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(module, text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        tags = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in the place of the registries."""
    folder = tmp_path / "wheels"
    _wheel(folder, "bolts", "bolts.py", "COUNT = 3\n")
    _wheel(folder, "nuts", "nuts.py", "COUNT = 4\n")
    _wheel(folder, "pytest", "pytest/__main__.py", "raise SystemExit(3)\n")

    @contextmanager
    def carried(env: StageEnvironment) -> Iterator[Carried]:
        yield Shelf(folder=str(folder))

    monkeypatch.setattr(relaying, "carried", carried)
    return folder


@pytest.fixture
def origin(tmp_path: Path, write_commit: WriteCommit) -> Path:
    write_commit(tmp_path / "origin", START)
    return tmp_path / "origin"


def _program(code: str) -> dict[str, str]:
    command = [sys.executable, "/etc/pressplay/agent/agent.py"]
    return {"command.json": json.dumps(command), "agent.py": code}


def _saved(pods: Any) -> Path:
    found: Path = pods.root / "warm" / "out" / caching.OUTPUT
    return found


def test_only_the_base_is_warmed_and_a_second_run_finds_it(
    pods: Any,
    origin: Path,
    shelf: Path,
    write_commit: WriteCommit,
    run_git: RunGit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = run_git(origin, "git", "rev-parse", "HEAD")
    # The head asks for more, as somebody's pull request may.
    head = write_commit(origin, {"requirements.txt": "bolts\nnuts\n"})
    pods.prepared(origin, base=base, head=head)
    assert pods.run("warm") == 0
    assert "cache_saved" in capsys.readouterr().out
    names = _names(pods.root / "warm" / "work" / "cache")
    assert "bolts.py" in names
    assert "nuts.py" not in names

    kept = shutil.copy(_saved(pods), pods.root / "kept.tar")
    _with_cache(pods, monkeypatch, kept)
    assert pods.run("warm") == 0
    assert "cache_serves" in capsys.readouterr().out
    assert not _saved(pods).exists()


def test_of_a_base_that_is_not_the_default_branch_nothing_is_kept(
    pods: Any, origin: Path, shelf: Path, run_git: RunGit, capsys: pytest.CaptureFixture[str]
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    # As a pull request has it that stands upon an agent's branch.
    branch = "pressplay/issue-1"
    pods.prepared(origin, base=head, head=head, base_ref=branch, base_is_default=False)
    assert pods.run("warm") == 0
    assert f"{branch} is not the default branch" in pods.reason("warm")
    assert not _saved(pods).exists()
    assert "fetching" not in capsys.readouterr().out


@pytest.mark.parametrize(("size_mb", "is_built_upon"), [(4, True), (6, False)])
def test_a_cache_that_fills_more_than_half_of_its_limit_is_begun_anew(
    pods: Any,
    origin: Path,
    shelf: Path,
    run_git: RunGit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    size_mb: int,
    is_built_upon: bool,
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    kept = pods.root / "kept.tar"
    with tarfile.open(kept, "w") as archive:
        old = tarfile.TarInfo("pip/old")
        old.size = size_mb * 1024**2
        archive.addfile(old, io.BytesIO(bytes(old.size)))
    pods.settings[caching.LIMIT_SETTING] = "10"
    _with_cache(pods, monkeypatch, str(kept))
    assert pods.run("warm") == 0
    with tarfile.open(_saved(pods)) as archive:
        assert ("./pip/old" in archive.getnames()) is is_built_upon
    assert ("cache_begun_anew" in capsys.readouterr().out) is not is_built_upon


def test_where_no_cache_is_wanted_nothing_is_built_for_one(
    pods: Any, origin: Path, shelf: Path, run_git: RunGit
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    pods.settings[caching.LIMIT_SETTING] = "0"
    assert pods.run("warm") == 0
    assert pods.reason("warm") == f"{caching.LIMIT_SETTING} is 0, so nothing is kept"
    assert not (pods.root / "warm" / "work" / "cache").exists()


def test_what_the_apps_own_build_compiles_is_kept_too(
    pods: Any, origin: Path, shelf: Path, run_git: RunGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a language whose builds compile what they depend on, each in a way of its own.
    monkeypatch.setattr(Python, "lints_dependencies", True)
    head = run_git(origin, "git", "rev-parse", "HEAD")
    code = "import os, bolts; open(os.environ['VIRTUAL_ENV'] + '/compiled', 'w').write('3')"
    rules = _building(["python", "-c", code])
    pods.prepared(origin, base=head, head=head, rules=rules)
    assert pods.run("warm") == 0
    with tarfile.open(_saved(pods)) as archive:
        assert "./venv/compiled" in archive.getnames()
    kept = shutil.copy(_saved(pods), pods.root / "kept.tar")
    _with_cache(pods, monkeypatch, kept)
    assert pods.run("warm") == 0
    assert not _saved(pods).exists()
    # Another way to build asks for another cache.
    pods.prepared(origin, base=head, head=head, rules=_building(["python", "-c", "import bolts"]))
    assert pods.run("warm") == 0
    assert _saved(pods).exists()


@pytest.mark.parametrize("command", [["false"], ["no-such-program"]])
def test_a_build_that_fails_costs_the_cache_nothing(
    pods: Any,
    origin: Path,
    shelf: Path,
    run_git: RunGit,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.setattr(Python, "lints_dependencies", True)
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head, rules=_building(command))
    assert pods.run("warm") == 0
    assert _saved(pods).exists()


def test_the_agents_programs_find_the_dependencies_and_its_commit_holds_none_of_them(
    pods: Any, origin: Path, shelf: Path, run_git: RunGit
) -> None:
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head)
    code = (
        "import subprocess\n"
        "said = subprocess.run(['python', '-c', 'import app; print(app.count())'],\n"
        "                      capture_output=True, text=True, check=True, cwd='/').stdout\n"
        "open('said.txt', 'w').write(said)\n"
    )
    assert pods.run("agent", _program(code)) == 0
    assert pods.result()["outcome"] == "changed", pods.result()["message"]
    files = pods.files()
    assert files.pop("said.txt") == b"3\n"
    assert set(files) == set(START)


def test_an_agent_works_without_what_cannot_be_had_and_is_told(
    pods: Any, origin: Path, shelf: Path, write_commit: WriteCommit
) -> None:
    head = write_commit(origin, {"requirements.txt": "screws\n"})
    pods.prepared(origin, base=head, head=head)
    assert pods.run("agent", _program("open('new.txt', 'w').write('n')")) == 0
    assert pods.result()["outcome"] == "changed"
    log = pods.artifact("agent", "rex/logs.txt").read_text()
    assert "dependencies are not there: pip: no registry has screws" in log
    # A cache that cannot be made stops nothing either.
    assert pods.run("warm") == 0
    assert "no registry has screws" in pods.reason("warm")
    assert not _saved(pods).exists()


def test_a_head_that_asks_for_what_nobody_has_does_not_pass(
    pods: Any, origin: Path, shelf: Path, run_git: RunGit
) -> None:
    pods.role = "qa"
    head = run_git(origin, "git", "rev-parse", "HEAD")
    pods.prepared(origin, base=head, head=head, rules={"version": 1, "qa": {"paths": ["**"]}})
    assert pods.run("agent", _program(ADD_DEPENDENCY.format("screws"))) == 0
    assert pods.run("verify") == 1
    assert "the head's dependencies cannot be had: pip: no registry has screws" in pods.reason(
        "verify"
    )


def test_a_repository_without_dependencies_makes_no_cache(
    pods: Any, tmp_path: Path, shelf: Path, write_commit: WriteCommit
) -> None:
    head = write_commit(tmp_path / "bare", {"app.py": "x = 1\n"})
    pods.prepared(tmp_path / "bare", base=head, head=head)
    assert pods.run("warm") == 0
    assert not (pods.root / "warm" / "work" / "cache").exists()


def test_a_language_that_nobody_knows_is_no_reason_to_fail(
    pods: Any, tmp_path: Path, write_commit: WriteCommit
) -> None:
    head = write_commit(tmp_path / "words", {"poem.txt": "x\n"})
    pods.prepared(tmp_path / "words", base=head, head=head)
    assert pods.run("warm") == 0


def _building(command: list[str]) -> dict[str, Any]:
    return {"version": 1, "preview": {"process": {"build": command}}}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.py")}


def _with_cache(pods: Any, monkeypatch: pytest.MonkeyPatch, archive: str) -> None:
    """Let every pod from now on find the archive among its inputs."""
    make = type(pods).env

    def env(self: Any, pod: str) -> StageEnvironment:
        made: StageEnvironment = make(self, pod)
        made.inputs.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive, made.inputs / caching.INPUT)
        return made

    monkeypatch.setattr(type(pods), "env", env)
