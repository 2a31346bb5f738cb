"""Writes that came over HTTP: from what was asked to what is stored.

Every kind of change becomes the wanted object first, which admission judges, and then a merge
patch against the version that was judged.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pressplay.base.schemas import Schema
from pressplay.cluster import merging
from pressplay.cluster.port import AlreadyExists, Conflict, Key, Object, Objects
from pressplay.server import admission, failures, ports, strategic
from pressplay.server.addresses import Address
from pressplay.server.auth import Identity
from pressplay.server.failures import BadRequest, Forbidden
from pressplay.server.rights import GROUP, Action, Rights, denial

_UNEXAMINED = ("ConfigMap", "Workflow", "WorkflowTemplate")
"""Kinds whose merge patches go straight to the store: nothing is to be judged in them, and a
Workflow may be large."""


class Writer:
    """Creates, changes and deletes for an identity whose rights were already checked."""

    def __init__(self, *, objects: Objects, rights: Rights, schemas: Mapping[str, Schema]) -> None:
        self._objects = objects
        self._rights = rights
        self._schemas = schemas

    async def create(self, obj: Object, address: Address, identity: Identity) -> Object:
        """Store a new object. Raises Failure, AlreadyExists."""
        _check_identity(obj, address)
        metadata = _without(obj.get("metadata") or {}, "managedFields")
        if address.namespace:
            metadata["namespace"] = address.namespace
        obj = {**obj, "metadata": metadata}
        if address.kind.has_status:
            obj = _without(obj, "status")
        admission.check_namespace_name(address.namespace)
        generated = not metadata.get("name")
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        admission.check_name(address.kind, name, generate=generated)
        obj = await self._admit(obj, address, identity, before=None)
        try:
            return await self._objects.create(obj)
        except AlreadyExists as error:
            raise failures.of_error(error, _named(address, name)) from error

    async def replace(self, obj: Object, address: Address, identity: Identity) -> Object:
        """Put an object in the place of the one that is there. Raises Failure."""
        _check_identity(obj, address)
        before = await self._existing(address)
        return await self._change(before, obj, address, identity=identity)

    async def patch(
        self, patch: Object, address: Address, identity: Identity, *, strategic_merge: bool
    ) -> Object:
        """Merge a patch into an object. Raises Failure."""
        if address.kind.name in _UNEXAMINED and not strategic_merge:
            await self._confine(address.key, identity, states=())
            version = _version(patch)
            await self._objects.patch(address.key, _acceptable(patch), version=version)
            return await self._existing(address)
        before = await self._existing(address)
        if strategic_merge:
            after = strategic.merge(before, patch)
        else:
            after = copy.deepcopy(before)
            merging.merge(after, patch)
        _check_identity(after, address)
        if not _version(patch):
            after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
        return await self._change(before, after, address, identity=identity)

    async def delete(self, options: Object, address: Address, identity: Identity) -> Object:
        """Delete an object; as it was. Raises Failure."""
        before = await self._existing(address)
        await self._confine(address.key, identity, states=(before,))
        wanted: Mapping[str, Any] = options.get("preconditions") or {}
        for field in ("uid", "resourceVersion"):
            if wanted.get(field, before["metadata"][field]) != before["metadata"][field]:
                raise Conflict(f"{address.key} has another {field}")
        await self._objects.delete(address.key)
        return before

    async def _change(
        self, before: Object, after: Object, address: Address, *, identity: Identity
    ) -> Object:
        """Store what is different, as far as the address lets it be."""
        version = _version(after) or before["metadata"]["resourceVersion"]
        if version != before["metadata"]["resourceVersion"]:
            raise Conflict(f"{address.key} changed")
        after = _within_reach(before, after, address)
        after = await self._admit(after, address, identity, before=before)
        patch = merging.diff(before, after)
        await self._objects.patch(address.key, patch, version=version)
        return await self._existing(address)

    async def _existing(self, address: Address) -> Object:
        found = await self._objects.get(address.key)
        if found is None:
            raise failures.missing(address)
        return found

    async def _admit(
        self, obj: Object, address: Address, identity: Identity, *, before: Object | None
    ) -> Object:
        """The object as it may be stored. Raises Failure."""
        kind = address.kind
        states = [obj] if before is None else [before, obj]
        await self._confine(address.key, identity, states=states)
        await self._check_escalation(obj, address, identity)
        admission.check_object(obj, schemas=self._schemas)
        match kind.name:
            case "Namespace":
                return admission.with_namespace_label(obj)
            case "Secret":
                return admission.with_encoded_data(obj)
            case "Service":
                others = await self._objects.list("Service")
                key = _named(address, obj["metadata"].get("name", "")).key
                return admission.with_node_ports(
                    obj,
                    before=before,
                    taken=admission.taken_ports(others, but=key),
                    free_port=ports.free_port,
                )
            case _:
                return obj

    async def _confine(self, key: Key, identity: Identity, *, states: Any) -> None:  # noqa: ANN401
        holder = None
        if key.namespace:
            holder = await self._objects.get(Key("Namespace", "", key.namespace))
        admission.confine(identity, key, states=states, namespace=holder)

    async def _check_escalation(self, obj: Object, address: Address, identity: Identity) -> None:
        """Nobody gives away rights without the right to do that.

        Narrower than Kubernetes, which also lets everybody give away what they have themselves.
        Source: "Privilege escalation prevention and bootstrapping" on its RBAC page.
        """
        if address.kind.group != GROUP:
            return
        name = obj["metadata"].get("name", "")
        verb, plural = "escalate", address.kind.plural
        if address.kind.name.endswith("Binding"):
            role = obj.get("roleRef") or {}
            name, verb, plural = role.get("name", ""), "bind", f"{role.get('kind', '')}s".lower()
        action = Action(verb, GROUP, plural, namespace=address.namespace, name=name)
        if not await self._rights.allow(identity, action):
            raise Forbidden(denial(identity, action))


def _within_reach(before: Object, after: Object, address: Address) -> Object:
    """The wanted object with its status as it was, or all but its status; and its identity."""
    if not address.kind.has_status:
        return after
    if address.subresource == "status":
        return _with_status(before, after.get("status"))
    return _with_status(after, before.get("status"))


def _with_status(obj: Object, status: Any) -> Object:  # noqa: ANN401 - JSON
    rest = _without(obj, "status")
    return rest if status is None else {**rest, "status": status}


def _check_identity(obj: Object, address: Address) -> None:
    """Raises BadRequest for an object that is not what the path names."""
    kind, metadata = address.kind, obj.get("metadata")
    if not isinstance(metadata, dict):
        raise BadRequest("the object provided has no metadata")
    wanted = (
        ("kind", obj.get("kind"), kind.name),
        ("apiVersion", obj.get("apiVersion"), kind.api_version),
        ("metadata.namespace", metadata.get("namespace") or address.namespace, address.namespace),
        ("metadata.name", metadata.get("name", ""), address.name or metadata.get("name", "")),
    )
    for field, given, expected in wanted:
        if given != expected:
            raise BadRequest(
                f"the {field} of the provided object ({given!r}) does not match "
                f"the one of the request ({expected!r})"
            )


def _acceptable(patch: Object) -> Object:
    """A merge patch without what the store would refuse as not its caller's."""
    metadata = patch.get("metadata")
    if not isinstance(metadata, dict):
        return patch
    return {**patch, "metadata": _without(metadata, "managedFields")}


def _version(obj: Object) -> str:
    metadata = obj.get("metadata")
    return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""


def _named(address: Address, name: str) -> Address:
    return Address(address.kind, address.namespace, name)


def _without(obj: Object, name: str) -> Object:
    return {field: value for field, value in obj.items() if field != name}
