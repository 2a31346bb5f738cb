"""What Argo refuses before anything runs, in its words and in the order in which it looks.

It walks from the entrypoint through every call: each template is read once as a whole, with
placeholders for what only the run can know, and its inputs again for each call. Then follow the
exit handler and the templates that nobody calls.
Source: how Argo Workflows 3.7 answers, recorded in tests/corpus/answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.validation import fields, outputs, tags
from pressplay.engine.validation.places import Home, Homes, said_of
from pressplay.engine.validation.walking import Walk

Json = Mapping[str, Any]

_MAX_NAME = 63
_WORKFLOW_NAMES = (
    *("name", "namespace", "mainEntrypoint", "serviceAccountName", "uid", "status"),
    *("annotations", "annotations.json", "labels", "labels.json"),
)
_COLLECTIONS = (
    *("", "OnPodCompletion", "OnPodSuccess"),
    *("OnWorkflowCompletion", "OnWorkflowSuccess"),
)


def validate(workflow: Json, *, homes: Homes) -> None:
    """Refuse a Workflow that Argo would end as `invalid spec`.

    Raises Refused in Argo's words, without `invalid spec: `.
    """
    try:
        _validate(workflow, homes)
    except RecursionError as error:
        raise Refused("the templates call each other too deeply; call fewer in a row") from error


def _validate(workflow: Json, homes: Homes) -> None:
    name, spec = workflow["metadata"].get("name", ""), workflow["spec"]
    if len(name) > _MAX_NAME:
        raise Refused(
            f'workflow name "{name}" must not be more than {_MAX_NAME} characters long '
            f"(currently {len(name)})"
        )
    base = _base(spec, homes)
    fields.check_names(spec.get("templates") or (), where="spec.templates")
    arguments = _merged(spec.get("arguments"), (base or {}).get("arguments"))
    fields.check_arguments(arguments, where="spec.arguments.")
    walk = Walk(homes, _globals(workflow, base, arguments))
    home = Home("", spec)
    reference = {} if base is None else spec["workflowTemplateRef"]
    entrypoint = spec.get("entrypoint") or (base or {}).get("entrypoint") or ""
    if not entrypoint:
        raise Refused("spec.entrypoint is required")
    walk.call(_holder(entrypoint, reference), home, arguments)
    _check_exit(walk, home, base, reference=reference)
    fields.check_hooks(spec.get("hooks"), where="hooks")
    _check_collection(spec.get("podGC") or {})
    for template in (spec if base is None else base).get("templates") or ():
        # Only the names of the run's own were looked at so far.
        called = template.get("name") or ""
        with said_of(f"templates.{called}"):
            walk.call(_holder(called, reference), home, None)


def _base(spec: Json, homes: Homes) -> Json | None:
    """The spec of the workflowTemplateRef, if there is one."""
    reference = spec.get("workflowTemplateRef")
    if not reference:
        return None
    if spec.get("templates"):
        raise Refused(
            "Templates is invalid field in spec if workflow referred WorkflowTemplate reference"
        )
    found = homes.spec(reference)
    if found is None:
        kind = "clusterworkflowtemplates" if reference.get("clusterScope") else "workflowtemplates"
        raise Refused(f'{kind}.argoproj.io "{reference["name"]}" not found')
    return found


def _merged(own: Json | None, base: Json | None) -> Json:
    merged: dict[str, Any] = {}
    for part in ("parameters", "artifacts"):
        mine = fields.entries(own, part)
        names = {each.get("name") for each in mine}
        merged[part] = mine + [e for e in fields.entries(base, part) if e.get("name") not in names]
    return merged


def _globals(workflow: Json, base: Json | None, arguments: Json) -> dict[str, str]:
    spec = workflow["spec"]
    names = {f"workflow.{each}": tags.placeholder() for each in _WORKFLOW_NAMES}
    for parameter in fields.entries(arguments, "parameters"):
        value = parameter.get("value")
        text = tags.placeholder() if value is None else tags.text_of(value)
        names[f"workflow.parameters.{parameter['name']}"] = text
        names["workflow.parameters"] = names["workflow.parameters.json"] = tags.placeholder()
    sources = [workflow["metadata"], spec.get("workflowMetadata") or {}]
    sources.append((base or {}).get("workflowMetadata") or {})
    for source in sources:
        for part, where in (("labels",) * 2, ("annotations",) * 2, ("labelsFrom", "labels")):
            for key in source.get(part) or ():
                names[f"workflow.{where}.{key}"] = tags.placeholder()
    if spec.get("priority") is not None:
        names["workflow.priority"] = str(spec["priority"])
    return names


def _holder(template: str, reference: Json) -> Json:
    if reference:
        return {"templateRef": {**reference, "template": template}}
    return {"template": template}


def _check_exit(walk: Walk, home: Home, base: Json | None, *, reference: Json) -> None:
    name = home.spec.get("onExit") or (base or {}).get("onExit") or ""
    if not name:
        return
    walk.known["workflow.failures"] = tags.placeholder()
    own = [*(home.spec.get("templates") or ()), *((base or {}).get("templates") or ())]
    if outputs.has_late_artifacts(own):
        walk.known[tags.ANY_OUTPUT_ARTIFACT] = tags.placeholder()
    walk.call(_holder(name, reference), home, home.spec.get("arguments") or {})


def _check_collection(wanted: Json) -> None:
    strategy = wanted.get("strategy") or ""
    if strategy not in _COLLECTIONS:
        raise Refused(f"podGC.strategy unknown strategy '{strategy}'")
