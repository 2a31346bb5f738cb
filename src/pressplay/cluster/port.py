"""The object port: what every store of objects must do.

An object is a JSON dict with `apiVersion`, `kind` and `metadata`. Reads answer copies: what a
caller changes in them changes nothing in the store.

A large map of a kind (the nodes of a Workflow's status) is a row map: `get`, `list`, `create` and
the first change that a watch tells of an object have it whole. In what `patch` answers and in
later changes it stands empty, so that one change among ten thousand nodes costs no more than among
ten; whoever wants the rows then reads the object.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from pressplay.base.errors import Refused

Object: TypeAlias = dict[str, Any]


class NotFound(Refused):
    """No object has this name."""


class AlreadyExists(Refused):
    """The name is taken; where names are identities, this means the work is already known."""


class Conflict(Refused):
    """The object changed since it was read; read it again and repeat."""


@dataclass(frozen=True)
class Key:
    """The address of one object; `namespace` is empty for kinds that no namespace holds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        inside = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {inside}{self.name}"


def key_of(obj: Mapping[str, Any]) -> Key:
    """The address of an object."""
    metadata = obj["metadata"]
    return Key(obj["kind"], metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True)
class Change:
    """One step in the life of an object."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object


class Objects(Protocol):
    """The store. Every method may be called concurrently; writes of one caller keep their order.

    A write returns only when it is durable; it may be seen by others a moment earlier. Whoever
    acts outside on what it read must first make a write of its own, which is then durable after
    everything that it read.
    """

    async def get(self, key: Key) -> Object | None:
        """The object, or None. Never waits for a write."""

    async def list(self, kind: str, *, namespace: str = "", labels: str = "") -> list[Object]:
        """Objects of a kind, oldest first; all namespaces when `namespace` is empty.

        `labels` is a selector: `a=b,c!=d,e,!f,g in (x,y),h notin (z)`.
        """

    async def create(self, obj: Object) -> Object:
        """Store a new object; gives it uid, creationTimestamp, resourceVersion, generation 1.

        `metadata.generateName` gets a random suffix. Raises AlreadyExists; NotFound where its
        namespace does not exist.
        """

    async def patch(self, key: Key, patch: Object, *, version: str = "") -> Object:
        """Apply a JSON merge patch (RFC 7386) to spec, metadata and status alike.

        `generation` counts changes outside metadata and status. A patch that changes nothing
        writes nothing and keeps the resourceVersion. With `version`, raises Conflict if the
        object's resourceVersion is another. Raises NotFound. Fields that the store gives (uid,
        creationTimestamp, generation, resourceVersion) are left out of account. The answer's row
        map is empty.
        """

    async def delete(self, key: Key) -> None:
        """Remove the object, all that it owns by ownerReferences, and a namespace's content.

        Idempotent: deleting what is not there does nothing. What has several owners goes with
        the last of them.
        """

    def watch(self, kind: str, *, namespace: str = "") -> AsyncGenerator[Change, None]:
        """Every object as ADDED, then each change as it happens, until the generator is closed.

        Changes of one object keep their order. A slow reader may miss intermediate states of one
        object, never its last one; an object that came and went meanwhile is not told at all.
        ADDED has the row map, the others have it empty.
        """
