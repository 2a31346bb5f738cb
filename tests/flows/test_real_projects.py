"""Projects that nobody here wrote, taken from their registries and turned into repositories.

The sources are fetched once, by the package clients, into the tests' cache; what the projects
depend on is fetched by the pipeline itself, as it would be for anybody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Machine

pytestmark = pytest.mark.timeout(900)

POLICY = """version: 1
language: {language}
preview:
  process:
    build: {build}
    command: {command}
    ready: {ready}
acceptance:
  load: {{rate: 100, samples: 100}}
  endpoints:
    - {{path: {ready}, expect: 200}}
"""

AGENT = """#!/usr/bin/env python3
import os, pathlib
for name, (old, new) in {edits!r}.get(os.environ["PRESSPLAY_ROLE"], {{}}).items():
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    assert old in before, name
    path.write_text(before.replace(old, new, 1) if old else before + new)
"""


@dataclass(frozen=True)
class Project:
    """A package, how its app is started, and what the agent does; `marker` is its manifest.

    `edits` are, by role and file, the text that is replaced (or, if it is empty, added to).
    """

    name: str
    version: str
    marker: str
    language: str
    build: str
    command: str
    ready: str
    edits: Mapping[str, Mapping[str, tuple[str, str]]]
    keeps_cache: bool = True

    @property
    def policy(self) -> str:
        return POLICY.format(**vars(self))


TINY_SERVE = Project(
    name="tiny-serve",
    version="0.1.1",
    marker="Cargo.toml",
    language="rust",
    build="[cargo, build, --release]",
    command='[sh, -c, "exec target/release/tiny-serve $PORT ."]',
    ready="/README.md",
    edits={
        "rex": {"src/main.rs": ("args[1].as_str()", 'args.get(1).map_or(".", String::as_str)')},
        "qa": {
            "tests/serving.rs": (
                "",
                "use std::process::{Command, Stdio};\n\n#[test]\nfn a_port_alone_is_enough() {\n"
                '    let mut child = Command::new(env!("CARGO_BIN_EXE_tiny-serve"))\n'
                '        .arg("0")\n        .stderr(Stdio::null())\n'
                "        .stdout(Stdio::null())\n        .spawn()\n        .unwrap();\n"
                "    std::thread::sleep(std::time::Duration::from_millis(500));\n"
                "    let ended = child.try_wait().unwrap();\n    child.kill().ok();\n"
                "    child.wait().unwrap();\n"
                "    assert!(ended.is_none());\n}\n",
            )
        },
    },
)

UPLOADSERVER = Project(
    name="uploadserver",
    version="6.0.5",
    marker="setup.py",
    language="python",
    build="[]",
    command='[sh, -c, "exec python3 -m uploadserver --bind 127.0.0.1 $PORT"]',
    ready="/upload",
    edits={
        "rex": {
            "uploadserver/greeting.py": ("", "def greeting(name):\n    return f'hello {name}'\n")
        },
        "qa": {
            "tests/test_greeting.py": (
                "",
                "from importlib.metadata import version\n\n"
                "from uploadserver.greeting import greeting\n\n\ndef test_greeting():\n"
                '    assert greeting("you") == "hello you"\n'
                '    assert version("uploadserver")\n',
            )
        },
    },
)

PYPISERVER = Project(
    name="pypiserver",
    version="2.4.2",
    marker="pyproject.toml",
    language="python",
    build='[sh, -c, "python3 -m venv .venv && .venv/bin/pip install ."]',
    command='[sh, -c, "mkdir -p p && exec .venv/bin/pypi-server run -i 127.0.0.1 -p $PORT p"]',
    ready="/",
    edits={
        "rex": {
            "pypiserver/pkg_helpers.py": (
                "",
                '\n\ndef twice(n: int) -> int:\n    """Twice as much."""\n    return n * 2\n',
            )
        },
        "qa": {
            "tests/test_twice.py": (
                "",
                "import defusedxml\n\nfrom pypiserver import pkg_helpers\n\n\n"
                "def test_twice() -> None:\n    assert defusedxml\n"
                "    assert pkg_helpers.twice(4) == 8\n",
            )
        },
    },
)


def _source(project: Project) -> Path:
    """The project's source distribution, unpacked in the tests' cache."""
    named = os.environ.get("PRESSPLAY_TEST_CACHE")
    cache = Path(named) if named else Path.home() / ".cache" / "pressplay-tests"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{project.name}-{project.version}"
    with (cache / f"{project.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            take = _from_crates if project.language == "rust" else _from_pypi
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                take(project, Path(folder)).rename(target)
    return target


def _from_pypi(project: Project, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    wanted = f"{project.name}=={project.version}"
    subprocess.run([*command, "-d", folder, wanted], check=True, capture_output=True)
    source = folder / "source"
    source.mkdir()
    packed = next(folder.glob("*.tar.gz"))
    subprocess.run(["tar", "-xzf", packed, "-C", source], check=True)
    return next(source.iterdir())


def _from_crates(project: Project, folder: Path) -> Path:
    """Through a crate that names it: cargo itself offers no download."""
    (folder / "src").mkdir()
    (folder / "src" / "lib.rs").touch()
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "taking"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n'
        f'{project.name} = "={project.version}"\n'
    )
    home = folder / "home"
    env = {**os.environ, "CARGO_HOME": str(home)}
    subprocess.run(["cargo", "fetch", "-q"], check=True, cwd=folder, env=env, capture_output=True)
    found = next(home.glob(f"registry/src/*/{project.name}-{project.version}"))
    for name in (".cargo-ok", ".cargo_vcs_info.json", "Cargo.toml.orig"):
        (found / name).unlink(missing_ok=True)
    return found


def _git(where: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    command = ["git", "-C", str(where), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _repository(project: Project, folder: Path) -> Path:
    where = folder / project.name
    shutil.copytree(_source(project), where)
    for stray in where.glob("*.egg-info"):
        shutil.rmtree(stray)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "as published")):
        _git(where, *words)
    return where


@pytest.mark.parametrize(
    "project", [TINY_SERVE, UPLOADSERVER, PYPISERVER], ids=lambda each: each.name
)
def test_a_package_installed_from_its_registry_goes_from_refusal_to_an_approved_pull_request(
    machine: Machine, tmp_path: Path, project: Project
) -> None:
    if project.language == "rust" and shutil.which("cargo-clippy") is None:
        pytest.skip("cargo with clippy is not installed; the project is a Rust crate")
    where = _repository(project, tmp_path)
    program = _agent(project, tmp_path)
    issue = tmp_path / "issue.md"
    issue.write_text("# A small change\n\nDo the thing that is wanted.\n")
    arguments = ("run", "--repo", where, "--issue", issue, "--output", "json", "--", program)

    # As it was published it says nowhere how to start it: that is known before an agent works.
    refused = machine.call(*arguments)
    assert refused.code == 2, refused.out + refused.err
    assert "preview.process.command" in refused.json()["reason"]
    assert refused.json()["pr"] == {}

    (where / ".pressplay.yaml").write_text(project.policy)
    _git(where, "add", "-A")
    _git(where, "commit", "-qm", "how to start it")
    before = _git(where, "status", "--porcelain", "--ignored"), _git(where, "rev-parse", "HEAD")
    passed = machine.call(*arguments)
    assert passed.code == 0, passed.out + passed.err
    assert passed.json()["verdict"] == "pass"
    assert before == (
        _git(where, "status", "--porcelain", "--ignored"),
        _git(where, "rev-parse", "HEAD"),
    )
    kept = list((machine.state / "artifacts" / "cache").rglob("cache.tar"))
    assert len(kept) == int(project.keeps_cache)


def _agent(project: Project, folder: Path) -> Path:
    program = folder / "agent.py"
    program.write_text(AGENT.format(edits=project.edits))
    program.chmod(0o755)
    return program
