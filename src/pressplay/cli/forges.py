"""A forge elsewhere: its address, the Apps that work there, and the state folder that is its own.

One installation speaks to one forge: its server's settings and secrets are those of that forge.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.cli import pipelines
from pressplay.forge import app_keys, tokens
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.tokens import AppKey
from pressplay.server import standing
from pressplay.server.standing import NAMESPACE, Address, ForgeSettings

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
_SERVER = re.compile(rf"(https?)://({_HOST})/?")
_PLACE = re.compile(
    rf"(https?)://({_HOST})/([A-Za-z0-9_-]{{1,39}})/([A-Za-z0-9._-]{{1,100}}?)(?:\.git)?/?"
)
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|[A-Za-z0-9.-]+\.localhost)(:[0-9]+)?")
_GITHUB = "github.com"


@dataclass(frozen=True)
class Place:
    """A repository at an address."""

    scheme: str
    host: str
    owner: str
    name: str

    @property
    def server_url(self) -> str:
        """The base of the forge's addresses."""
        return f"{self.scheme}://{self.host}"


@dataclass(frozen=True)
class Installation:
    """A forge, and the Apps that were found to be installed where they are needed."""

    settings: ForgeSettings
    keys: Mapping[str, AppKey]


def is_address(repo: str) -> bool:
    """Whether `--repo` is an address and no path."""
    return "://" in repo or repo.startswith("git@")


def read_place(repo: str) -> Place:
    """The repository at an address. Raises Refused."""
    found = _PLACE.fullmatch(repo)
    if found is None or found[4] in (".", ".."):
        raise Refused(
            f"--repo {_without_secrets(repo)} is no address of a repository; "
            "write https://HOST/OWNER/NAME"
        )
    place = Place(found[1], found[2].lower(), found[3], found[4])
    _refuse_plain_http(place.scheme, place.host, option="--repo")
    return place


def read_server(url: str) -> str:
    """The base address of a forge. Raises Refused."""
    found = _SERVER.fullmatch(url)
    if found is None:
        raise Refused(f"--forge {_without_secrets(url)} is no forge's address; write https://HOST")
    _refuse_plain_http(found[1], found[2].lower(), option="--forge")
    return f"{found[1]}://{found[2].lower()}"


def state_folder(state: Path, server_url: str) -> Path:
    """Where the server for a forge lives, below the user's state folder."""
    return state / "forges" / server_url.partition("://")[2].replace(":", "_")


def remember(state: Path, server_url: str, *, apps: Path | None) -> ForgeSettings:
    """The settings for a server that works for a forge, written down. Raises Refused."""
    settings = _settings(state, server_url, apps=apps)
    app_keys.read_folders(Path(settings.apps), clock=SystemClock())
    standing.write_forge(state, settings)
    return settings


def _settings(state: Path, server_url: str, *, apps: Path | None) -> ForgeSettings:
    """As known, or new with `apps`. Raises Refused where no folder with Apps is known."""
    known = standing.read_forge(state)
    if known is not None and known.server_url != server_url:
        raise Refused(
            f"State folder {state} belongs to {known.server_url}; give another one with --state"
        )
    if apps is None and known is None:
        raise Refused(
            f"No Apps are known for {server_url}; give --apps DIR the first time: {app_keys.LAYOUT}"
        )
    settings = known or ForgeSettings(server_url, api_url(server_url), "")
    return settings if apps is None else replace(settings, apps=str(apps.absolute()))


def api_url(server_url: str) -> str:
    """Where a forge's REST API is: GitHub's own, or GitHub Enterprise Server's rule."""
    if server_url == f"https://{_GITHUB}":
        return f"https://api.{_GITHUB}"
    return f"{server_url}/api/v3"


def settle(state: Path, place: Place, *, apps: Path | None) -> Installation:
    """Everything that a run there needs, looked up before it starts.

    Raises Refused for keys that cannot be used and Apps that are not installed, and then
    remembers nothing; Unavailable where the forge does not answer.
    """
    settings = _settings(state, place.server_url, apps=apps)
    keys = app_keys.read_folders(Path(settings.apps), clock=SystemClock())
    for name in app_keys.NEEDED:
        _slug(settings, place, name=name, key=keys[name])
    approver = _slug(settings, place, name=app_keys.APPROVER, key=keys[app_keys.APPROVER])
    settings = replace(settings, approver=approver)
    standing.write_forge(state, settings)
    return Installation(settings, keys)


def install(address: Address, installation: Installation) -> None:
    """Hand the Apps to a server that may have been running before they were given."""
    with pipelines.open_kube(address) as kube:
        for name, key in installation.keys.items():
            values = {"app-id": key.app_id, "private-key": key.private_key.reveal()}
            kube.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": f"github-app-{name}", "namespace": NAMESPACE},
                    "data": {k: base64.b64encode(v.encode()).decode() for k, v in values.items()},
                }
            )
        kube.patch(
            "ConfigMap",
            NAMESPACE,
            "pressplay-settings",
            {"data": {"PRESSPLAY_APPROVER_APP": installation.settings.approver}},
        )


def _slug(settings: ForgeSettings, place: Place, *, name: str, key: AppKey) -> str:
    """The slug of an App, asked of its installation on the repository."""
    where = f"{place.owner}/{place.name}"
    try:
        found = tokens.find_installation(
            api_url=settings.api_url,
            app=key,
            owner=place.owner,
            repo=place.name,
            clock=SystemClock(),
        )
    except RefusedByForge as error:
        if error.status != 404:
            raise
        raise Refused(
            f"App {name} (id {key.app_id}) is not installed on {where}, or there is no such "
            f"repository: install it from {place.server_url}/settings/apps, or check --repo"
        ) from error
    return found.slug


def _refuse_plain_http(scheme: str, host: str, *, option: str) -> None:
    if scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise Refused(f"{option}: tokens do not travel over plain http; write https://{host}/…")


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)[:200]
