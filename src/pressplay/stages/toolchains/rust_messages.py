"""Reads what cargo says about a workspace as JSON: its packages, what was built, what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pressplay.base.errors import Refused
from pressplay.stages.toolchains.rust_reports import Target


@dataclass(frozen=True)
class Package:
    """A member of the workspace; `folder` is relative to the tree, `tests` are its test targets:
    name and file.
    """

    name: str
    folder: PurePath
    tests: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Workspace:
    """The members of a workspace, by the path of their manifest as cargo names it."""

    packages: Mapping[str, Package]
    documented: Mapping[str, str]
    """The names of libraries, as documentation tests show them, and their packages."""

    def test_targets(self, path: str) -> tuple[tuple[str, str], ...]:
        """(package, target) of the integration tests to which the file at `path` belongs.

        A file that is no target itself is a part of one in its folder, else of any beside it.
        """
        package = self._package(PurePath(path))
        if package is None:
            return ()
        itself = [name for name, file in package.tests if file == path]
        around = [
            name
            for name, file in package.tests
            if PurePath(file).name == "main.rs"
            and PurePath(path).is_relative_to(PurePath(file).parent)
        ]
        names = itself or around or [name for name, _ in package.tests]
        return tuple((package.name, name) for name in names)

    def _package(self, path: PurePath) -> Package | None:
        """The innermost member whose folder holds the path."""
        holding = [each for each in self.packages.values() if path.is_relative_to(each.folder)]
        return max(holding, key=lambda each: len(each.folder.parts), default=None)


def read_workspace(text: str, tree: Path) -> Workspace:
    """The answer of `cargo metadata --no-deps`. Raises Refused for what is none."""
    try:
        found = json.loads(text)
        packages = {str(each["manifest_path"]): each for each in found["packages"]}
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"cargo metadata gave an answer that cannot be read: {error}") from error
    documented = {}
    for each in packages.values():
        for target in each["targets"]:
            if target.get("doctest"):
                for shown in (target["name"], target["name"].replace("-", "_")):
                    documented[shown] = str(each["name"])
    return Workspace(
        packages={path: _package(path, each, tree) for path, each in packages.items()},
        documented=documented,
    )


def names_sources(text: str) -> bool:
    """Whether a member depends on what comes from elsewhere, by `cargo metadata --no-deps`."""
    packages = json.loads(text)["packages"]
    return any(each.get("source") for package in packages for each in package["dependencies"])


def _package(manifest: str, found: Mapping[str, Any], tree: Path) -> Package:
    return Package(
        name=str(found["name"]),
        folder=PurePath(relative(str(Path(manifest).parent), tree)),
        tests=tuple(
            (str(target["name"]), relative(str(target["src_path"]), tree))
            for target in found["targets"]
            if "test" in target["kind"]
        ),
    )


def relative(path: str, tree: Path) -> str:
    """A path below the tree, seen from there; any other stays as it is."""
    for root in (tree, tree.resolve()):
        if Path(path).is_relative_to(root):
            return str(Path(path).relative_to(root))
    return path


def read_messages(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The messages among lines of output: whoever prints in between does not disturb."""
    for line in lines:
        if line.startswith('{"'):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and isinstance(found.get("reason"), str):
                yield found


def test_programs(
    messages: Iterable[Mapping[str, Any]], workspace: Workspace, tree: Path
) -> dict[str, Target]:
    """The test programs that were built, by file name."""
    programs = {}
    for message in messages:
        if message["reason"] != "compiler-artifact" or not message.get("executable"):
            continue
        package = workspace.packages.get(str(message.get("manifest_path")))
        if package is not None and message["profile"]["test"]:
            target = message["target"]
            programs[PurePath(str(message["executable"])).name] = Target(
                package=package.name,
                name=_shown(target, package),
                file=relative(str(target["src_path"]), tree),
            )
    return programs


def _shown(target: Mapping[str, Any], package: Package) -> str:
    """Test names begin with package and target; the library's own tests with the package alone."""
    kinds, name = target["kind"], str(target["name"])
    if "test" in kinds:
        return name
    if {"bin", "example", "bench"} & set(kinds):
        return f"{kinds[0]}/{name}"
    return package.name


def findings(messages: Iterable[Mapping[str, Any]], tree: Path) -> list[str]:
    """Warnings and errors, each once: `FILE:LINE: LINT MESSAGE`.

    A target and its tests are compiled separately and so complain twice.
    """
    found: dict[str, None] = {}
    for message in messages:
        if message["reason"] == "compiler-message":
            line = _finding(message["message"], tree)
            if line:
                found[line] = None
    return list(found)


def _finding(said: Mapping[str, Any], tree: Path) -> str:
    """Empty for what is no finding: the summary at the end, and notes."""
    spans = said.get("spans") or []
    code = (said.get("code") or {}).get("code")
    if said.get("level") not in ("warning", "error") or not (spans or code):
        return ""
    span = next((each for each in spans if each.get("is_primary")), None)
    where = _place(span, tree) if span else ""
    text = " ".join(str(said.get("message")).split())
    return f"{where}{code or said['level']} {text}"


def _place(span: Mapping[str, Any], tree: Path) -> str:
    return f"{relative(str(tree / str(span['file_name'])), tree)}:{span['line_start']}: "
