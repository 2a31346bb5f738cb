"""The `synchronization` of a template or a Workflow: which mutexes and semaphores it asks for.

Both forms are read: the lists of Argo 3.6 and later, and the singular fields, which 3.7 still has
and 4.0 dropped. Locks in a database are a cluster's and refused here.
Source: Argo's documentation, "Synchronization".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.base.errors import Refused

Json = Mapping[str, Any]
MUTEX, SEMAPHORE = "Mutex", "ConfigMap"
"""The middle part of a lock's name, as Argo writes it."""

_FIELDS = frozenset({"mutex", "mutexes", "semaphore", "semaphores"})


@dataclass(frozen=True)
class Lock:
    """One lock; `key` is that of the ConfigMap `name` that holds a semaphore's limit.

    An empty namespace means the run's own.
    """

    kind: str
    name: str
    key: str = ""
    namespace: str = ""

    def full_name(self, namespace: str) -> str:
        """The lock's name in a run of `namespace`: `agents/Mutex/a`, `agents/ConfigMap/a/key`."""
        parts = [self.namespace or namespace, self.kind, self.name]
        return "/".join([*parts, self.key] if self.kind == SEMAPHORE else parts)


def parse_locks(raw: Json, *, where: str) -> tuple[Lock, ...]:
    """What a `synchronization` asks for. Raises Refused naming `where` and the field."""
    for field, value in raw.items():
        if field not in _FIELDS and value is not None:
            raise Refused(f"{where}: {field}: the embedded engine does not know it")
    found = tuple(_locks(raw, where=where))
    if len(set(found)) != len(found):
        raise Refused(f"{where}: Duplicate synchronization item found")
    return found


def kind_of(name: str) -> str:
    """Whether a lock's full name is that of a mutex or of a semaphore."""
    return name.split("/", 2)[1]


def _locks(raw: Json, *, where: str) -> Iterator[Lock]:
    for each in (raw.get("semaphore"), *(raw.get("semaphores") or ())):
        if each is not None:
            yield _semaphore(each, where=f"{where}.semaphores")
    for each in (raw.get("mutex"), *(raw.get("mutexes") or ())):
        if each is not None:
            yield _mutex(each, where=f"{where}.mutexes")


def _semaphore(raw: Json, *, where: str) -> Lock:
    _refuse_database(raw, where=where)
    reference = raw.get("configMapKeyRef") or {}
    name, key = reference.get("name", ""), reference.get("key", "")
    if not name or not key:
        raise Refused(f"{where}: configMapKeyRef needs name and key of a ConfigMap with the limit")
    return Lock(SEMAPHORE, name, key=key, namespace=raw.get("namespace", ""))


def _mutex(raw: Json, *, where: str) -> Lock:
    _refuse_database(raw, where=where)
    if not raw.get("name"):
        raise Refused(f"{where}: a mutex needs a name")
    return Lock(MUTEX, raw["name"], namespace=raw.get("namespace", ""))


def _refuse_database(raw: Json, *, where: str) -> None:
    if raw.get("database"):
        raise Refused(
            f"{where}: database: the embedded engine keeps its locks itself; "
            "use configMapKeyRef or a plain mutex"
        )
