"""The artifact repository of this machine: one file or folder a key, as an object store has them.

Folders merge under one key, as objects with one prefix do.
"""

from __future__ import annotations

from pathlib import Path

from pressplay.base import files


class ArtifactRepository:
    """Artifacts as plain files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path | None:
        """Where the artifact lies, or None. Raises Refused for a key that leaves the folder."""
        found = files.beneath(self._root, key)
        return found if found.exists() else None

    def target(self, key: str) -> Path:
        """Where an artifact with this key is to be written; its parent folders exist."""
        target = files.beneath(self._root, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def remove(self, prefix: str) -> None:
        """Forget everything below a key; idempotent."""
        files.remove_tree(files.beneath(self._root, prefix))
