"""Where a call stands in the tree of a run, and what its node is called and holds at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.engine.records import NewNode
from pressplay.engine.scoping import Given, Surroundings
from pressplay.engine.templates import Artifact, Call, Kind, Template


@dataclass(frozen=True)
class Place:
    """Where a call stands in the tree: its node's name, its parents, whose template it is in."""

    name: str
    display: str
    boundary: str = ""
    parents: tuple[str, ...] = ()
    holder: str = ""
    exiting: bool = False
    flag: str = ""


@dataclass(frozen=True)
class Ready:
    """A template with its inputs worked out, about to run at a place."""

    place: Place
    call: Call
    template: Template
    given: Given
    around: Surroundings
    written: Mapping[str, Any]
    """The template before anything was filled in: each try fills it in anew."""


def new_node(ready: Ready, kind: str) -> NewNode:
    """The node of a call that is about to run."""
    return _node(ready.place, ready.call, kind=kind, inputs=_inputs_json(ready))


def skipped_node(place: Place, call: Call) -> NewNode:
    """The node of a call that does not run."""
    return _node(place, call, kind="Skipped", inputs={})


def type_of(template: Template) -> str:
    """The type of a template's node: what applies a resource is a pod to Argo."""
    return str(Kind.POD if template.kind is Kind.RESOURCE else template.kind)


def bare_name(place: Place) -> str:
    """The last part of a node's name without a try's number: how a neighbour calls it."""
    return place.display.split("(", 1)[0]


def _node(place: Place, call: Call, *, kind: str, inputs: dict[str, Any]) -> NewNode:
    return NewNode(
        name=place.name,
        display=place.display,
        kind=kind,
        template=call.to_json(),
        boundary=place.boundary,
        parents=place.parents,
        inputs=inputs,
        flag=place.flag,
    )


def _inputs_json(ready: Ready) -> dict[str, Any]:
    given, made = ready.given, {}
    if given.parameters:
        made["parameters"] = [{"name": n, "value": v} for n, v in given.parameters.items()]
    if ready.template.inputs.artifacts:
        made["artifacts"] = [_artifact(each, given) for each in ready.template.inputs.artifacts]
    return made


def _artifact(declared: Artifact, given: Given) -> dict[str, Any]:
    """An artifact that was declared, and where it comes from if it comes at all."""
    made: dict[str, Any] = {"name": declared.name}
    if declared.path:
        made["path"] = declared.path
    found = given.artifacts.get(declared.name)
    if found is not None and found.key:
        made["s3"] = {"key": found.key}
    return made
