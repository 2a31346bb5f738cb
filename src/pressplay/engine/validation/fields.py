"""Names, arguments, inputs and outputs of a spec: what must be there, and what must not.

Source: how Argo Workflows 3.7 answers, recorded in tests/corpus/answers. Messages are Argo's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.validation import tags

Json = Mapping[str, Any]

KINDS = (
    *("container", "containerSet", "steps", "dag", "script", "resource"),
    *("data", "suspend", "http", "plugin"),
)
_LEAVES = frozenset(KINDS) - {"steps", "dag", "suspend"}
_POLICIES = ("", "Always", "OnError", "OnFailure", "OnTransientError")
_FIELD_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_VALUE_NAME = re.compile(r"[-a-zA-Z0-9_]+")
_MAX_LENGTH = 128
_LOCATIONS = {
    "s3": ("key",),
    "gcs": ("key",),
    "oss": ("key",),
    "azure": ("blob",),
    "hdfs": ("path", "addresses"),
    "git": ("repo",),
    "http": ("url",),
    "artifactory": ("url",),
}


def kind_of(template: Json) -> str:
    """The field that says what a template does; empty where there is none."""
    return next((kind for kind in KINDS if template.get(kind) is not None), "")


def is_leaf(template: Json) -> bool:
    """Whether a template does work of its own, rather than calling others."""
    return kind_of(template) in _LEAVES


def entries(holder: Json | None, part: str) -> list[Json]:
    """The `parameters` or `artifacts` of inputs, outputs or arguments."""
    found = (holder or {}).get(part)
    return list(found or ())


def check_kind(template: Json) -> None:
    """A template does exactly one thing."""
    count = sum(template.get(kind) is not None for kind in KINDS)
    if count != 1:
        what = "multiple template types specified" if count else "template type unspecified"
        raise Refused(
            f"templates.{template.get('name', '')} {what}. choose one of: container, "
            "containerSet, steps, script, resource, dag, suspend, template, template ref"
        )


def check_retry(template: Json) -> None:
    """A retryStrategy has one of the policies that there are."""
    policy = (template.get("retryStrategy") or {}).get("retryPolicy") or ""
    if policy not in _POLICIES and not tags.is_placeholder(policy):
        raise Refused(f"{policy} is not a valid RetryPolicy")


def check_hooks(hooks: Json | None, *, where: str) -> None:
    """Each hook but the one at the end has a condition."""
    for name, hook in (hooks or {}).items():
        if name != "exit" and not hook.get("expression"):
            raise Refused(f"{where}.{name} Expression required")


def check_names(values: Sequence[Json], *, where: str) -> None:
    """Names of templates and tasks: there, well formed, each once."""
    _check_each(values, field_name_problem, where=where)


def check_value_names(values: Sequence[Json], *, where: str) -> None:
    """Names of parameters and artifacts: there, well formed, each once."""
    _check_each(values, value_name_problem, where=where)


def field_name_problem(name: str) -> str:
    """What is wrong with the name of a template, a step or a task; empty if nothing is."""
    problems = []
    if len(name) > _MAX_LENGTH:
        problems.append(f"must be no more than {_MAX_LENGTH} characters")
    if not _FIELD_NAME.fullmatch(name):
        problems.append(
            "name must consist of alpha-numeric characters or '-', and must start with an "
            "alpha-numeric character (e.g. My-name1-2, 123-NAME)"
        )
    return ";".join(problems)


def value_name_problem(name: str) -> str:
    """What is wrong with the name of a parameter or an artifact; empty if nothing is."""
    if _VALUE_NAME.fullmatch(name):
        return ""
    return (
        "Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' "
        "e.g. my_param_1, MY-PARAM-1"
    )


def _check_each(values: Sequence[Json], problem_of: Callable[[str], str], *, where: str) -> None:
    seen: set[str] = set()
    for number, value in enumerate(values):
        name = value.get("name") or ""
        if not name:
            raise Refused(f"{where}[{number}].name is required")
        problem = problem_of(name)
        if problem:
            raise Refused(f"{where}[{number}].name: '{name}' is invalid: {problem}")
        if name in seen:
            raise Refused(f"{where}[{number}].name '{name}' is not unique")
        seen.add(name)


def check_arguments(arguments: Json | None, *, where: str) -> None:
    """Arguments have a name and a value each; `where` ends with a full stop."""
    for part in ("parameters", "artifacts"):
        check_value_names(entries(arguments, part), where=f"{where}{part}")
    for parameter in entries(arguments, "parameters"):
        _check_argument(parameter, where=f"{where}{parameter['name']}")
    for artifact in entries(arguments, "artifacts"):
        at = f"{where}{artifact['name']}"
        if not artifact.get("from") and not has_location(artifact):
            raise Refused(f"{at}.from, artifact location, or key is required")
        if artifact.get("from") and artifact.get("fromExpression"):
            raise Refused(f"{at} shouldn't have both `from` and `fromExpression` in Artifact")


def _check_argument(parameter: Json, *, where: str) -> None:
    value, source = parameter.get("value"), parameter.get("valueFrom")
    if value is None and source is None:
        raise Refused(f"{where}.value or {where}.valueFrom is required")
    if source is not None:
        allowed = source.get("configMapKeyRef") or source.get("event")
        others = ("path", "jsonPath", "parameter", "expression")
        is_fine = allowed or source.get("supplied") is not None
        if not is_fine or any(source.get(name) for name in others):
            raise Refused(f"{where}.valueFrom only allows: default, configMapKeyRef and supplied")
    _check_enum(parameter, where=where)


def _check_enum(parameter: Json, *, where: str) -> None:
    allowed, value = parameter.get("enum"), parameter.get("value")
    if allowed is None:
        return
    if not allowed:
        raise Refused(f"{where}.enum should contain at least one value")
    if value is None:
        raise Refused(f"{where}.value is required")
    if tags.text_of(value) not in map(tags.text_of, allowed):
        raise Refused(f"{where}.value should be present in {where}.enum list")


def has_location(artifact: Json) -> bool:
    """Whether an artifact says where its content lies."""
    if artifact.get("raw") is not None:
        return True
    return any(
        (artifact.get(store) or {}).get(field)
        for store, needed in _LOCATIONS.items()
        for field in needed
    )


def check_inputs(template: Json) -> set[str]:
    """Refuse inputs that are wrong in themselves; give the names that tags can use for them."""
    where = f"templates.{template.get('name', '')}"
    inputs = template.get("inputs")
    for part in ("parameters", "artifacts"):
        check_value_names(entries(inputs, part), where=f"{where}.inputs.{part}")
    names = {f"inputs.parameters.{each['name']}" for each in entries(inputs, "parameters")}
    if names:
        names.add("inputs.parameters")
    for artifact in entries(inputs, "artifacts"):
        reference = f"inputs.artifacts.{artifact['name']}"
        names.add(reference)
        if is_leaf(template):
            check_path(artifact, where=f"{where}.{reference}")
            names.add(f"{reference}.path")
        elif artifact.get("path"):
            raise Refused(f"{where}.{reference}.path only valid in container/script templates")
        if artifact.get("from"):
            raise Refused(f"{where}.{reference}.from not valid in inputs")
        check_store(artifact, where=f"{where}.{reference}")
    return names


def check_store(location: Json, *, where: str) -> None:
    """A git artifact names its repository."""
    git = location.get("git")
    if git is not None and not git.get("repo"):
        raise Refused(f"{where}.git.repo is required")


def check_path(artifact: Json, *, where: str) -> None:
    """An artifact of a leaf has a path that stays where it begins."""
    path = artifact.get("path") or ""
    if not path:
        raise Refused(f"error in {where}: Artifact '{artifact['name']}' did not specify a path")
    if "/../" in path:
        inside = path[: path.index("/../")]
    else:
        inside = path[:-3] if path.endswith("/..") else ""
    if inside and not posixpath.normpath(path).startswith(f"{inside}/"):
        raise Refused(
            f"error in {where}: Artifact '{artifact['name']}' attempted to use a path containing "
            "'..'. Directory traversal is not permitted"
        )
