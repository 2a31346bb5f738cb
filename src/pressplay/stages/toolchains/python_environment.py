"""The virtual environment that holds what a Python tree depends on, and never the tree's own code.

Of the tree itself only the metadata is installed (entry points, version, scripts): its modules are
always imported from the tree that is tested, by PYTHONPATH. So one environment serves every commit
with the same dependencies, wherever its tree lies, and no test can meet a stale copy. What a build
adds to the modules (a compiled one, a `_version.py`) is kept, to be laid into such trees.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pressplay.base import documents, files, processes
from pressplay.base.errors import Refused
from pressplay.stages import children
from pressplay.stages.toolchains import pip_complaints, python_requirements
from pressplay.stages.toolchains.python_requirements import Declared
from pressplay.stages.transcripts import Transcript

STATE = "pressplay.json"
"""Lies in the environment and says what it serves; written last."""

_FORM = "1"
_GENERATED = "generated"
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "venv", "node_modules", "__pycache__", ".tox")

# Without a history to ask, these packages cannot name a version; any will do for tests.
_VERSIONS = {"SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0", "PBR_VERSION": "0.0.0"}


@dataclass(frozen=True)
class Environment:
    """One that is ready. `roots` are the folders of the tree from which its modules are imported,
    `generated` the files that a build adds, relative to the tree.
    """

    folder: Path
    roots: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def import_path(self, tree: Path) -> str:
        """PYTHONPATH for a tree: both usual layouts, and what the build said."""
        folders = [tree / root for root in (*self.roots, "src", "")]
        return ":".join(dict.fromkeys(str(each) for each in folders if each.is_dir()))

    def lay_generated(self, tree: Path) -> None:
        """Put into the tree what only a build makes, where it is missing."""
        for path in self.generated:
            # A dangling link in the tree is no place to write to.
            if files.kind_beneath(tree, path) is None and not (tree / path).is_symlink():
                files.place_beneath(self.folder / _GENERATED / path, tree, path)


@dataclass
class Installation:
    """The making of an environment for one tree."""

    tree: Path
    folder: Path
    declared: Declared
    path: str
    variables: Mapping[str, str]
    deadline: float
    transcript: Transcript
    notes: list[str] = field(default_factory=list)

    def make(self) -> Environment:
        """Make it anew. Raises Unavailable, Refused; see `port.Toolchain.prepare`."""
        files.remove_tree(self.folder)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as scratch:
            copy = Path(scratch) / "tree"
            shutil.copytree(self.tree, copy, symlinks=True, ignore=_NOT_COPIED)
            python_requirements.leave_out_the_tree(copy)
            self._make_venv(copy)
            wheel = (
                self._build(copy, Path(scratch) / "wheels") if self.declared.is_project else None
            )
            self._install(copy, wheel)
            made = Environment(self.folder) if wheel is None else self._take_apart(wheel)
        write_state(made, digest_of(self.tree, self.folder))
        return made

    def _make_venv(self, copy: Path) -> None:
        """Without a pip of its own where the stage's can serve it: that saves two seconds."""
        own = ["--without-pip"] if _has_pip() else []
        said = self._call([sys.executable, "-m", "venv", *own, str(self.folder)], cwd=copy)
        if said is not None:
            raise Refused(
                "python3 -m venv failed; on Debian install python3-venv where the steps run: "
                f"{said[-300:].strip()}"
            )

    def _build(self, copy: Path, target: Path) -> Path | None:
        """The tree as a wheel; None where it cannot be built, which its tests may well bear."""
        self.transcript.say("pip: building the project's metadata")
        said = self._pip(copy, "wheel", "--no-deps", "--wheel-dir", str(target), str(copy))
        if said is None:
            return next(iter(sorted(target.glob("*.whl"))), None)
        pip_complaints.raise_if_outside(said)
        note = "pip: the project itself cannot be built; only what it names is installed"
        self.notes.append(note)
        self.transcript.say(note)
        return None

    def _install(self, copy: Path, wheel: Path | None) -> None:
        wanted = [f"--requirement={copy / name}" for name in self.declared.files]
        wanted += self.declared.specifiers
        if wheel is not None:
            extras = f"[{','.join(self.declared.extras)}]" if self.declared.extras else ""
            wanted.append(f"{wheel}{extras}")
        else:
            wanted += self.declared.project_specifiers
        # The tree's tests need a runner, whether or not the tree says so.
        said = self._pip(copy, "install", "--no-warn-script-location", *wanted, "pytest")
        if said is not None:
            raise pip_complaints.failure(said)

    def _take_apart(self, wheel: Path) -> Environment:
        """Remove the tree's own modules again, and keep what the tree does not have of them."""
        site = next(self.folder.glob("lib/python*/site-packages"))
        roots: dict[str, None] = {}
        generated: list[str] = []
        for name in _modules(wheel):
            root = _root_of(name, self.tree)
            if root is None:
                continue
            roots[root] = None
            installed, path = site / name, str(PurePosixPath(root) / name)
            if not (self.tree / path).is_file():
                generated.append(path)
                kept = self.folder / _GENERATED / path
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(installed, kept)
            installed.unlink(missing_ok=True)
        _remove_empty(site, wheel)
        return Environment(self.folder, roots=tuple(roots), generated=tuple(generated))

    def _pip(self, copy: Path, *arguments: str) -> str | None:
        if _has_pip():
            pip = [sys.executable, "-m", "pip", "--python", str(self.folder / "bin" / "python")]
        else:
            pip = [str(self.folder / "bin" / "python"), "-m", "pip"]
        common = ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        verb, *rest = arguments
        return self._call([*pip, verb, *common, *rest], cwd=copy)

    def _call(self, command: Sequence[str], *, cwd: Path) -> str | None:
        """None if it went well, else what it said. Raises Refused where time runs out."""
        said: list[bytes] = []

        def take(chunk: bytes) -> None:
            said.append(chunk)
            self.transcript.feed(chunk)

        with tempfile.TemporaryDirectory() as home:
            code = processes.stream(
                command,
                env=children.variables(path=self.path, home=Path(home), more=self._variables()),
                cwd=cwd,
                timeout_s=max(1.0, self.deadline - time.monotonic()),
                on_output=take,
            )
        if code is None:
            raise Refused("pip did not end in time; depend on less, or on what has wheels")
        return None if code == 0 else b"".join(said).decode(errors="replace")

    def _variables(self) -> dict[str, str]:
        # Beside the environment, so that it travels with it: a change of one requirement then
        # fetches one package.
        cache = {"PIP_CACHE_DIR": str(self.folder.parent / "pip")}
        return {
            "PIP_RETRIES": "2",
            "PIP_DEFAULT_TIMEOUT": "20",
            **_VERSIONS,
            **cache,
            **self.variables,
        }


def digest_of(tree: Path, folder: Path) -> str:
    """What an environment depends on: it serves every tree with the same digest.

    Where it lies counts too: scripts in it name their interpreter.
    """
    digest = hashlib.sha256(f"{_FORM}\n{sys.version}\n{folder.absolute()}\n".encode())
    for path in python_requirements.inputs(tree):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(tree)}\0{content}\n".encode())
    return digest.hexdigest()


def write_state(environment: Environment, digest: str) -> None:
    """Say what the environment serves; it counts as ready from now on."""
    state = {"digest": digest, "roots": environment.roots, "generated": environment.generated}
    files.write_atomically(environment.folder / STATE, json.dumps(state).encode())


def find(folder: Path, *, digest: str = "") -> Environment | None:
    """The environment in `folder` if it is ready, and has the digest where one is asked for."""
    try:
        state = documents.read_json((folder / STATE).read_bytes(), source=STATE)
    except (OSError, Refused):
        return None
    if not isinstance(state, dict) or (digest and state.get("digest") != digest):
        return None
    roots, generated = (tuple(map(str, state.get(name) or ())) for name in ("roots", _GENERATED))
    return Environment(folder, roots=roots, generated=generated)


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _modules(wheel: Path) -> Iterator[str]:
    """The files of a wheel that are importable, that is, neither metadata nor data."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top = PurePosixPath(name).parts[0]
            if not name.endswith("/") and not re.search(r"\.(dist-info|data)$", top):
                yield name


def _root_of(name: str, tree: Path) -> str | None:
    """The folder of the tree that holds the module's package; None if no folder does.

    A file that is not there itself may be generated: then its package decides.
    """
    for wanted in dict.fromkeys((name, *_initials(name))):
        for root in _candidates(tree):
            if (tree / root / wanted).is_file():
                return root
    return None


def _initials(name: str) -> Iterator[str]:
    for folder in PurePosixPath(name).parents:
        if str(folder) != ".":
            yield str(folder / "__init__.py")


def _candidates(tree: Path) -> Iterator[str]:
    yield from ("src", "")
    for folder in sorted(tree.iterdir()):
        if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith("."):
            yield folder.name


def _remove_empty(site: Path, wheel: Path) -> None:
    """Remove folders of the tree's packages in which nothing but traces are left.

    They would hide nothing, but as namespace packages they would still be found.
    """
    parents = {parent for name in _modules(wheel) for parent in PurePosixPath(name).parents}
    for parent in sorted(parents, key=lambda each: len(each.parts), reverse=True):
        folder = site / parent
        if str(parent) == "." or not folder.is_dir():
            continue
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        if not any(folder.iterdir()):
            folder.rmdir()
