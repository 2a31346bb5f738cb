"""Where a server of this machine stands, and the forge that it serves: what its folder says.

Light to import: commands look here before they do anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.cluster import ownership

NAMESPACE = "agents"
"""Where everything that runs lives."""

STORE = "store"
_ADDRESS = "server.json"
_FORGE = "forge.json"


@dataclass(frozen=True)
class Address:
    """A running server; `forge_url` is the base of clone addresses."""

    pid: int
    kube_url: str
    forge_url: str
    operator_token: str
    warning: str = ""
    """What the server cannot do on this machine, for every command to say."""


@dataclass(frozen=True)
class ForgeSettings:
    """The forge for which one server works.

    `apps` is the folder of the Apps' keys, `approver` the slug of the App that approves.
    """

    server_url: str
    api_url: str
    apps: str
    approver: str = "qa-approver"


def config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """A ConfigMap where everything that runs lives."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def default_state(environment: Mapping[str, str]) -> Path:
    """$PRESSPLAY_STATE, else the place that the XDG base directory specification names."""
    if environment.get("PRESSPLAY_STATE"):
        return Path(environment["PRESSPLAY_STATE"]).absolute()
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "pressplay"


def read_address(state: Path) -> Address | None:
    """The server that lives on this state folder; None if none does."""
    address = _written(state)
    # The lock and not the number decides: a number is soon somebody else's.
    owner = ownership.owner(state / STORE)
    return address if address is not None and owner == address.pid else None


def write_address(state: Path, address: Address) -> None:
    """Tell every command where the server is. Only its user may read it: it holds a token."""
    files.write_atomically(state / _ADDRESS, json.dumps(asdict(address)).encode(), mode=0o600)


def remove_address(state: Path, *, pid: int) -> None:
    """The server `pid` ends; another's address, in a folder that was removed meanwhile, stays."""
    address = _written(state)
    if address is not None and address.pid == pid:
        (state / _ADDRESS).unlink(missing_ok=True)


def _written(state: Path) -> Address | None:
    try:
        return Address(**json.loads((state / _ADDRESS).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def read_forge(state: Path) -> ForgeSettings | None:
    """The forge for which this folder's server works; None for the local one.

    Raises Refused for a file that cannot be read.
    """
    path = state / _FORGE
    if not path.exists():
        return None
    try:
        return ForgeSettings(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise Refused(
            f"{path} cannot be read; give `--apps DIR` again and it is written anew"
        ) from error


def write_forge(state: Path, forge: ForgeSettings) -> None:
    """Remember the forge for every start to come."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write_atomically(state / _FORGE, json.dumps(asdict(forge)).encode(), mode=0o600)
