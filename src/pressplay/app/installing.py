"""What a server finds in its store when it begins to work: manifests, settings, Apps, keys."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from pressplay.base.clocks import Clock
from pressplay.cluster.port import AlreadyExists, Key, Object, Objects, key_of
from pressplay.evidence import signing
from pressplay.forge import app_keys
from pressplay.forge.local.operator import Operator
from pressplay.forge.tokens import AppKey
from pressplay.manifests import loading
from pressplay.pods import registries
from pressplay.server import standing
from pressplay.server.standing import NAMESPACE, ForgeSettings

_LOG = logging.getLogger(__name__)

KEPT = "pressplay.dev/keep"
"""Annotation of a shipped ConfigMap whose values are the operator's."""

APPS: Mapping[str, Mapping[str, str]] = {
    **{
        name: {"contents": "write", "pull_requests": "write", "issues": "write", "checks": "read"}
        for name in ("rex", "clippy", "qa", "triage", "security")
    },
    "qa-approver": {"contents": "read", "pull_requests": "write", "checks": "write"},
}
"""The Apps of the local forge, and what each may do."""


class Installer:
    """Puts into the store what runs need."""

    def __init__(
        self,
        store: Objects,
        *,
        forge: ForgeSettings | None,
        own_url: str,
        operator_token: str,
        clock: Clock,
    ) -> None:
        """`forge` is the one elsewhere; without it the local one at `own_url` is meant."""
        self._store = store
        self._forge = forge
        self._own_url = own_url
        self._operator_token = operator_token
        self._clock = clock

    async def install(self) -> None:
        """Everything, at every start; what was handed out before stays. The forge must answer."""
        for obj in loading.shipped(namespace=NAMESPACE):
            theirs = KEPT in obj["metadata"].get("annotations", {})
            await (_complete if theirs else _apply)(self._store, obj)
        forge = self._forge
        if forge is None:
            await _apply(self._store, _settings_for(_local_forge(self._own_url)))
            await self._make_apps()
        else:
            await _apply(self._store, _settings_for(forge))
            await self._take_apps(Path(forge.apps))
        await self._take_registries()
        await _keep_secret(
            self._store, "evidence-signing", {"key.pem": signing.generate_key().decode()}
        )

    async def _take_registries(self) -> None:
        """Let steps get packages from where this machine's user gets them, too."""
        environment = dict(os.environ)  # noqa: TID251 - package clients are set up by it as well
        found = await asyncio.to_thread(registries.of_user, Path.home(), environment)
        for each in found.left_out:
            _LOG.warning("registry_settings_left_out %s", each)
        await _apply(self._store, standing.config_map("registry-config", found.files))
        shipped = await self._store.get(Key("ConfigMap", NAMESPACE, "pressplay-settings")) or {}
        hosts = [shipped.get("data", {}).get("PRESSPLAY_REGISTRIES", ""), *found.hosts]
        listed = {"PRESSPLAY_REGISTRIES": ",".join(each for each in hosts if each)}
        await _apply(self._store, standing.config_map("pressplay-settings", listed))

    async def _take_apps(self, folder: Path) -> None:
        """The user's own Apps. Keys that were taken before serve on where the folder is gone."""
        key = Key("Secret", NAMESPACE, f"github-app-{app_keys.APPROVER}")
        known = await self._store.get(key) is not None
        for name, each in (await asyncio.to_thread(self._read_apps, folder, known=known)).items():
            values = {"app-id": each.app_id, "private-key": each.private_key.reveal()}
            await _apply(self._store, _secret(f"github-app-{name}", values))

    def _read_apps(self, folder: Path, *, known: bool) -> Mapping[str, AppKey]:
        if known and not folder.is_dir():
            _LOG.warning("apps_folder_gone folder=%s using=known_keys", folder)
            return {}
        return app_keys.read_folders(folder, clock=self._clock)

    async def _make_apps(self) -> None:
        for name, permissions in APPS.items():
            key = Key("Secret", NAMESPACE, f"github-app-{name}")
            if await self._store.get(key) is not None:
                continue
            app = await asyncio.to_thread(self._make_app, name, permissions)
            await _keep_secret(self._store, key.name, app)

    def _make_app(self, name: str, permissions: Mapping[str, str]) -> Mapping[str, str]:
        with Operator(self._own_url, self._operator_token) as operator:
            app = operator.ensure_app(name, {**permissions, "metadata": "read"})
        return {"app-id": str(app.id), "private-key": app.private_key}


async def _apply(objects: Objects, obj: Object) -> None:
    try:
        await objects.create(obj)
    except AlreadyExists:
        await objects.patch(key_of(obj), obj)


async def _complete(objects: Objects, obj: Object) -> None:
    """Add the entries of a ConfigMap that are not there yet; those that are there are theirs."""
    try:
        await objects.create(obj)
    except AlreadyExists:
        found = await objects.get(key_of(obj)) or {}
        await objects.patch(key_of(obj), {"data": {**obj["data"], **(found.get("data") or {})}})


async def _keep_secret(objects: Objects, name: str, values: Mapping[str, str]) -> None:
    """Store a Secret unless there is one: a key that was handed out is never replaced."""
    with contextlib.suppress(AlreadyExists):
        await objects.create(_secret(name, values))


def _secret(name: str, values: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _local_forge(url: str) -> ForgeSettings:
    """The forge that this package carries, at its address."""
    return ForgeSettings(server_url=url, api_url=f"{url}/api/v3", apps="")


def _settings_for(forge: ForgeSettings) -> Object:
    return standing.config_map(
        "pressplay-settings",
        {
            "GITHUB_API_URL": forge.api_url,
            "GITHUB_SERVER_URL": forge.server_url,
            "PRESSPLAY_APPROVER_APP": forge.approver,
            # Previews of several repositories share this machine.
            "PRESSPLAY_NAMING": "repo-pr",
        },
    )
