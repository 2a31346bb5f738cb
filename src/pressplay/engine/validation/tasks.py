"""The tasks of a DAG: first whom they wait for and call, then what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine import planning
from pressplay.engine.validation import fields, graphs, items, tags
from pressplay.engine.validation.places import Caller, Home, Names, said_of

Json = Mapping[str, Any]


def check(template: Json, *, home: Home, names: Names, caller: Caller) -> None:
    """Refuse tasks that cannot be carried out; `names` learns what they give."""
    where = f"templates.{template.get('name', '')}"
    found = template["dag"].get("tasks") or []
    if not found:
        raise Refused(f"{where} must have at least one task")
    with said_of(f"{where} sorting failed:"):
        found = graphs.ordered(found)
    fields.check_names(found, where=f"{where}.tasks")
    tasks = _Tasks({task["name"]: task for task in found}, home, names, caller, where)
    for task in found:
        tasks.check_call(task)
    with said_of(f"{where}.targets"):
        tags.check(template["dag"].get("target") or "", known=names)
    graphs.check_target(template, tasks.by_name)
    for task in found:
        tasks.check_given(task)


@dataclass
class _Tasks:
    by_name: Mapping[str, Json]
    home: Home
    names: Names
    caller: Caller
    where: str
    called: dict[str, Json | None] = field(default_factory=dict)
    waits: dict[str, dict[str, bool]] = field(default_factory=dict)
    uses_depends: bool = False

    def __post_init__(self) -> None:
        """What is asked of each task again and again."""
        self.waits = {name: graphs.dependencies(task) for name, task in self.by_name.items()}
        self.uses_depends = any(task.get("depends") for task in self.by_name.values())

    def check_call(self, task: Json) -> None:
        """Whom a task waits for, and whom it calls."""
        name = task["name"]
        at = f"{self.where}.tasks.{name}"
        self._check_waiting(task)
        with said_of(at):
            self.called[name] = self.caller.call(task, self.home, None)
        self._learn(name, aggregate=items.is_aggregate(task))
        with said_of(at):
            graphs.check_results(task)
        for other, is_of_items in self.waits[name].items():
            if is_of_items and not items.item_fields(self.by_name[other]):
                raise Refused(
                    f"{self.where}.tasks.{other} dependency '{other}' uses an items-based "
                    "condition such as .AnySucceeded or .AllFailed but does not contain any items"
                )

    def check_given(self, task: Json) -> None:
        """What a task is given."""
        name = task["name"]
        at = f"{self.where}.tasks.{name}"
        if task.get("hooks") is not None:
            self.names.own.add(f"tasks.{name}.status")
        self._learn(name)
        ancestry = planning.ancestors(name, needs=self.waits)
        seen = self.names.with_(items.inline_names(task))
        # What all of them give is known already; how one ended, to those that wait for it.
        known = (other for other in ancestry if self.called[other] is not None)
        seen.own.update(f"tasks.{other}.status" for other in known)
        with said_of(at):
            seen.own |= items.item_names(task)
            tags.check(task, known=seen)
        fields.check_arguments(task.get("arguments"), where=f"{at}.arguments.")
        with said_of(at):
            graphs.check_arguments(task.get("arguments"), ancestry)
            self.caller.call(task, self.home, task.get("arguments") or {})

    def _learn(self, name: str, *, aggregate: bool = False) -> None:
        items.learn(
            self.called[name],
            f"tasks.{name}",
            names=self.names,
            known=self.caller.known,
            aggregate=aggregate,
        )

    def _check_waiting(self, task: Json) -> None:
        """A DAG has one way of saying who waits for whom."""
        name = task["name"]
        if (self.uses_depends or task.get("dependencies")) and name[0] in "0123456789":
            raise Refused(
                f"{self.where}.tasks.{name} name cannot begin with a digit when using either "
                "'depends' or 'dependencies'"
            )
        if self.uses_depends and task.get("dependencies"):
            raise Refused(
                f"{self.where} cannot use both 'depends' and 'dependencies' in the same DAG "
                "template"
            )
        if self.uses_depends and task.get("continueOn") is not None:
            raise Refused(
                f"{self.where} cannot use 'continueOn' when using 'depends'. Instead use "
                "'dep-task.Failed'/'dep-task.Errored'"
            )
