"""Evidence trees: reading a folder that others filled, and cleaning it before it is kept."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import documents, redaction
from pressplay.base.errors import Refused

FILES_LIMIT = 10_000
FILE_LIMIT = 64 * 1024 * 1024
"""Largest single file in bytes."""
PATH_LIMIT = 500
"""Longest path in characters; what lies deeper is left out."""
TREE_LIMIT = 256 * 1024 * 1024
"""Largest sum of all files in bytes."""

_NAME = re.compile(r"[^\x00-\x1f\\/\ud800-\udfff]{1,255}")


@dataclass(frozen=True)
class Cleaned:
    """A tree without secrets, and the paths of the files that had to be changed for it."""

    files: dict[str, bytes]
    redacted: frozenset[str]


def read_tree(root: Path) -> dict[str, bytes]:
    """Every plain file beneath `root`, by its path from there.

    Links, devices and names with control characters are left out: nothing of ours makes them.
    Raises Refused for a tree beyond the limits. A folder that does not exist is an empty tree.
    """
    found: dict[str, bytes] = {}
    size = 0
    for path in survey(root)[0]:
        content = _read_plain(root / path)
        size += len(content)
        if len(found) >= FILES_LIMIT or size > TREE_LIMIT:
            limit = f"{FILES_LIMIT} files or {TREE_LIMIT >> 20} MiB"
            raise Refused(f"The evidence has more than {limit}; keep fewer proof files")
        found[path] = content
    return found


def clean(files: Mapping[str, bytes], *, secrets: Sequence[str] = ()) -> Cleaned:
    """The same tree with everything that looks like a secret, and `secrets`, replaced by stars.

    Raises Refused where a secret is still to be seen afterwards. Looks into text, JSON strings and
    uncompressed binary; not into archives.
    """
    cleaned = {path: _clean(path, content, secrets) for path, content in files.items()}
    redacted = frozenset(path for path, content in files.items() if cleaned[path] != content)
    for path in redacted:
        if _clean(path, cleaned[path], secrets) != cleaned[path]:
            raise Refused(f"{path} holds a secret that could not be taken out; remove the file")
    return Cleaned(cleaned, redacted)


def survey(root: Path) -> tuple[list[str], list[str]]:
    """The plain files beneath `root`, and what `read_tree` leaves out; both by path, sorted."""
    plain: list[str] = []
    left_out: list[str] = []
    folders = [""] if root.is_dir() else []
    while folders:
        prefix = folders.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if not _NAME.fullmatch(entry.name) or len(path) >= PATH_LIMIT:
                    left_out.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                else:
                    (plain if entry.is_file(follow_symlinks=False) else left_out).append(path)
    return sorted(plain), sorted(left_out)


def _read_plain(path: Path) -> bytes:
    """The content of a file that is still no link; a pipe put in its place does not block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as reader:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{path.name} is no plain file")
        content = reader.read(FILE_LIMIT + 1)
    if len(content) > FILE_LIMIT:
        raise Refused(f"{path.name} is larger than {FILE_LIMIT >> 20} MiB; keep it smaller")
    return content


def _clean(path: str, content: bytes, secrets: Sequence[str]) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Latin-1 gives every byte a character and back, so that only the secret itself changes.
        return redaction.redact(content.decode("latin-1"), secrets=secrets).encode("latin-1")
    if path.endswith(".json"):
        return _clean_json(text, secrets, indent=2).encode()
    if path.endswith(".jsonl"):
        # Not splitlines(): a JSON string may hold line separators that are no line breaks here.
        lines = text.split("\n")
        return "\n".join(_clean_json(line, secrets, indent=None) for line in lines).encode()
    return redaction.redact(text, secrets=secrets).encode()


def _clean_json(text: str, secrets: Sequence[str], *, indent: int | None) -> str:
    """String by string, so that it stays JSON, and what escapes had hidden is seen.

    A text without an escape hides nothing: where it is clean as it stands, each string in it is.
    """
    if "\\" not in text and redaction.redact(text, secrets=secrets) == text:
        return text
    try:
        # Strictly: what an odd reading would pass over, such as a key given twice, is text.
        value = documents.read_json(text, source="evidence")
    except Refused:
        return redaction.redact(text, secrets=secrets)
    cleaned = redaction.redact_value(value, secrets=secrets)
    if cleaned == value:
        return text
    return json.dumps(cleaned, indent=indent, ensure_ascii=False)
