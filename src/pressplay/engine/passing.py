"""Arguments and outputs that are written with tags: filled in, and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine import resolving, templates
from pressplay.engine.nodes import Outputs, StoredArtifact
from pressplay.engine.resolving import Scope
from pressplay.engine.scoping import Surroundings
from pressplay.engine.templates import Task, Template

Json = Mapping[str, Any]


_LATE_KEYS = frozenset({"steps", "dag", "outputs", "inputs"})
"""Of a template that calls others: what only its own walk can fill in."""


def mapping(value: object) -> dict[str, Any]:
    """A JSON value that has to be an object. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused(f"expected an object, found {type(value).__name__}")
    return value


def filled_template(raw: Json, scope: Scope) -> Template:
    """A template as it is written, with its own tags filled in once. Raises Refused."""
    leaf = "steps" not in raw and "dag" not in raw
    late = {"inputs"} if leaf else _LATE_KEYS
    now = {key: value for key, value in raw.items() if key not in late}
    rest = {key: value for key, value in raw.items() if key in late}
    filled = mapping(resolving.substitute(now, scope))
    return templates.parse_template({**filled, **rest}, where=f"templates.{raw['name']}")


def without_sources(raw: Json) -> dict[str, Any]:
    """Arguments without the `from` of artifacts, which name an output and hold no text."""
    made = dict(raw)
    if "artifacts" in made:
        made["artifacts"] = [
            {key: value for key, value in each.items() if key != "from"}
            for each in made["artifacts"]
        ]
    return made


def with_sources(filled: templates.Bindings, task: Task) -> templates.Bindings:
    """Filled arguments with the `from` of their artifacts as the task has them."""
    raw = task.raw.get("arguments", {}).get("artifacts", ())
    sources = {each["name"]: each.get("from", "") for each in raw}
    artifacts = tuple(replace(each, source=sources[each.name]) for each in filled.artifacts)
    return replace(filled, artifacts=artifacts)


def declared_outputs(declared: templates.Bindings, around: Surroundings) -> Outputs:
    """Outputs of steps and dag templates, taken from their children. Raises Refused."""
    parameters = {}
    for parameter in declared.parameters:
        value = _declared_value(parameter, around)
        if value is not None:
            parameters[parameter.name] = value
    artifacts = {}
    for artifact in declared.artifacts:
        name = artifact.source.removeprefix("{{").removesuffix("}}").strip()
        stored = around.artifacts.get(name)
        if stored is not None:
            artifacts[artifact.name] = StoredArtifact(artifact.name, stored.key)
        elif not artifact.optional:
            raise Refused(f'Unable to resolve: "{name}"')
    return Outputs(parameters, artifacts)


def _declared_value(declared: templates.Parameter, around: Surroundings) -> str | None:
    """An output of steps or dag; None where nothing says what it is. Raises Refused.

    A reference that leads nowhere takes the declared default, if there is one.
    """
    try:
        if declared.parameter:
            return resolving.substitute_text(declared.parameter, around.scope, strict=True)
        if declared.expression:
            return resolving.substitute_text(
                "{{=" + declared.expression + "}}", around.scope, strict=True
            )
        if declared.value is not None:
            return resolving.substitute_text(declared.value, around.scope, strict=True)
    except Refused:
        if declared.default is None:
            raise
    return declared.default
