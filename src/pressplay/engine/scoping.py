"""What a tag can refer to: flat dotted names for a run, a call's inputs, finished neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.nodes import Outcome, Outputs, StoredArtifact
from pressplay.engine.resolving import Scope
from pressplay.engine.templates import Artifact, Bindings, Parameter


@dataclass(frozen=True)
class Given:
    """The inputs of one call, worked out: texts and artifacts by name."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)

    def names(self) -> dict[str, str]:
        """The names under which the called template sees its parameters."""
        return {f"inputs.parameters.{name}": value for name, value in self.parameters.items()}


@dataclass(frozen=True)
class Surroundings:
    """What a call sees: texts by flat name, and artifacts by the name that `from` uses."""

    scope: Scope
    artifacts: Mapping[str, StoredArtifact] = field(default_factory=dict)

    def with_outcome(self, prefix: str, node: str, outcome: Outcome) -> Surroundings:
        """The same with a finished neighbour's outputs, under `tasks.NAME` or `steps.NAME`."""
        names = {f"{prefix}.id": node, f"{prefix}.status": str(outcome.phase)}
        for name, value in outcome.outputs.parameters.items():
            names[f"{prefix}.outputs.parameters.{name}"] = value
        if outcome.outputs.result is not None:
            names[f"{prefix}.outputs.result"] = outcome.outputs.result
        if outcome.outputs.exit_code is not None:
            names[f"{prefix}.exitCode"] = outcome.outputs.exit_code
            names[f"{prefix}.outputs.exitCode"] = outcome.outputs.exit_code
        stored = {
            f"{prefix}.outputs.artifacts.{name}": artifact
            for name, artifact in outcome.outputs.artifacts.items()
        }
        return Surroundings(self.scope.with_(names), {**self.artifacts, **stored})

    def with_inputs(self, given: Given) -> Surroundings:
        """The same with the inputs of the template that is entered."""
        stored = {
            f"inputs.artifacts.{name}": StoredArtifact(name, artifact.key)
            for name, artifact in given.artifacts.items()
            if artifact.key
        }
        return Surroundings(self.scope.with_(given.names()), {**self.artifacts, **stored})

    def with_globals(self, outputs: Outputs) -> Surroundings:
        """The same with the outputs of the run so far, under `workflow.outputs`."""
        names = {
            f"workflow.outputs.parameters.{name}": value
            for name, value in outputs.parameters.items()
        }
        stored = {
            f"workflow.outputs.artifacts.{name}": artifact
            for name, artifact in outputs.artifacts.items()
        }
        return Surroundings(self.scope.with_(names), {**self.artifacts, **stored})

    def with_names(self, names: Mapping[str, str]) -> Surroundings:
        """The same with more texts."""
        return Surroundings(self.scope.with_(names), self.artifacts)


def globals_of(workflow: Mapping[str, Any], *, parameters: Mapping[str, str]) -> dict[str, str]:
    """The `workflow.*` names. Source: Argo's documentation, "Workflow Variables", "Global"."""
    metadata = workflow["metadata"]
    names = {
        "workflow.name": metadata["name"],
        "workflow.namespace": metadata["namespace"],
        "workflow.uid": metadata["uid"],
        "workflow.creationTimestamp": metadata["creationTimestamp"],
        "workflow.serviceAccountName": workflow["spec"].get("serviceAccountName", ""),
    }
    for part in ("labels", "annotations"):
        for name, value in metadata.get(part, {}).items():
            names[f"workflow.{part}.{name}"] = value
    for name, value in parameters.items():
        names[f"workflow.parameters.{name}"] = value
    listed = [{"name": name, "value": value} for name, value in parameters.items()]
    as_json = json.dumps(listed, separators=(",", ":"), ensure_ascii=False)
    names |= {"workflow.parameters": as_json, "workflow.parameters.json": as_json}
    return names


def workflow_parameters(spec: Mapping[str, Any]) -> dict[str, str]:
    """The run's parameters as text. Raises Refused for one without a value or outside its enum."""
    values: dict[str, str] = {}
    for raw in spec.get("arguments", {}).get("parameters", ()):
        value = raw.get("value", raw.get("default"))
        if value is None:
            raise Refused(
                f"spec.arguments.{raw['name']}.value is required; pass -p {raw['name']}=…"
            )
        values[raw["name"]] = _checked(str(value), raw["name"], raw.get("enum", ()))
    return values


def bind_inputs(
    inputs: Bindings, arguments: Bindings, *, around: Surroundings, where: str
) -> Given:
    """The inputs of a call: its arguments, else the declared values and defaults.

    Arguments are already substituted; a `from` is looked up in `around`. Raises Refused in
    Argo's words when something is missing.
    """
    passed = {each.name: each for each in arguments.parameters}
    parameters = {
        declared.name: _bind_parameter(declared, passed.get(declared.name), where=where)
        for declared in inputs.parameters
    }
    handed = {each.name: each for each in arguments.artifacts}
    artifacts = {}
    for wanted in inputs.artifacts:
        artifact = _bind_artifact(wanted, handed.get(wanted.name), around=around, where=where)
        if artifact is not None:
            artifacts[wanted.name] = artifact
    return Given(parameters, artifacts)


def _bind_parameter(declared: Parameter, passed: Parameter | None, *, where: str) -> str:
    value = passed.value if passed is not None else None
    if value is None:
        value = declared.value if declared.value is not None else declared.default
    if value is None:
        raise Refused(f"{where}: inputs.parameters.{declared.name} was not supplied")
    # An enum of an input is for those who ask a person for it: Argo checks those of the run alone.
    return value


def _checked(value: str, name: str, allowed: tuple[str, ...] | list[str]) -> str:
    if allowed and value not in allowed:
        raise Refused(f"parameter {name}: {value!r} is none of {', '.join(allowed)}")
    return value


def _bind_artifact(
    wanted: Artifact, handed: Artifact | None, *, around: Surroundings, where: str
) -> Artifact | None:
    source = handed if handed is not None else wanted
    if source.source:
        name = source.source.removeprefix("{{").removesuffix("}}").strip()
        stored = around.artifacts.get(name)
        if stored is None:
            # That the template could do without is nothing to Argo; that the caller can, is.
            if source.optional:
                return None
            raise Refused(f'Unable to resolve: "{name}"')
        return Artifact(wanted.name, path=wanted.path, key=stored.key, optional=wanted.optional)
    if source.key or source.raw is not None:
        return Artifact(
            wanted.name,
            path=wanted.path,
            key=source.key,
            raw=source.raw,
            optional=wanted.optional or source.optional,
        )
    if wanted.optional:
        return None
    raise Refused(f"{where}: inputs.artifacts.{wanted.name} was not supplied")
