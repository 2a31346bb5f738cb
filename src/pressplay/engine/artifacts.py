"""The artifact repository of this machine: one file or folder a key, as an object store has them.

Folders merge under one key, as objects with one prefix do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pressplay.base import files
from pressplay.base.errors import Refused

_INCOMING = ".incoming"


class ArtifactRepository:
    """Artifacts as plain files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        files.remove_tree(root / _INCOMING)

    def path(self, key: str) -> Path | None:
        """Where the artifact lies, or None. Raises Refused for a key that leaves the folder."""
        found = files.beneath(self._root, key)
        return found if found.exists() else None

    def target(self, key: str) -> Path:
        """Where an artifact with this key is to be written; its parent folders exist."""
        target = files.beneath(self._root, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @contextmanager
    def incoming(self, key: str) -> Iterator[Path]:
        """Where a file is to be written that is then stored under `key`, as a whole or not at all.

        Of two that are stored at once the last one stays; whoever reads sees one of them.
        """
        target = self.target(key)
        part = self._root / _INCOMING / secrets.token_hex(8)
        part.parent.mkdir(exist_ok=True)
        try:
            yield part
            if part.exists():
                _put(part, target, key)
        finally:
            part.unlink(missing_ok=True)

    def remove(self, prefix: str) -> None:
        """Forget everything below a key; idempotent."""
        files.remove_tree(files.beneath(self._root, prefix))


def _put(part: Path, target: Path, key: str) -> None:
    try:
        part.replace(target)
    except IsADirectoryError as error:
        raise Refused(f"A folder is stored at {key}; store the file under another key") from error
