"""What GitHub itself publishes about its API, taken by npm into the tests' cache once.

Every test that needs it asks for one of these fixtures, and says in its name that it installs.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from pressplay.base import processes

DESCRIPTION = "@octokit/openapi@23.0.2"
DESCRIPTION_SHA512 = (
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
)
MEMBER = "package/generated/api.github.com.json"
CLIENT = Path(__file__).parent / "octokit"
VERBS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"\{[^}]*\}")


def cache() -> Path:
    """The folder in which packages taken by tests stay."""
    named = os.environ.get("PRESSPLAY_TEST_CACHE", "")
    folder = Path(named) if named else Path.home() / ".cache" / "pressplay-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one test process at a time takes a package."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def npm(*arguments: str, cwd: Path) -> str:
    """What npm says; a machine without it skips the test."""
    program = shutil.which("npm")
    if program is None:
        pytest.skip("npm is not installed; this test takes a package with it")
    done = processes.run([program, *arguments], env=dict(os.environ), cwd=cwd, timeout_s=200)
    assert done.ok, done.complaint()
    return done.text()


def _take_description(target: Path) -> None:
    """The one file of the package that is wanted, checked against the digest pinned above."""
    with tempfile.TemporaryDirectory(dir=cache()) as name:
        folder = Path(name)
        npm("pack", DESCRIPTION, "--silent", "--ignore-scripts", cwd=folder)
        (packed,) = folder.glob("*.tgz")
        digest = hashlib.sha512(packed.read_bytes()).digest()
        assert base64.b64encode(digest).decode() == DESCRIPTION_SHA512
        with tarfile.open(packed) as archive:
            reader = archive.extractfile(MEMBER)
            assert reader is not None
            (folder / "wanted").write_bytes(reader.read())
        (folder / "wanted").replace(target)


@dataclass(frozen=True)
class Operation:
    """One operation of GitHub's: `path` as the description writes it."""

    verb: str
    path: str
    document: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Verb and path without the parameters' names, which differ between descriptions."""
        return self.verb, nameless(self.path)

    @property
    def name(self) -> str:
        return str(self.document["operationId"])


def nameless(path: str) -> str:
    """A path template whose parameters have no names: `/repos/{}/{}`."""
    return _PARAMETER.sub("{}", path)


@dataclass(frozen=True)
class Description:
    """GitHub's OpenAPI description and validators made from it."""

    document: Mapping[str, Any]
    _made: dict[str, jsonschema_rs.Draft7Validator] = field(default_factory=dict)

    @cached_property
    def operations(self) -> dict[tuple[str, str], Operation]:
        """Every operation by verb and nameless path."""
        found = (
            Operation(verb.upper(), path, item[verb])
            for path, item in self.document["paths"].items()
            for verb in VERBS
            if verb in item
        )
        return {operation.key: operation for operation in found}

    def find(self, verb: str, path: str) -> Operation:
        """The operation that a request with this decoded path makes; the most literal one wins."""
        fitting = [
            operation
            for key, operation in self.operations.items()
            if key[0] == verb and _fits(operation.path, path)
        ]
        assert fitting, f"GitHub has no {verb} {path}"
        return min(fitting, key=lambda it: (-it.path.count("/"), it.path.count("{")))

    def parameters(self, operation: Operation, where: str) -> dict[str, Any]:
        """The operation's parameters in `path` or `query`, by name."""
        shared = self.document["paths"][operation.path].get("parameters", ())
        found = [self.resolve(it) for it in (*shared, *operation.document.get("parameters", ()))]
        return {it["name"]: it for it in found if it["in"] == where}

    def resolve(self, node: Any) -> Any:
        """What a local reference points to."""
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def body(self, operation: Operation) -> Any:
        """The schema of the operation's JSON body, or None."""
        content = self.resolve(operation.document.get("requestBody", {})).get("content", {})
        return content.get("application/json", {}).get("schema")

    def answer(self, operation: Operation, status: int) -> Any:
        """The schema of the JSON answer with this status, or None; a 4xx without one has GitHub's
        error shape."""
        listed = operation.document["responses"].get(str(status))
        if listed is None:
            assert status >= 400, f"{operation.name} never answers {status}"
            return {"$ref": "#/components/schemas/basic-error"}
        content = self.resolve(listed).get("content", {})
        return content.get("application/json", {}).get("schema")

    def webhook(self, event: str, action: str = "") -> Any:
        """The schema of a delivery's body."""
        name = "/".join(part for part in (event, action) if part).replace("_", "-")
        items = (item["post"] for item in self.document["x-webhooks"].values())
        (found,) = (item for item in items if item["operationId"].replace("_", "-") == name)
        return found["requestBody"]["content"]["application/json"]["schema"]

    def problems(self, schema: Any, value: Any) -> list[str]:
        """What in a value does not fit a schema of this description."""
        name = json.dumps(schema, sort_keys=True)
        if name not in self._made:
            self._made[name] = self._validator(schema)
        errors = self._made[name].iter_errors(value)
        return [f"{'/'.join(map(str, it.instance_path))}: {it.message[:300]}" for it in errors]

    def _validator(self, schema: Any) -> jsonschema_rs.Draft7Validator:
        wanted, names = [schema], set[str]()
        while wanted:
            for name in sorted(_references(wanted.pop()) - names):
                names.add(name)
                wanted.append(self.document["components"]["schemas"][name])
        definitions = {it: _plain(self.document["components"]["schemas"][it]) for it in names}
        whole = {"allOf": [_plain(schema)], "components": {"schemas": definitions}}
        return jsonschema_rs.Draft7Validator(whole, validate_formats=True, offline=True)


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node))
    if not isinstance(node, dict):
        return set()
    if isinstance(node.get("$ref"), str):
        return {node["$ref"].removeprefix("#/components/schemas/")}
    return set().union(*map(_references, node.values()))


def _plain(node: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema: `nullable` becomes a type, examples go."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}
    skipped = ("nullable", "example", "examples", "discriminator", "default")
    plain = {
        key: {name: _plain(it) for name, it in value.items()}
        if key == "properties"
        else _plain(value)
        for key, value in node.items()
        if key not in skipped
    }
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def _fits(template: str, path: str) -> bool:
    pieces = re.split(r"(\{[^}]*\})", template)
    pattern = "".join(
        (".+" if piece in ("{path}", "{ref}", "{branch}") else "[^/]+")
        if piece.startswith("{")
        else re.escape(piece)
        for piece in pieces
    )
    return re.fullmatch(pattern, path) is not None


@pytest.fixture(scope="session")
def description() -> Description:
    """GitHub's published description; installs @octokit/openapi."""
    target = cache() / f"{DESCRIPTION.strip('@').replace('/', '-')}.json"
    with locked("octokit-openapi"):
        if not target.exists():
            _take_description(target)
    return Description(json.loads(target.read_bytes()))


@pytest.fixture(scope="session")
def octokit() -> Path:
    """A folder with GitHub's own client, as its lock file here says, and the script beside it."""
    lock = (CLIENT / "package-lock.json").read_bytes()
    target = cache() / f"octokit-{hashlib.sha256(lock).hexdigest()[:12]}"
    with locked("octokit-client"):
        if not target.exists():
            _install_client(target)
        # Beside the packages, because that is where node looks for them.
        shutil.copyfile(CLIENT / "life.mjs", target / "life.mjs")
    return target


def _install_client(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache()) as name:
        folder = Path(name) / "client"
        folder.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(CLIENT / file, folder / file)
        npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", cwd=folder)
        folder.rename(target)
