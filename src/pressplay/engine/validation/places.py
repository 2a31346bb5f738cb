"""Where a spec is looked at: the object that holds a template, and the names that tags can use."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pressplay.base.errors import Refused

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Home:
    """An object that holds templates; its name is empty for the Workflow itself."""

    name: str
    spec: Json

    def template(self, name: str) -> Json | None:
        """The template of that name."""
        return next(
            (each for each in self.spec.get("templates") or () if each.get("name") == name), None
        )


@dataclass(frozen=True)
class Homes:
    """The specs by name: those of the namespace's WorkflowTemplates, and those of the cluster's."""

    own: Mapping[str, Json] = field(default_factory=dict)
    cluster: Mapping[str, Json] = field(default_factory=dict)

    def spec(self, reference: Json) -> Json | None:
        """The spec of what a templateRef or a workflowTemplateRef names."""
        return self._specs(reference).get(reference.get("name") or "")

    def home(self, reference: Json) -> Home:
        """The same as a home; an empty one where there is none."""
        where = "cluster" if reference.get("clusterScope") else "namespaced"
        return Home(f"{where}/{reference.get('name')}", self.spec(reference) or {})

    def _specs(self, reference: Json) -> Mapping[str, Json]:
        return self.cluster if reference.get("clusterScope") else self.own


class Names(Container[str]):
    """The names that tags can use in one place: its own, and those of the whole run."""

    def __init__(self, own: set[str], known: Mapping[str, str]) -> None:
        self.own = own
        self._known = known

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._known

    def with_(self, more: set[str]) -> Names:
        """The same with more names, for one place within."""
        return Names(self.own | more, self._known)


class Caller(Protocol):
    """Whoever looks at calls, and knows the names that hold for the whole run."""

    known: dict[str, str]

    def call(self, holder: Json, home: Home, arguments: Json | None) -> Json | None:
        """Refuse a call that cannot be made; None as arguments stands for any.

        Gives the template that is called, None where only the run can know.
        """
        ...


@contextlib.contextmanager
def said_of(where: str) -> Iterator[None]:
    """Say where it was that something is wrong."""
    try:
        yield
    except Refused as error:
        raise Refused(f"{where} {error}") from error
