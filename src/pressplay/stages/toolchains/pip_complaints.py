"""What pip says when it fails, as one sentence of ours: what could not be had, and what to do."""

from __future__ import annotations

import re

from pressplay.base.errors import PressplayError, Refused, Unavailable

SETTING = "PRESSPLAY_REGISTRIES"

_NOT_FOUND = re.compile(
    r"ERROR: (?:No matching distribution found for|Could not find a version that satisfies the "
    r"requirement) (\S+?)(?: \(|\s|$)"
)
_PYTHON = re.compile(r"ERROR: (Package .* requires a different Python: .*)")
_CONFLICT = re.compile(r"ERROR: (Cannot install .* because these package versions have conflict.*)")

# What pip prints of a registry that it could not reach; the words are urllib3's and OpenSSL's.
_OUTSIDE = re.compile(
    r"Retrying \(Retry|Max retries exceeded|NewConnectionError|Failed to establish|"
    r"Name or service not known|Temporary failure in name resolution|ReadTimeoutError|"
    r"Network is unreachable|Connection aborted|ProxyError|SSLError|5\d\d Server Error",
)
_FORBIDDEN = re.compile(r"Tunnel connection failed: 403")


def failure(said: str) -> PressplayError:
    """The error for a pip that failed and said this."""
    outside = _outside(said)
    if outside is not None:
        return outside
    for pattern in (_PYTHON, _CONFLICT):
        if found := pattern.search(said):
            return Refused(f"pip: {found[1]}; change what the repository asks for")
    if found := _NOT_FOUND.search(said):
        return Refused(
            f"pip: no registry has {found[1]} for this Python; change what the repository asks "
            f"for, or let its registry in with the setting {SETTING}"
        )
    return Refused(f"pip: the dependencies cannot be installed: {_last(said)}")


def raise_if_outside(said: str) -> None:
    """Raise where pip failed because of the network, not because of the repository."""
    outside = _outside(said)
    if outside is not None:
        raise outside


def _outside(said: str) -> PressplayError | None:
    if not _OUTSIDE.search(said):
        return None
    found = _NOT_FOUND.search(said)
    what = found[1] if found else _project(said)
    if _FORBIDDEN.search(said):
        return Refused(
            f"pip: could not fetch {what}: its registry is not among the allowed ones; add the "
            f"host to the setting {SETTING}"
        )
    return Unavailable(
        f"pip: could not fetch {what}: the registry does not answer from here; allowed are the "
        f"hosts in the setting {SETTING}; try again"
    )


def _project(said: str) -> str:
    found = re.search(r"/simple/([\w.-]+)", said)
    return found[1] if found else "what the repository depends on"


def _last(said: str) -> str:
    errors = [line.strip() for line in said.splitlines() if line.strip().startswith("ERROR")]
    lines = errors or [line.strip() for line in said.splitlines() if line.strip()]
    return (lines[-1] if lines else "it gave no reason")[:300]
