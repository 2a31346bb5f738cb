"""How a store holds one object: as JSON text, with a large map as rows of its own.

Text cannot be shared by mistake: every read makes a new object. A row map (the nodes of a
Workflow's status) is kept outside the text, so that a change of one row costs the same whether
there are ten others or ten thousand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

import orjson

from pressplay.base.errors import Refused
from pressplay.cluster import merging
from pressplay.cluster.port import Key, Object

RowPath: TypeAlias = tuple[str, ...]
ROW_MAPS: Mapping[str, RowPath] = {"Workflow": ("status", "nodes")}
"""By kind, where its row map stands in the object."""

GIVEN = ("uid", "creationTimestamp", "resourceVersion", "generation")
"""The metadata that a store gives."""

_FIXED = (*GIVEN, "namespace", "name")


@dataclass
class Record:
    """One stored object, changed in place by its store.

    `body` is the object as JSON without resourceVersion and rows; where the row map exists, `{}`
    stands at its place. `id` orders objects by age and is never used twice.
    """

    id: int
    key: Key
    uid: str
    version: int
    body: bytes
    labels: Mapping[str, str]
    owners: frozenset[str]
    rows: dict[str, bytes] | None


@dataclass(frozen=True)
class Update:
    """What a patch does to a record; `body` is None where it stays, None among `rows` removes."""

    body: bytes | None
    labels: Mapping[str, str]
    owners: frozenset[str]
    rows: Mapping[str, bytes | None] = field(default_factory=dict)
    has_rows: bool = False
    """Whether the row map exists afterwards."""


class _Sign(Enum):
    UNTOUCHED = 0
    """Nothing was said about the row map."""
    REPLACED = 1
    """Something that is no map stands at its place, or in place of what held it."""


def encode(value: Any) -> bytes:  # noqa: ANN401 - a JSON value
    """JSON text. Raises Refused for what JSON cannot hold."""
    try:
        return orjson.dumps(value)
    except (TypeError, RecursionError) as error:
        raise Refused(f"The object is not JSON: {error}") from error


def make(*, number: int, key: Key, obj: Object, path: RowPath) -> Record:
    """The record of a new object, whose metadata is complete but for resourceVersion."""
    body, rows = _split(obj, path)
    kept = {n: _encode_row(n, row) for n, row in rows.items()} if isinstance(rows, dict) else None
    return restore(number=number, version=number, key=key, body=encode(body), rows=kept)


def restore(
    *, number: int, version: int, key: Key, body: bytes, rows: dict[str, bytes] | None
) -> Record:
    """A record from its parts, as they were kept."""
    metadata = orjson.loads(body)["metadata"]
    return Record(
        id=number,
        key=key,
        uid=metadata["uid"],
        version=version,
        body=body,
        labels=_labels(metadata),
        owners=_owners(metadata),
        rows=rows,
    )


def has_row_map(body: bytes, path: RowPath) -> bool:
    """Whether the sign for rows stands in a kept body."""
    return isinstance(_split(orjson.loads(body), path)[1], dict)


def read(record: Record, *, path: RowPath) -> Object:
    """The whole object."""
    obj = read_body(record)
    if record.rows:
        _put(obj, path, {name: orjson.loads(row) for name, row in record.rows.items()})
    return obj


def read_body(record: Record) -> Object:
    """The object with an empty row map."""
    obj: Object = orjson.loads(record.body)
    obj["metadata"]["resourceVersion"] = str(record.version)
    return obj


def plan(record: Record, patch: Object, *, path: RowPath) -> Update | None:
    """What a merge patch does to a record; None where it changes nothing. Raises Refused."""
    rest, rows = _split(permitted(record.key, patch), path)
    touched = isinstance(rows, dict)
    if touched and record.rows is not None:
        rest = _pruned(rest, path)
    changed_rows = _change_rows(record.rows or {}, rows) if touched else {}
    obj = _change_body(record, rest)
    if obj is None and not changed_rows:
        return None
    return Update(
        body=None if obj is None else encode(obj),
        labels=record.labels if obj is None else _labels(obj["metadata"]),
        owners=record.owners if obj is None else _owners(obj["metadata"]),
        rows=changed_rows,
        has_rows=touched or (record.rows is not None and rows is not _Sign.REPLACED),
    )


def permitted(key: Key, patch: Object) -> Object:
    """The patch without the fields that belong to the store. Raises Refused for a new identity."""
    if patch.get("kind", key.kind) != key.kind:
        raise Refused(f"A patch cannot turn {key} into another kind; create a new object")
    rest = {name: value for name, value in patch.items() if name not in ("kind", "apiVersion")}
    if "metadata" not in rest:
        return rest
    metadata = rest["metadata"]
    if not isinstance(metadata, dict):
        raise Refused(f"A patch cannot remove the metadata of {key}")
    if metadata.get("name", key.name) != key.name:
        raise Refused(f"A patch cannot rename {key}; create a new object")
    rest["metadata"] = {name: value for name, value in metadata.items() if name not in _FIXED}
    return rest


def without_rows(obj: Object, path: RowPath) -> Object:
    """The object with an empty row map; a copy only where that makes a difference."""
    return _split(obj, path)[0]


def carry_out(record: Record, update: Update, *, version: int) -> None:
    """Change the record in place."""
    record.version = version
    record.body = record.body if update.body is None else update.body
    record.labels = update.labels
    record.owners = update.owners
    if not update.has_rows:
        record.rows = None
        return
    rows = record.rows = {} if record.rows is None else record.rows
    for name, row in update.rows.items():
        if row is None:
            del rows[name]
        else:
            rows[name] = row


def _change_body(record: Record, patch: Object) -> Object | None:
    """The body after a patch; None where it stays as it is."""
    if not patch:
        return None
    obj: Object = orjson.loads(record.body)
    changed = merging.merge(obj, patch)
    if changed - {"metadata", "status"}:
        obj["metadata"]["generation"] += 1
    return obj if changed else None


def _change_rows(before: Mapping[str, bytes], patch: Mapping[str, Any]) -> dict[str, bytes | None]:
    changed: dict[str, bytes | None] = {}
    for name, value in patch.items():
        old = before.get(name)
        if value is None and old is not None:
            changed[name] = None
        elif value is not None:
            holder = {} if old is None else {"row": orjson.loads(old)}
            if merging.merge(holder, {"row": value}):
                changed[name] = _encode_row(name, holder["row"])
    return changed


def _encode_row(name: str, value: Any) -> bytes:  # noqa: ANN401 - a JSON value
    # The name is no part of any text that is encoded, and must be fit for one all the same.
    encode({name: None})
    return encode(value)


def _split(document: Object, path: RowPath) -> tuple[Object, Any]:
    """A copy of the document with `{}` for the map at `path`, and that map or a sign.

    Only the objects along the path are copied.
    """
    if not path or path[0] not in document:
        return document, _Sign.UNTOUCHED
    value = document[path[0]]
    if not isinstance(value, dict):
        return document, _Sign.REPLACED
    if len(path) == 1:
        return {**document, path[0]: {}}, value
    inner, found = _split(value, path[1:])
    return {**document, path[0]: inner}, found


def _pruned(document: Object, path: RowPath) -> Object:
    """The document without the `{}` at `path`, and without what held nothing else."""
    inner = document[path[0]]
    if len(path) > 1:
        inner = _pruned(inner, path[1:])
    if inner:
        return {**document, path[0]: inner}
    return {name: value for name, value in document.items() if name != path[0]}


def _put(document: Object, path: RowPath, value: Object) -> None:
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


def _labels(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    labels = metadata.get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise Refused("metadata.labels must be an object of strings")
    return labels


def _owners(metadata: Mapping[str, Any]) -> frozenset[str]:
    references = metadata.get("ownerReferences") or []
    try:
        return frozenset(str(reference["uid"]) for reference in references)
    except (TypeError, KeyError):
        raise Refused("metadata.ownerReferences must be a list of references with a uid") from None
