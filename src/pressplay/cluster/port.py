"""The object port: what every store of objects must do.

An object is a JSON dict with `apiVersion`, `kind` and `metadata`. Reads answer copies: what a
caller changes in them changes nothing in the store.

A large map of a kind (the nodes of a Workflow's status) is a row map: `get`, `list`, `create` and
the first change that a watch tells of an object have it whole. In what `patch` answers and in
later changes it stands empty, so that one change among ten thousand nodes costs no more than among
ten; whoever wants the rows then reads the object.

Some of it no Kubernetes can promise. Where a method says "on a cluster", that is what holds of the
port over an API server (`cluster.remote`), so that whoever is to live there counts on no more.
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


def is_going(obj: Mapping[str, Any]) -> bool:
    """Whether an object is on its way out, as on a cluster it may be for a while."""
    return bool(obj["metadata"].get("deletionTimestamp"))


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

        `labels` is a selector: `a=b,c!=d,e,!f,g in (x,y),h notin (z)`. On a cluster the age counts
        in whole seconds.
        """

    async def create(self, obj: Object) -> Object:
        """Store a new object; gives it uid, creationTimestamp, resourceVersion, generation 1.

        `metadata.generateName` gets a random suffix. Raises AlreadyExists; NotFound where its
        namespace does not exist. On a cluster a kind that lives without a spec (a ConfigMap) has no
        generation, and a namespace that is on its way out refuses with other words.
        """

    async def patch(self, key: Key, patch: Object, *, version: str = "") -> Object:
        """Apply a JSON merge patch (RFC 7386) to spec, metadata and status alike.

        `generation` counts changes outside metadata and status. A patch that changes nothing
        writes nothing and keeps the resourceVersion. With `version`, raises Conflict if the
        object's resourceVersion is another. Raises NotFound. Fields that the store gives (uid,
        creationTimestamp, generation, resourceVersion) are left out of account. The answer's row
        map is empty.

        On a cluster the status of most kinds is a resource of its own: then what a patch says of
        it is a second write, after the rest, and others may see the first one alone. Of the kinds
        for which it is none (a Workflow), `generation` counts changes of the status too.
        """

    async def delete(self, key: Key) -> None:
        """Remove the object, all that it owns by ownerReferences, and a namespace's content.

        Idempotent: deleting what is not there does nothing. What has several owners goes with
        the last of them.

        On a cluster this only begins it: what hangs on the object goes a moment later, and the
        object itself may stay until then, with a deletionTimestamp (see `is_going`).
        """

    def watch(self, kind: str, *, namespace: str = "") -> AsyncGenerator[Change, None]:
        """Every object as ADDED, then each change as it happens, until the generator is closed.

        Changes of one object keep their order. A slow reader misses intermediate states of one
        object, never its last one; an object that came and went meanwhile is not told at all. On a
        cluster it may or may not. ADDED has the row map, the others have it empty.
        """
