"""What a step and a task have in common: several items, hooks, a template of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.validation import fields, outputs, tags
from pressplay.engine.validation.places import Names

Json = Mapping[str, Any]


def item_fields(task: Json) -> list[str]:
    given = [each for each in ("withItems", "withParam") if task.get(each)]
    return given + (["withSequence"] if task.get("withSequence") is not None else [])


def item_names(task: Json) -> set[str]:
    """The names that a step or a task for each of several items can use for its own."""
    given = item_fields(task)
    if len(given) > 1:
        raise Refused("only one of withItems, withParam, withSequence can be specified")
    if given == ["withParam"]:
        return {"item", tags.ANY_ITEM}
    if given == ["withSequence"]:
        sequence = task["withSequence"]
        if sequence.get("count") is not None and sequence.get("end") is not None:
            raise Refused("only one of count or end can be defined in withSequence")
        return {"item"}
    names: set[str] = set()
    for item in task.get("withItems") or ():
        if isinstance(item, Mapping):
            names |= {f"item.{key}" for key in item}
        elif isinstance(item, list):
            names |= {f"item.[{number}]" for number in range(len(item))}
        else:
            names.add("item")
    return names


def is_aggregate(task: Json) -> bool:
    return bool(task.get("withItems") or task.get("withParam"))


def has_exit_hook(step: Json) -> bool:
    return bool(step.get("onExit") or "exit" in (step.get("hooks") or {}))


def inline_names(task: Json) -> set[str]:
    inline = task.get("inline") or {}
    return {
        f"inputs.parameters.{e['name']}" for e in fields.entries(inline.get("inputs"), "parameters")
    }


def learn(
    template: Json | None,
    prefix: str,
    *,
    names: Names,
    known: dict[str, str],
    aggregate: bool = False,
) -> None:
    """Add what a call gives: its own names here, its global ones for the whole run."""
    names.own |= outputs.names_of(template, prefix, aggregate=aggregate)
    outputs.publish(template, known=known)
