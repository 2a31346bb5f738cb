"""Argo templates as typed values: what controls the flow is parsed, a pod's own fields stay JSON.

What the engine does not understand is refused by name: an ignored `memoize` or `withItems` would
be a run that looks right and is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine import synchronizing
from pressplay.engine.synchronizing import Lock

Json = Mapping[str, Any]


class Kind(StrEnum):
    """What a template does, named as the node type that it makes."""

    POD = "Pod"
    RESOURCE = "Resource"
    STEPS = "Steps"
    DAG = "DAG"


@dataclass(frozen=True)
class Parameter:
    """A declared or passed parameter; `value` is None where none was given."""

    name: str
    value: str | None = None
    default: str | None = None
    enum: tuple[str, ...] = ()
    path: str = ""
    expression: str = ""
    parameter: str = ""
    json_path: str = ""
    global_name: str = ""


@dataclass(frozen=True)
class Artifact:
    """A declared or passed artifact; `key` names a stored one, `source` an output (`from`)."""

    name: str
    path: str = ""
    source: str = ""
    key: str = ""
    raw: str | None = None
    optional: bool = False
    global_name: str = ""


@dataclass(frozen=True)
class Bindings:
    """Parameters and artifacts, as `inputs`, `outputs` and `arguments` all have them."""

    parameters: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class Backoff:
    """Seconds before the next try: `duration_s * factor ** (tries - 1)`, at most `cap_s`."""

    duration_s: float = 0.0
    factor: float = 1.0
    cap_s: float | None = None
    max_duration_s: float | None = None

    def delay_s(self, tries: int) -> float:
        """The pause after `tries` failed ones."""
        delay = self.duration_s * self.factor ** max(0, tries - 1)
        return delay if self.cap_s is None else min(delay, self.cap_s)


@dataclass(frozen=True)
class Retry:
    """A retryStrategy; `limit` None means without end."""

    limit: int | None = None
    policy: str = "OnFailure"
    expression: str = ""
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True)
class Call:
    """Which template to run: by name in the caller's own object, or in a WorkflowTemplate."""

    template: str
    workflow_template: str = ""

    def to_json(self) -> dict[str, Any]:
        """The part of a NodeStatus that names the template."""
        if not self.workflow_template:
            return {"templateName": self.template}
        return {"templateRef": {"name": self.workflow_template, "template": self.template}}


@dataclass(frozen=True)
class Task:
    """A step or a DAG task: a call with arguments and conditions; `raw` is filled in late."""

    name: str
    call: Call
    raw: Json
    depends: str = ""
    continue_on_failed: bool = False
    continue_on_error: bool = False


@dataclass(frozen=True)
class Template:
    """One template. `raw` keeps the fields of a pod or a resource as they are written."""

    name: str
    kind: Kind
    raw: Json
    inputs: Bindings = field(default_factory=Bindings)
    outputs: Bindings = field(default_factory=Bindings)
    retry: Retry | None = None
    locks: tuple[Lock, ...] = ()
    deadline_s: float | None = None
    fail_fast: bool = True
    groups: tuple[tuple[Task, ...], ...] = ()
    tasks: tuple[Task, ...] = ()


BODIES: Mapping[str, Kind] = {
    "container": Kind.POD,
    "script": Kind.POD,
    "resource": Kind.RESOURCE,
    "steps": Kind.STEPS,
    "dag": Kind.DAG,
}
_TEMPLATE_FIELDS = frozenset(
    {
        *BODIES,
        *("name", "inputs", "outputs", "metadata", "retryStrategy", "activeDeadlineSeconds"),
        *("synchronization", "serviceAccountName", "automountServiceAccountToken", "volumes"),
        *("initContainers", "sidecars", "failFast", "annotations"),
        # Wishes about where a pod runs: there is one place here.
        *("nodeSelector", "affinity", "tolerations", "securityContext", "podSpecPatch"),
        *("priorityClassName", "schedulerName", "hostAliases", "archiveLocation", "executor"),
    }
)
_TASK_FIELDS = frozenset(
    {"name", "template", "templateRef", "arguments", "when", "depends", "dependencies"}
    | {"continueOn"}
)
_DAG_FIELDS = frozenset({"tasks", "failFast"})
_UNSUPPORTED = (
    "the embedded engine does not run it yet (docs/roadmap.md says what comes next); "
    "a cluster's Argo does"
)


def parse_template(raw: Json, *, where: str) -> Template:
    """A template whose own tags are already filled in; those of its steps or tasks are not.

    Raises Refused naming `where` and the field.
    """
    _refuse_others(raw, _TEMPLATE_FIELDS, where=where)
    bodies = [name for name in BODIES if name in raw]
    if len(bodies) != 1:
        raise Refused(f"{where}: a template has exactly one of {', '.join(BODIES)}; has {bodies}")
    kind = BODIES[bodies[0]]
    dag = raw.get("dag", {})
    _refuse_others(dag, _DAG_FIELDS, where=f"{where}.dag")
    return Template(
        name=raw["name"],
        kind=kind,
        raw=raw,
        inputs=parse_bindings(raw.get("inputs", {})),
        outputs=parse_bindings(raw.get("outputs", {})),
        retry=_parse_retry(raw.get("retryStrategy"), where=where),
        locks=synchronizing.parse_locks(
            raw.get("synchronization") or {}, where=f"{where}.synchronization"
        ),
        deadline_s=_seconds(raw.get("activeDeadlineSeconds"), where=where),
        fail_fast=dag.get("failFast", True),
        groups=tuple(
            tuple(_parse_task(step, where=where) for step in group)
            for group in raw.get("steps", ())
        ),
        tasks=tuple(_parse_task(task, where=where) for task in dag.get("tasks", ())),
    )


def parse_bindings(raw: Json) -> Bindings:
    """`inputs`, `outputs` or `arguments`."""
    return Bindings(
        parameters=tuple(_parse_parameter(each) for each in raw.get("parameters", ())),
        artifacts=tuple(_parse_artifact(each) for each in raw.get("artifacts", ())),
    )


def _parse_parameter(raw: Json) -> Parameter:
    source = raw.get("valueFrom", {})
    default = source.get("default", raw.get("default"))
    return Parameter(
        name=raw["name"],
        value=_text(raw.get("value")),
        default=_text(default),
        enum=tuple(str(each) for each in raw.get("enum", ())),
        path=source.get("path", ""),
        expression=source.get("expression", ""),
        parameter=source.get("parameter", ""),
        json_path=source.get("jsonPath", ""),
        global_name=raw.get("globalName", ""),
    )


def _parse_artifact(raw: Json) -> Artifact:
    return Artifact(
        name=raw["name"],
        path=raw.get("path", ""),
        source=raw.get("from", ""),
        key=raw.get("s3", {}).get("key", ""),
        raw=raw["raw"]["data"] if "raw" in raw else None,
        optional=raw.get("optional", False),
        global_name=raw.get("globalName", ""),
    )


def _parse_task(raw: Json, *, where: str) -> Task:
    where = f"{where}.{raw.get('name', '?')}"
    _refuse_others(raw, _TASK_FIELDS, where=where)
    reference = raw.get("templateRef", {})
    call = Call(reference.get("template", raw.get("template", "")), reference.get("name", ""))
    if not call.template:
        raise Refused(f"{where}: names no template; give template or templateRef")
    continue_on = raw.get("continueOn", {})
    if continue_on and "depends" in raw:
        raise Refused(f"{where}: continueOn cannot be combined with depends; use depends alone")
    depends = raw.get("depends", "") or " && ".join(raw.get("dependencies", ()))
    return Task(
        name=raw["name"],
        call=call,
        raw=raw,
        depends=depends,
        continue_on_failed=continue_on.get("failed", False),
        continue_on_error=continue_on.get("error", False),
    )


def _parse_retry(raw: Json | None, *, where: str) -> Retry | None:
    if raw is None:
        return None
    backoff = raw.get("backoff", {})
    expression = raw.get("expression", "")
    limit = raw.get("limit")
    return Retry(
        limit=_limit(limit),
        policy=raw.get("retryPolicy") or ("Always" if expression else "OnFailure"),
        expression=expression,
        backoff=Backoff(
            duration_s=duration_s(backoff.get("duration", "0"), where=where),
            factor=float(backoff.get("factor", 1)),
            cap_s=_maybe_duration(backoff.get("cap"), where=where),
            max_duration_s=_maybe_duration(backoff.get("maxDuration"), where=where),
        ),
    )


def _limit(value: object) -> int | None:
    try:
        return None if value is None else int(str(value))
    except ValueError:
        raise Refused(f"value '{value}' cannot be resolved to an int") from None


def _maybe_duration(value: str | None, *, where: str) -> float | None:
    return None if value is None else duration_s(value, where=where)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(value: str | float, *, where: str) -> float:
    """Seconds of a duration: a bare number of seconds, or Go's `90s`, `2m30s`, `1h`, `500ms`.

    Source: `time.ParseDuration` in Go's documentation, and Argo's "Retries" page.
    """
    text = str(value).strip()
    try:
        return float(text)
    except ValueError:
        pass
    total, number = 0.0, ""
    rest = text
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            number, rest = number + rest[0], rest[1:]
            continue
        unit = next((unit for unit in ("ms", "s", "m", "h") if rest.startswith(unit)), "")
        if not unit or not number:
            break
        total, number, rest = total + float(number) * _UNITS[unit], "", rest[len(unit) :]
    if rest or number or not text:
        raise Refused(f"{where}: {value!r} is no duration; write 30, 30s, 5m or 1h")
    return total


def _seconds(value: object, *, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(str(value))
    except ValueError:
        raise Refused(f"{where}: activeDeadlineSeconds {value!r} is no number of seconds") from None


def _text(value: object) -> str | None:
    """A parameter's value as text: Argo accepts any scalar and keeps what was written."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_others(raw: Json, known: frozenset[str] | Sequence[str], *, where: str) -> None:
    for name, value in raw.items():
        if name not in known and value is not None:
            raise Refused(f"{where}: {name}: {_UNSUPPORTED}")
