"""How many may hold a semaphore: a number in a ConfigMap, which may change while runs wait."""

from __future__ import annotations

import re

from pressplay.base.errors import Refused
from pressplay.cluster.port import Key, Object, Objects
from pressplay.engine.locks import Locks

_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}")


async def tell(locks: Locks, name: str, *, objects: Objects) -> None:
    """Let `locks` know the limit of a semaphore that it does not know yet.

    Raises Refused where there is no such number, as a run that begins then would wait for ever.
    """
    limit = await _read(objects, name)
    while True:
        locks.resize(name, limit)
        # A change between the reading and the telling was nobody's to follow: see `follow`.
        again = await _read(objects, name)
        if again == limit:
            break
        limit = again
    if limit is None:
        locks.forget(name)
        _, _, config_map, key = name.split("/", 3)
        raise Refused(
            f"failed to initialize semaphore {name} with limit: "
            f"ConfigMap {config_map} needs a key {key} with a whole number above 0"
        )


async def follow(locks: Locks, *, objects: Objects) -> None:
    """Tell `locks` of every change of a limit that it knows, until cancelled."""
    async for change in objects.watch("ConfigMap"):
        metadata = change.object["metadata"]
        place = f"{metadata.get('namespace', '')}/ConfigMap/{metadata['name']}/"
        for name in locks.semaphores():
            if name.startswith(place):
                gone = change.type == "DELETED"
                locks.resize(name, None if gone else _limit(change.object, name))


async def _read(objects: Objects, name: str) -> int | None:
    namespace, _, config_map, _ = name.split("/", 3)
    found = await objects.get(Key("ConfigMap", namespace, config_map))
    return None if found is None else _limit(found, name)


def _limit(config_map: Object, name: str) -> int | None:
    text = str((config_map.get("data") or {}).get(name.split("/", 3)[3], ""))
    return int(text) if _NUMBER.fullmatch(text) else None
