"""Finding templates: a Workflow's own, those of its workflowTemplateRef, and those of others.

A run keeps the templates with which it began: they are looked up once, as it starts, and stored
in `status.storedTemplates`' spirit by holding the objects for the life of the operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.cluster.port import Key, Object, Objects
from pressplay.engine import templates
from pressplay.engine.templates import Call

Json = Mapping[str, Any]


class Library:
    """The templates that one run can reach, by (WorkflowTemplate name, template name)."""

    def __init__(self, *, objects: Objects, namespace: str, local: Json) -> None:
        self._objects = objects
        self._namespace = namespace
        self._specs: dict[str, Json] = {"": local}

    async def find(self, call: Call, *, holder: str) -> tuple[Json, str]:
        """The raw template and the WorkflowTemplate that holds it ("" for the run's own).

        `holder` is where the caller itself lives: a bare name is looked up there. Raises Refused.
        """
        home = call.workflow_template or holder
        spec = await self._spec(home)
        for template in spec.get("templates", ()):
            if template["name"] == call.template:
                return _with_defaults(self._specs[""].get("templateDefaults") or {}, template), home
        place = f"WorkflowTemplate {home}" if home else "the workflow"
        raise Refused(f"template name '{call.template}' undefined in {place}; check the spelling")

    async def _spec(self, name: str) -> Json:
        if name not in self._specs:
            self._specs[name] = await template_spec(self._objects, self._namespace, name)
        return self._specs[name]


async def template_spec(objects: Objects, namespace: str, name: str) -> Json:
    """The spec of a WorkflowTemplate. Raises Refused in Argo's words if there is none."""
    found = await objects.get(Key("WorkflowTemplate", namespace, name))
    if found is None:
        raise Refused(f'workflowtemplates.argoproj.io "{name}" not found')
    spec: Json = found["spec"]
    return spec


async def referable(objects: Objects, workflow: Object) -> dict[str, Json]:
    """The specs of the WorkflowTemplates to which a run can refer, by name."""
    if not _refers(workflow["spec"]):
        return {}
    namespace = workflow["metadata"]["namespace"]
    found = await objects.list("WorkflowTemplate", namespace=namespace)
    return {each["metadata"]["name"]: each["spec"] for each in found}


def _refers(value: object) -> bool:
    if isinstance(value, Mapping):
        named = "templateRef" in value or "workflowTemplateRef" in value
        return named or any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))


async def effective_spec(objects: Objects, workflow: Object) -> Json:
    """The Workflow's spec over that of its workflowTemplateRef.

    Arguments merge by name; everything else of the Workflow replaces the template's.
    Source: Argo's documentation, "Workflow Templates", on workflowTemplateRef.
    """
    own = workflow["spec"]
    reference = own.get("workflowTemplateRef")
    if not reference:
        return dict(own)
    base = await template_spec(objects, workflow["metadata"]["namespace"], reference["name"])
    merged = {**base, **{k: v for k, v in own.items() if k not in ("arguments", "templates")}}
    merged["arguments"] = _merge_arguments(base.get("arguments", {}), own.get("arguments", {}))
    return merged


def _with_defaults(defaults: Json, template: Json) -> Json:
    """A template over the run's own templateDefaults, whose body of another kind is left out.

    Source: `mergedTemplateDefaultsInto` of Argo's controller.
    """
    wanted = {
        name: value
        for name, value in defaults.items()
        if name not in templates.BODIES or name in template
    }
    return _over(wanted, template)


def _over(base: Json, own: Json) -> dict[str, Any]:
    merged = dict(base)
    for name, value in own.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = _over(below, value)
        else:
            merged[name] = value
    return merged


def _merge_arguments(base: Json, own: Json) -> Json:
    merged: dict[str, Any] = {}
    for part in ("parameters", "artifacts"):
        entries = {each["name"]: dict(each) for each in base.get(part, ())}
        for each in own.get(part, ()):
            entries[each["name"]] = {**entries.get(each["name"], {}), **each}
        if entries:
            merged[part] = list(entries.values())
    return merged
