"""The steps of a template, in the order in which they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.validation import fields, items, tags
from pressplay.engine.validation.places import Caller, Home, Names, said_of

Json = Mapping[str, Any]


def check(template: Json, *, home: Home, names: Names, caller: Caller) -> None:
    """Refuse steps that cannot be carried out; `names` learns what they give."""
    seen: set[str] = set()
    for number, group in enumerate(template["steps"]):
        where = f"templates.{template.get('name', '')}.steps[{number}]"
        for step in group:
            _check_name(step.get("name") or "", seen, where=where)
            names.own.add(f"steps.{step['name']}.status")
            _check_step(step, home=home, names=names, caller=caller, where=where)


def _check_step(step: Json, *, home: Home, names: Names, caller: Caller, where: str) -> None:
    at, prefix = f"{where}.{step['name']}", f"steps.{step['name']}"
    with said_of(at):
        names.own |= items.item_names(step)
    fields.check_arguments(step.get("arguments"), where=f"{at}.arguments.")
    with said_of(at):
        template = caller.call(step, home, None)
    if items.has_exit_hook(step):
        items.learn(template, prefix, names=names, known=caller.known)
    fields.check_hooks(step.get("hooks"), where=at)
    with said_of(where.rpartition("[")[0]):
        tags.check(step, known=names.with_(items.inline_names(step)))
    aggregate = items.is_aggregate(step)
    items.learn(template, prefix, names=names, known=caller.known, aggregate=aggregate)
    with said_of(at):
        caller.call(step, home, step.get("arguments") or {})


def _check_name(name: str, seen: set[str], *, where: str) -> None:
    if not name:
        raise Refused(f"{where}.name is required")
    if name in seen:
        raise Refused(f"{where}.name '{name}' is not unique")
    problem = fields.field_name_problem(name)
    if problem:
        raise Refused(f"{where}.name '{name}' is invalid: {problem}")
    seen.add(name)
