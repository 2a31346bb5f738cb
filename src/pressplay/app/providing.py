"""What pods take from the store and from this machine: settings, secrets, tokens, images."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pressplay.base import files, rust_programs
from pressplay.cluster.port import Key
from pressplay.cluster.sqlite import SqliteObjects
from pressplay.engine.artifacts import ArtifactRepository
from pressplay.pods import images
from pressplay.pods.images import Bind, Image, Images
from pressplay.server.auth import Accounts
from pressplay.server.standing import NAMESPACE

WITHOUT_TOKEN = frozenset({"agent-run"})
"""Accounts whose only right is that of Argo's executor, which does not exist here."""


class Sources:
    """What pods take from the store: see `pods.sources.Sources`."""

    def __init__(
        self,
        *,
        store: SqliteObjects,
        accounts: Accounts,
        artifacts: ArtifactRepository,
        claims: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._artifacts = artifacts
        self._claims = claims
        self._environment = environment

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        found = self._store.peek(Key("ConfigMap", namespace, name))
        return None if found is None else dict(found.get("data", {}))

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        found = self._store.peek(Key("Secret", namespace, name))
        if found is None:
            return None
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}

    def account_token(self, namespace: str, account: str) -> str:
        if not account or account in WITHOUT_TOKEN:
            return ""
        return self._accounts.token(namespace, account)

    def artifact(self, key: str) -> Path | None:
        return self._artifacts.path(key)

    def claim(self, namespace: str, name: str) -> Path:
        path = files.beneath(self._claims, f"{namespace}/{name}")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def pod_environment(self) -> Mapping[str, str]:
        return self._environment


def all_images(store: SqliteObjects, *, etc_folder: Path) -> Images:
    """The host's own, and by name those of the shipped manifests."""
    host = images.host_image(etc_folder=etc_folder)
    return Images(host, _NamedImages(store, runner=images.runner_image(host)))


class _NamedImages(Mapping[str, Image]):
    """Our images; in the agent's also the programs that users named on the command line."""

    def __init__(self, store: SqliteObjects, *, runner: Image) -> None:
        self._store = store
        self._runner = runner
        # A repository's own programs expect to find its modules in their working directory.
        plain = {name: value for name, value in runner.env.items() if name != "PYTHONSAFEPATH"}
        self._bare = replace(runner, name="agent", env=plain)
        self._agents: dict[tuple[str, ...], Image] = {}

    def __getitem__(self, name: str) -> Image:
        match name:
            case "pressplay/runner":
                return self._runner
            case "pressplay/agent":
                return self._agent()
            case _:
                raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("pressplay/runner", "pressplay/agent"))

    def __len__(self) -> int:
        return 2

    def _agent(self) -> Image:
        listed = self._store.peek(Key("ConfigMap", NAMESPACE, "agent-programs")) or {}
        programs = tuple(sorted(listed.get("data", {}).values()))
        if programs not in self._agents:
            binds = [Bind(Path(each), each) for each in programs if Path(each).exists()]
            self._agents[programs] = self._plain.with_binds(*binds)
        return self._agents[programs]

    @cached_property
    def _plain(self) -> Image:
        """With the languages that this machine knows; asked for once, when an agent first needs it:
        a server that starts has no time to look.
        """
        environment = dict(os.environ)  # noqa: TID251 - rustup finds its settings by it
        rust = rust_programs.find(path=environment.get("PATH", ""), variables=environment)
        if rust is None:
            return self._bare
        return self._bare.with_toolchain(rust.root, programs=rust.programs)
