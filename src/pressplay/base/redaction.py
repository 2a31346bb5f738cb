"""Secrets do not reach a log or an artifact: what is written passes here first.

Known shapes are enough to catch a token that slipped into an output; values that a process holds
itself are handed in, because a secret need not look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

STARS = "***"

# Sources of the shapes: GitHub's "About authentication" page (token prefixes), RFC 7468 (PEM),
# Anthropic's and AWS's documentation (key prefixes), RFC 7519 (a JWT's three parts).
_SHAPES = re.compile(
    r"""
      gh[pousr]_[A-Za-z0-9_]{16,255}
    | github_pat_[A-Za-z0-9_]{22,255}
    | v1\.[0-9a-f]{40}
    | sk-ant-[A-Za-z0-9_-]{16,}
    | sk-[A-Za-z0-9]{32,}
    | AKIA[0-9A-Z]{16}
    | eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?-----END[ ][A-Z ]*PRIVATE[ ]KEY-----
    """,
    re.VERBOSE,
)

# User and password in a URL (RFC 3986, section 3.2.1). By itself, because each of these patterns
# begins with a letter that `re` can search for, and an alternative of both would not.
_CREDENTIALS = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def redact(text: str, *, secrets: Iterable[str] = ()) -> str:
    """`text` with everything that looks like a secret, and each of `secrets`, replaced by stars.

    Values of fewer than six characters are ignored: they would blank out ordinary words.
    """
    for secret in secrets:
        if len(secret) >= 6:
            text = text.replace(secret, STARS)
    return _SHAPES.sub(STARS, _CREDENTIALS.sub(f"://{STARS}@", text))


def redact_value(value: object, *, secrets: Iterable[str] = ()) -> object:
    """A JSON value with every string in it redacted, one by one.

    Redacting the written JSON instead could swallow a quote between two values and break it.
    """
    known = tuple(secrets)
    if isinstance(value, str):
        return redact(value, secrets=known)
    if isinstance(value, Mapping):
        return {
            redact(str(key), secrets=known): redact_value(each, secrets=known)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_value(each, secrets=known) for each in value]
    return value


def has_secret(text: str) -> bool:
    """Whether `text` holds something with the shape of a secret."""
    return any(pattern.search(text) for pattern in (_SHAPES, _CREDENTIALS))


class Secret:
    """A value that prints as stars; `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __bool__(self) -> bool:
        return bool(self._value)
