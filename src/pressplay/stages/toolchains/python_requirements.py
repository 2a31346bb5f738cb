"""What a Python tree says it depends on: read from its files, nothing of it is run.

Counted are the usual files of requirements and, of extras and dependency groups, those that are for
tests and development. What only a build can tell (a `setup.py`, a dynamic field) is left to pip.
"""

from __future__ import annotations

import configparser
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pressplay.base.errors import Refused

GROUPS = ("test", "tests", "testing", "dev")
"""Names of extras and groups that count."""

_WORDS = frozenset({"requirements", "requirement", "reqs", "base", "development", *GROUPS})
"""Of these words alone is the name of a file of requirements that counts."""

MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "hatch_build.py", "build.py")
"""Files whose content decides what is installed, besides those of requirements."""

_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".pyx", ".pxd", ".rs", ".f90")

# Build backends that only pack what is in the tree, unless they are told otherwise.
_PLAIN_BACKENDS = ("setuptools", "hatchling", "flit_core", "poetry.core", "pdm.backend", "uv_build")

_TREE_ITSELF = re.compile(r"(?:-e\s+|--editable[=\s]\s*)?\.(?:\[([\w\s,.-]*)\])?/?")
_ASKS_FOR_METADATA = re.compile(rb"importlib[._]metadata|pkg_resources")
_FILES_LIMIT = 2000
_FILE_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Declared:
    """What is to be installed for a tree.

    `files` are files of requirements, `specifiers` single ones. Where `is_project`, the tree itself
    has metadata to install, and `extras` of it; `project_specifiers` is what it says to depend on
    as far as that can be read without building it.
    """

    files: tuple[str, ...] = ()
    specifiers: tuple[str, ...] = ()
    is_project: bool = False
    extras: tuple[str, ...] = ()
    project_specifiers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.specifiers or self.is_project)


def read(tree: Path) -> Declared:
    """What the tree declares; an empty answer means that there is nothing to install.

    Raises Refused for a `pyproject.toml` that is no TOML.
    """
    document = _read_pyproject(tree)
    files = tuple(_files(tree))
    own = {extra for name in files for line in _lines(tree / name) for extra in _own(line)}
    project = _table(document, "project")
    optional = _table(project, "optional-dependencies")
    chosen = [*(name for name in GROUPS if name in optional), *sorted(own)]
    named = (
        *texts(project.get("dependencies")),
        *(each for name in chosen for each in texts(optional.get(name))),
    )
    is_project = bool(own) or _is_project(tree, document, has_extras=bool(chosen))
    others = (*_groups(document), *_poetry(document))
    return Declared(
        files=tuple(
            name for name in files if any(not _is_own(each) for each in _lines(tree / name))
        ),
        specifiers=others if is_project else (*named, *others),
        is_project=is_project,
        extras=tuple(dict.fromkeys(each for each in chosen if each)),
        project_specifiers=named,
    )


def _files(tree: Path) -> Iterator[str]:
    """`requirements.txt`, `requirements-dev.txt`, `test-requirements.txt`, `requirements/test.txt`
    and their like, as far as they say something.
    """
    for path in sorted((*tree.glob("*.txt"), *tree.glob("requirements/*.txt"))):
        name = path.relative_to(tree)
        words = set(re.split(r"[-_.]", "-".join(name.with_suffix("").parts)))
        is_named = words <= _WORDS and words & {"requirements", "requirement", "reqs"}
        if is_named and path.is_file() and _lines(path):
            yield str(name)


def inputs(tree: Path) -> Iterator[Path]:
    """The files on which the installation depends, in a fixed order; sources that are compiled
    are among them.
    """
    named = [tree / name for name in MANIFESTS]
    listed = itertools.chain(
        tree.glob("*req*.txt"), tree.glob("requirements/*.txt"), tree.glob("*constraint*")
    )
    compiled = (path for path in tree.rglob("*") if path.suffix in _SOURCES)
    yield from (path for path in [*named, *sorted(listed), *sorted(compiled)] if path.is_file())


def leave_out_the_tree(folder: Path) -> None:
    """Take lines such as `-e .` out of all files of requirements: the tree is installed apart."""
    for path in (*folder.glob("*.txt"), *folder.glob("requirements/*.txt")):
        if path.is_file() and any(_is_own(line) for line in _lines(path)):
            kept = [line for line in _lines(path) if not _is_own(line)]
            path.write_text("\n".join(kept) + "\n")


def _lines(path: Path) -> list[str]:
    """The lines of a file of requirements that say something."""
    text = path.read_bytes()[:_FILE_LIMIT].decode(errors="replace")
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in stripped if line]


def _is_own(line: str) -> bool:
    return _TREE_ITSELF.fullmatch(line) is not None


def _own(line: str) -> list[str]:
    """The extras that a line such as `-e .[test]` names; [""] where it names the bare tree."""
    found = _TREE_ITSELF.fullmatch(line)
    return [each.strip() for each in (found[1] or "").split(",")] if found else []


def _read_pyproject(tree: Path) -> dict[str, Any]:
    path = tree / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(errors="replace")) if path.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"pyproject.toml cannot be read: {error}; mend it") from error


def _table(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def texts(value: object) -> list[str]:
    """The texts in what should be a list of them; what is something else does not count."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _is_project(tree: Path, document: Mapping[str, Any], *, has_extras: bool) -> bool:
    """Whether the tree is a package whose own metadata can matter to its tests.

    To build it takes seconds and the network, so a tree whose metadata nobody asks for does
    without. A `pyproject.toml` that names no build system is no package's, as uv has it too.
    """
    if (tree / "setup.py").is_file() or _has_setup_cfg(tree):
        return True
    if "build-system" not in document:
        return False
    project = _table(document, "project")
    entries = ("dependencies", "dynamic", "entry-points", "scripts", "gui-scripts")
    return (
        has_extras
        or "poetry" in _table(document, "tool")
        or any(project.get(name) for name in entries)
        or _is_built(document)
        or not _is_where_expected(tree, str(project.get("name", "")))
        or _asks_for_metadata(tree)
    )


def _has_setup_cfg(tree: Path) -> bool:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(tree / "setup.cfg")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return parser.has_option("metadata", "name")


def _is_built(document: Mapping[str, Any]) -> bool:
    backend = str(_table(document, "build-system").get("build-backend") or "setuptools")
    compiles = _table(document, "tool", "setuptools").get("ext-modules")
    return bool(compiles) or not backend.startswith(_PLAIN_BACKENDS)


def _is_where_expected(tree: Path, name: str) -> bool:
    module = re.sub(r"[-.]+", "_", name).lower()
    return any(
        (root / module).is_dir() or (root / f"{module}.py").is_file()
        for root in (tree / "src", tree)
    )


def _asks_for_metadata(tree: Path) -> bool:
    for path in itertools.islice(tree.rglob("*.py"), _FILES_LIMIT):
        if path.is_file() and _ASKS_FOR_METADATA.search(path.read_bytes()[:_FILE_LIMIT]):
            return True
    return False


def _groups(document: Mapping[str, Any]) -> list[str]:
    """The dependency groups that count, with what they include."""
    groups = _table(document, "dependency-groups")
    found: dict[str, None] = {}

    def take(name: str, *, seen: frozenset[str]) -> None:
        for each in groups.get(name) or ():
            if isinstance(each, str):
                found[each] = None
            elif isinstance(each, dict) and str(each.get("include-group")) not in seen:
                inner = str(each.get("include-group"))
                take(inner, seen=seen | {inner})

    for name in GROUPS:
        take(name, seen=frozenset({name}))
    return list(found)


def _poetry(document: Mapping[str, Any]) -> list[str]:
    """Poetry's groups, whose form of a version is its own."""
    poetry = _table(document, "tool", "poetry")
    tables = [_table(poetry, "group", name, "dependencies") for name in GROUPS]
    tables.append(_table(poetry, "dev-dependencies"))
    found = (_from_poetry(*each) for table in tables for each in table.items())
    return list(dict.fromkeys(each for each in found if each))


def _from_poetry(name: str, value: object) -> str:
    """A requirement in the common form; "" for what is no package of a registry."""
    extras = ""
    if isinstance(value, dict):
        extras = f"[{','.join(texts(value.get('extras')))}]" if value.get("extras") else ""
        value = value.get("version")
    if not isinstance(value, str) or name == "python":
        return ""
    limits = [_limit(each.strip()) for each in value.split(",")]
    return f"{name}{extras}{','.join(each for each in limits if each)}"


def _limit(text: str) -> str:
    """One limit of a version. Source: Poetry's documentation, "Dependency specification"."""
    if text == "*":
        return ""
    if not text.startswith(("^", "~")) or text.startswith("~="):
        return text if text.startswith(("=", "<", ">", "!", "~")) else f"=={text}"
    numbers = [int(each) for each in re.findall(r"\d+", text.split("-", maxsplit=1)[0])]
    if not numbers:
        return ""
    first = next((i for i, each in enumerate(numbers) if each), len(numbers) - 1)
    place = first if text.startswith("^") else min(1, len(numbers) - 1)
    upper = [*numbers[:place], numbers[place] + 1]
    return f">={text[1:]},<{'.'.join(str(each) for each in upper)}"
