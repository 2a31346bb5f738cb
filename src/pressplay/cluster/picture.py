"""What a reader of a collection has been told, so that a list after a gap becomes changes.

A watch over HTTP breaks off, and its server may have forgotten where. Then all is listed again;
what is different from the picture is what the reader has missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pressplay.cluster import records
from pressplay.cluster.port import Change, Key, Object, key_of
from pressplay.cluster.records import RowPath


class Picture:
    """The objects of one collection as one reader knows them."""

    def __init__(self, *, path: RowPath) -> None:
        """`path` leads to the row map of the kind."""
        self._path = path
        self._known: dict[Key, Object] = {}

    def listed(self, objects: Iterable[Object]) -> Iterator[Change]:
        """The changes that lead to what a list holds."""
        now = {key_of(obj): obj for obj in objects}
        for key in [key for key in self._known if key not in now]:
            yield Change("DELETED", self._known.pop(key))
        for key, obj in now.items():
            yield from self._put(key, obj)

    def heard(self, event: str, obj: Object) -> Iterator[Change]:
        """The changes that an event of a watch means; none for what is known already."""
        key = key_of(obj)
        if event != "DELETED":
            yield from self._put(key, obj)
        elif self._known.pop(key, None) is not None:
            yield Change("DELETED", records.without_rows(obj, self._path))

    def _put(self, key: Key, obj: Object) -> Iterator[Change]:
        bare = records.without_rows(obj, self._path)
        before = self._known.get(key)
        if before is not None and before["metadata"]["uid"] != obj["metadata"]["uid"]:
            yield Change("DELETED", before)
            before = None
        self._known[key] = bare
        if before is None:
            yield Change("ADDED", obj)
        elif before["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            yield Change("MODIFIED", bare)
