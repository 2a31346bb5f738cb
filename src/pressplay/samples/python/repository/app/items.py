"""The items, kept in memory and shared by all requests."""

import threading

NAME_LIMIT = 200


class InvalidItem(ValueError):
    """The request's item cannot be kept; the message says why."""


class Items:
    """All items, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[dict[str, object]] = []

    def all(self) -> list[dict[str, object]]:
        with self._lock:
            return [dict(item) for item in self._items]

    def add(self, document: object) -> dict[str, object]:
        """Keep an item; it gets the next id. Raises InvalidItem."""
        name = document.get("name") if isinstance(document, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise InvalidItem("name must be a text that is not empty")
        if len(name) > NAME_LIMIT:
            raise InvalidItem(f"name must have at most {NAME_LIMIT} characters")
        with self._lock:
            item: dict[str, object] = {"id": len(self._items) + 1, "name": name}
            self._items.append(item)
            return dict(item)
