"""Who is asking: the operator, a person for whom the operator speaks, an App, or an App's token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pressplay.forge.local.rows import AppRow

_LEVELS = {"none": 0, "read": 1, "write": 2, "admin": 3}


@dataclass(frozen=True)
class Person:
    """The operator, or somebody whose part the operator plays (`is_operator` is then False)."""

    login: str
    is_operator: bool


@dataclass(frozen=True)
class App:
    """An App that proved itself by its key: it may look up installations and mint tokens."""

    app: AppRow

    @property
    def login(self) -> str:
        return self.app.login


@dataclass(frozen=True)
class Installation:
    """The holder of an installation token, with what it carries."""

    app: AppRow
    repositories: frozenset[int] = frozenset()
    permissions: Mapping[str, str] = field(default_factory=dict)

    @property
    def login(self) -> str:
        return self.app.login

    def may(self, name: str, level: str) -> bool:
        """Whether the permission `name` was given at `level` or above."""
        return covers(self.permissions, name=name, level=level)


Actor = Person | App | Installation


def covers(permissions: Mapping[str, str], *, name: str, level: str) -> bool:
    """Whether `permissions` hold `name` at `level` or above; everybody may read metadata."""
    if (name, level) == ("metadata", "read"):
        return True
    return _LEVELS.get(permissions.get(name, "none"), 0) >= _LEVELS.get(level, 99)
