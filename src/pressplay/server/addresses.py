"""REST paths: which kind, which object, which part of it.

Source: Kubernetes' page "API Concepts", section "Resource URIs".
"""

from __future__ import annotations

from dataclasses import dataclass

from pressplay.api import kinds
from pressplay.api.kinds import Kind
from pressplay.cluster.port import Key

_ROOTS = {"api": 2, "apis": 3}
"""How many parts of a path come before the resource: api/v1, apis/group/version."""


@dataclass(frozen=True)
class Address:
    """What a path names; `name` is empty for a collection, `namespace` for all of them."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        return Key(self.kind.name, self.namespace, self.name)

    @property
    def resource(self) -> str:
        """The word that rules and messages use: `pods`, `pods/log`."""
        return self.kind.plural + (f"/{self.subresource}" if self.subresource else "")

    @property
    def qualified(self) -> str:
        """The resource with its group, as error messages write it."""
        return f"{self.kind.plural}.{self.kind.group}" if self.kind.group else self.kind.plural


def parse(path: str) -> Address | None:
    """The address in a decoded path; None for one that is not served."""
    parts = path.strip("/").split("/")
    depth = _ROOTS.get(parts[0], 0)
    if not depth or len(parts) <= depth or "" in parts:
        return None
    group = parts[1] if depth == 3 else ""
    version, rest = parts[depth - 1], parts[depth:]
    if rest[0] == "namespaces" and len(rest) >= 3:
        kind = kinds.by_path(group, version, rest[2])
        if kind is not None and kind.namespaced:
            return _within(kind, rest[3:], namespace=rest[1])
    kind = kinds.by_path(group, version, rest[0])
    if kind is None or (kind.namespaced and len(rest) > 1):
        return None
    return _within(kind, rest[1:], namespace="")


def _within(kind: Kind, rest: list[str], *, namespace: str) -> Address | None:
    """An address whose last parts are name and subresource, if any."""
    if len(rest) > 2:
        return None
    name, subresource = (*rest, "", "")[:2]
    return Address(kind, namespace, name, subresource)
