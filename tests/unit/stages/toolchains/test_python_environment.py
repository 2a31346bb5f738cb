"""Environments for Python trees, made by the real pip from wheels that lie in a folder."""

from __future__ import annotations

import os
import socket
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.stages.toolchains.port import Prepared
from pressplay.stages.toolchains.python import Python
from pressplay.stages.transcripts import Transcript

# A backend of the tree's own, so that a build fetches nothing.
BACKEND = """
import pathlib, zipfile
NAME, FILES = "shop", {"shop/__init__.py": None, "shop/_made.py": "VERSION = 7\\n"}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = f"{NAME}-7-py3-none-any.whl"
    info = f"{NAME}-7.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        for path, text in FILES.items():
            wheel.writestr(path, text or pathlib.Path("src", path).read_text())
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: shop\\nVersion: 7\\n"
                       "Requires-Dist: bolts\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\n"
                       "Root-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nshop = shop:main\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "shop"
dynamic = ["version", "dependencies"]
"""


def _wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables that lead pip to a folder of wheels and to nothing else."""
    folder = tmp_path_factory.mktemp("wheels")
    _wheel(folder, "bolts", "1.0", {"bolts.py": "COUNT = 3\n"})
    _wheel(folder, "nuts", "2.0", {"nuts.py": ""})
    # What stands in for the runner of the tests.
    _wheel(folder, "pytest", "99", {"pytest/__main__.py": "\n"})
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}


def _make_tree(root: Path) -> Path:
    """A package in a source folder, whose build adds a module."""
    (root / "src" / "shop").mkdir(parents=True)
    (root / "src" / "shop" / "__init__.py").write_text(
        "def main():\n    import bolts\n    from shop._made import VERSION\n"
        "    print(bolts.COUNT, VERSION)\n"
    )
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """See `_make_tree`."""
    return _make_tree(tmp_path / "tree")


@dataclass(frozen=True)
class Made:
    """A tree that was prepared; it and its cache are only to be read."""

    tree: Path
    cache: Path
    prepared: Prepared


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shelf: dict[str, str]) -> Made:
    """Made once: it takes seconds."""
    root = tmp_path_factory.mktemp("made")
    tree = _make_tree(root / "tree")
    return Made(tree, root / "cache", _prepare(tree, root / "cache", shelf))


def _prepare(tree: Path, cache: Path, variables: Mapping[str, str]) -> Prepared:
    python = Python(path=os.environ["PATH"], variables={})
    return python.prepare(
        tree,
        cache=cache,
        variables=variables,
        timeout_s=60,
        transcript=Transcript(redact=str, write=lambda text: None),
    )


def _say(prepared: Prepared, *command: str) -> str:
    env = {"PATH": f"{prepared.programs[0]}:{os.environ['PATH']}", **prepared.variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_programs_of_the_tree_run_its_own_code_with_its_dependencies(made: Made) -> None:
    assert made.prepared.was_changed
    assert _say(made.prepared, "shop") == "3 7"
    where = "import shop, importlib.metadata as m; print(shop.__file__, m.version('shop'))"
    said = _say(made.prepared, "python", "-c", where)
    assert said == f"{made.tree}/src/shop/__init__.py 7"
    # No copy is left that could be taken for the tree's own code.
    assert not list(made.cache.rglob("site-packages/shop"))


def test_what_only_a_build_makes_is_laid_into_the_tree_and_named(made: Made) -> None:
    assert made.prepared.generated == ("src/shop/_made.py",)
    assert (made.tree / "src/shop/_made.py").read_text() == "VERSION = 7\n"
    assert not (made.tree / "build").exists()


def test_a_second_time_nothing_is_done_and_another_tree_is_served(made: Made, tree: Path) -> None:
    (tree / "src/shop/__init__.py").write_text("def main():\n    print('changed')\n")
    # Not even an index is asked: the way to one is closed.
    again = _prepare(tree, made.cache, {"PIP_NO_INDEX": "1"})
    assert not again.was_changed
    assert again.generated == made.prepared.generated
    assert (tree / "src/shop/_made.py").exists()
    assert _say(again, "shop") == "changed"


def test_what_a_kill_left_is_replaced_and_files_of_requirements_count_too(
    tree: Path, tmp_path: Path, shelf: dict[str, str]
) -> None:
    (tree / "requirements-test.txt").write_text("nuts==2.0\n-e .\n")
    cache = tmp_path / "cache"
    # What says that it is ready is written last, and so is missing.
    (cache / "venv" / "bin").mkdir(parents=True)
    (cache / "venv" / "bin" / "python").write_text("")
    prepared = _prepare(tree, cache, shelf)
    assert prepared.was_changed
    assert _say(prepared, "python", "-c", "import nuts, shop, bolts; print('all')") == "all"
    assert list(cache.iterdir()) == [cache / "venv"]


def test_a_project_that_cannot_be_built_still_gets_what_it_names(
    tree: Path, tmp_path: Path, shelf: dict[str, str]
) -> None:
    (tree / "backend.py").write_text("raise SystemExit('no compiler')\n")
    (tree / "pyproject.toml").write_text(
        PYPROJECT.replace('dynamic = ["version", "dependencies"]', 'dependencies = ["bolts"]')
    )
    prepared = _prepare(tree, tmp_path / "cache", shelf)
    assert prepared.notes == (
        "pip: the project itself cannot be built; only what it names is installed",
    )
    assert _say(prepared, "python", "-c", "import bolts, shop; print(bolts.COUNT)") == "3"


def test_what_no_registry_has_is_refused_by_name(tmp_path: Path, shelf: dict[str, str]) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "requirements.txt").write_text("screws==3\n")
    with pytest.raises(Refused, match=r"pip: no registry has screws==3"):
        _prepare(tmp_path / "tree", tmp_path / "cache", shelf)
    # What was begun does not count as ready.
    assert not list((tmp_path / "cache").rglob("pressplay.json"))


def test_a_registry_that_does_not_answer_is_worth_a_retry_and_names_the_setting(
    tmp_path: Path,
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "requirements.txt").write_text("screws==3\n")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/simple/"
        variables = {"PIP_INDEX_URL": url, "PIP_RETRIES": "1", "PIP_CONFIG_FILE": "/dev/null"}
        with pytest.raises(
            Unavailable, match=r"pip: could not fetch (screws|pytest).*PRESSPLAY_REGISTRIES"
        ):
            _prepare(tmp_path / "tree", tmp_path / "cache", variables)


def test_nothing_to_install_leaves_no_folder_behind(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "app.py").write_text("")
    assert _prepare(tmp_path / "tree", tmp_path / "cache", {}) == Prepared()
    assert not (tmp_path / "cache").exists()


def test_the_fingerprint_tells_trees_apart_that_need_another_environment(
    tree: Path, tmp_path: Path
) -> None:
    python, cache = Python(path="", variables={}), tmp_path / "cache"
    first = python.fingerprint(tree, cache=cache)
    (tree / "src/shop/__init__.py").write_text("def main():\n    pass\n")
    assert python.fingerprint(tree, cache=cache) == first
    (tree / "src/shop/fast.c").write_text("")
    assert python.fingerprint(tree, cache=cache) != first
    assert python.fingerprint(tree, cache=tmp_path / "elsewhere") != first
