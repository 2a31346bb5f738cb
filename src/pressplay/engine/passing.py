"""Arguments and outputs that are written with tags: filled in, and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine import resolving, templates
from pressplay.engine.nodes import Outputs, StoredArtifact
from pressplay.engine.scoping import Surroundings
from pressplay.engine.templates import Task

Json = Mapping[str, Any]


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
