"""A preview goes when its pull request is closed or merged: the forge is asked now and then.

Deliveries only make this faster. What the forge cannot say keeps the preview: its time runs out.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pressplay.base.clocks import Clock
from pressplay.base.errors import PressplayError, Refused
from pressplay.base.redaction import Secret
from pressplay.cluster.port import Key, Object, Objects, is_going, key_of
from pressplay.forge import tokens
from pressplay.forge.client import Forge
from pressplay.forge.tokens import AppKey, Token

_LOG = logging.getLogger(__name__)
REPOSITORY = "pressplay.dev/repository"
APP = "github-app-rex"
_READING = {"pull_requests": "read", "metadata": "read"}
_SPARE = timedelta(minutes=5)
"""A token that ends sooner is not used any more."""


class Pulls(Protocol):
    """Asks about pull requests."""

    async def is_closed(self, owner: str, repo: str, number: int) -> bool:
        """Whether nobody works on it any more, merged or not. Raises PressplayError."""


class ClosingController:
    """Deletes the previews of closed pull requests."""

    def __init__(self, *, objects: Objects, pulls: Pulls, pause_s: float) -> None:
        self._objects = objects
        self._pulls = pulls
        self._pause_s = pause_s

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._pause_s)

    async def look(self) -> None:
        """Ask about the pull request of every preview that stands."""
        for namespace in await self._objects.list("Namespace", labels="preview=true"):
            try:
                if not is_going(namespace) and await self._is_closed(namespace):
                    await self._remove(namespace)
            except PressplayError as error:
                name = namespace["metadata"]["name"]
                _LOG.warning("pull_request_unknown namespace=%s why=%s", name, error)

    async def _is_closed(self, namespace: Object) -> bool:
        metadata = namespace["metadata"]
        owner, _, repo = (metadata.get("annotations") or {}).get(REPOSITORY, "").partition("/")
        number = (metadata.get("labels") or {}).get("pr", "")
        if not owner or not repo or not number.isdigit():
            # Whoever made it did not say whose it is.
            return False
        return await self._pulls.is_closed(owner, repo, int(number))

    async def _remove(self, namespace: Object) -> None:
        """Delete it unless it is another one by now: asking took its time."""
        key = key_of(namespace)
        found = await self._objects.get(key)
        if found is not None and found["metadata"]["uid"] == namespace["metadata"]["uid"]:
            _LOG.info("preview_of_closed_pull_request_removed namespace=%s", key.name)
            await self._objects.delete(key)


class ForgeSource(Protocol):
    """Says which forge is meant, and as whom it is asked."""

    async def read(self) -> tuple[str, AppKey]:
        """The address of its API, and the App's key, as of now. Raises PressplayError."""


class StoredForge:
    """What the settings and the Secret of a store say."""

    def __init__(self, *, objects: Objects, namespace: str) -> None:
        self._objects = objects
        self._namespace = namespace

    async def read(self) -> tuple[str, AppKey]:
        settings = await self._data("ConfigMap", "pressplay-settings")
        return settings.get("GITHUB_API_URL", ""), _app_key(await self._data("Secret", APP))

    async def _data(self, kind: str, name: str) -> Mapping[str, str]:
        found = await self._objects.get(Key(kind, self._namespace, name))
        return (found or {}).get("data") or {}


class MountedForge:
    """What a pod is given: so that its account need not read Secrets."""

    def __init__(self, *, api_url: str, folder: Path) -> None:
        self._api_url = api_url
        self._folder = folder

    async def read(self) -> tuple[str, AppKey]:
        # Each time: a mounted Secret changes where it lies.
        return self._api_url, await asyncio.to_thread(tokens.read_app_key, self._folder)


class ForgePulls:
    """Pull requests of a forge, read as the App that works there."""

    def __init__(self, *, forge: ForgeSource, clock: Clock) -> None:
        self._forge = forge
        self._clock = clock
        self._tokens: dict[tuple[str, str], Token] = {}

    async def is_closed(self, owner: str, repo: str, number: int) -> bool:
        api_url, app = await self._forge.read()
        return await asyncio.to_thread(self._ask, api_url, app, (owner, repo, number))

    def _ask(self, api_url: str, app: AppKey, pull: tuple[str, str, int]) -> bool:
        owner, repo, number = pull
        token = self._token(api_url, app, at=(owner, repo))
        with Forge(api_url=api_url, token=token.value) as forge:
            found = forge.pull(owner, repo, number)
        return found.merged or found.state != "open"

    def _token(self, api_url: str, app: AppKey, *, at: tuple[str, str]) -> Token:
        known = self._tokens.get(at)
        if known is None or known.expires_at - self._clock.now() < _SPARE:
            known = self._tokens[at] = tokens.mint(
                api_url=api_url,
                app=app,
                owner=at[0],
                repo=at[1],
                permissions=_READING,
                clock=self._clock,
            )
        return known


def _app_key(data: Mapping[str, str]) -> AppKey:
    values = {name: base64.b64decode(value).decode().strip() for name, value in data.items()}
    if not values.get("app-id") or not values.get("private-key"):
        raise Refused(f"Secret {APP} needs the keys app-id and private-key")
    return AppKey(values["app-id"], Secret(values["private-key"] + "\n"))
