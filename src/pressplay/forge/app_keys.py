"""The Apps' keys as an operator keeps them: a folder with one folder for each App.

The key of the App `agent` serves for the working Apps that have no folder of their own. Never for
the approver: the forge lets nobody approve a pull request that is their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.forge import tokens
from pressplay.forge.tokens import AppKey

APPROVER = "qa-approver"
SHARED = "agent"
NEEDED = ("rex", "clippy", "qa")
MORE = ("triage", "security")

LAYOUT = (
    f"a folder with one folder for each App ({', '.join(NEEDED)}, or {SHARED} for all of these; "
    f"{APPROVER}), in each the files app-id and private-key"
)


def read_folders(folder: Path, *, clock: Clock) -> Mapping[str, AppKey]:
    """Every App that is needed and those that are there besides, each key tried by signing.

    Raises Refused, naming the App's folder and what to put there.
    """
    if not folder.is_dir():
        raise Refused(f"Apps folder {folder} is not there; give {LAYOUT}")
    found = {name: _read(place, clock) for name, place in _places(folder).items()}
    missing = [name for name in (*NEEDED, APPROVER) if name not in found]
    if missing:
        raise Refused(f"Apps folder {folder} lacks {', '.join(missing)}; it needs {LAYOUT}")
    if found[APPROVER].app_id in {found[name].app_id for name in NEEDED}:
        raise Refused(
            f"Apps folder {folder}: {APPROVER} has the id of a working App, and no App may approve "
            "its own pull request; register a second App for it"
        )
    return found


def _places(folder: Path) -> dict[str, Path]:
    own = {name: folder / name for name in (*NEEDED, *MORE, APPROVER) if (folder / name).is_dir()}
    shared = folder / SHARED
    if not shared.is_dir():
        return own
    return {**dict.fromkeys((*NEEDED, *MORE), shared), **own}


def _read(place: Path, clock: Clock) -> AppKey:
    try:
        key = tokens.read_app_key(place)
        tokens.app_jwt(key.app_id, key.private_key, clock.now())
    except Refused as error:
        raise Refused(f"Apps folder {place}: {error}") from error
    return key
