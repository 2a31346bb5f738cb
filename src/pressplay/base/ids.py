"""Identifiers that need no coordination."""

from __future__ import annotations

import hashlib
import secrets
import uuid

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def new_uid() -> str:
    """A fresh object uid (RFC 4122, version 4)."""
    return str(uuid.uuid4())


def random_suffix() -> str:
    """Five characters for a generateName, from the alphabet that Kubernetes uses."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def short_hash(text: str, *, length: int = 8) -> str:
    """The first `length` hex digits of sha256 over `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def fnv32a(text: str) -> int:
    """The 32-bit FNV-1a hash, from which Argo makes node ids.

    Source: the FNV page of its authors, and `NodeID` in Argo's Workflow type.
    """
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
