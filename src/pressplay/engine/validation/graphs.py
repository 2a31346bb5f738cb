"""The tasks of a DAG: who waits for whom, and in which order they can be looked at.

Argo finds the names in `depends` by a pattern, not by reading the sentence; so does this, as
what it then says of a misspelt one follows from that.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.validation import tags

Json = Mapping[str, Any]

_NAME = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*?)\.([A-Z][a-zA-Z]+)|([a-zA-Z0-9][-a-zA-Z0-9]*)")
_OF_ITEMS = ("AnySucceeded", "AllFailed")
_RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", *_OF_ITEMS)


def dependencies(task: Json) -> dict[str, bool]:
    """The names that a task waits for, and whether it asks about their items."""
    text = task.get("depends") or " && ".join(
        f"({name}.Succeeded)" for name in task.get("dependencies") or ()
    )
    found: dict[str, bool] = {}
    for match in _NAME.finditer(text):
        asked, result, bare = match.groups()
        if bare is not None:
            found[bare] = False
        elif result in _OF_ITEMS:
            found[asked] = True
        else:
            found.setdefault(asked, False)
    return found


def check_results(task: Json) -> None:
    """Refuse a word behind a task's name that is none of the ways in which a task ends."""
    for name, result, _ in _NAME.findall(task.get("depends") or ""):
        if result and result not in _RESULTS:
            raise Refused(f"task result '{result}' for task '{name}' is invalid")


def ordered(tasks: list[Json]) -> list[Json]:
    """The tasks, each after those that it waits for."""
    by_name: dict[str, Json] = {}
    for task in tasks:
        name = task.get("name") or ""
        if name in by_name:
            raise Refused(f"duplicated nodeName {name}")
        by_name[name] = task
    waits = {name: dependencies(task) for name, task in by_name.items()}
    for needed in waits.values():
        for each in needed:
            if each not in by_name:
                raise Refused(f"invalid dependency {each}")
    try:
        order = tuple(graphlib.TopologicalSorter(waits).static_order())
    except graphlib.CycleError as error:
        raise Refused("graph with cycle") from error
    return [by_name[name] for name in order]


def check_arguments(arguments: Json | None, ancestry: frozenset[str]) -> None:
    """Refuse an argument made of what a task gives that is not waited for."""
    for part, field in (("parameters", "value"), ("artifacts", "from")):
        for each in (arguments or {}).get(part) or ():
            text = tags.text_of(each.get(field) or "")
            if text.startswith("{{tasks."):
                name = text.split(".")[1]
                if name not in ancestry:
                    kind = part.removesuffix("s")
                    raise Refused(f"missing dependency '{name}' for {kind} '{each['name']}'")


def check_target(template: Json, by_name: Mapping[str, Json]) -> None:
    """Refuse a target that is no task."""
    target = template["dag"].get("target") or ""
    for name in target.split(" ") if target else ():
        if not tags.has_tag(name) and name not in by_name:
            raise Refused(f"templates.{template['name']}.targets: target '{name}' is not defined")
