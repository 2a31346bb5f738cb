"""From call to call: each template as a whole once, its inputs at each call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pressplay.base.errors import Refused
from pressplay.engine.resolving import Scope
from pressplay.engine.validation import fields, inputs, leaves, metrics, outputs, steps, tags, tasks
from pressplay.engine.validation.places import Home, Homes, Names, said_of

Json = Mapping[str, Any]

_BODIES = {"steps": steps.check, "dag": tasks.check}


@dataclass
class Walk:
    """See `places.Caller`."""

    homes: Homes
    known: dict[str, str]
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def call(self, holder: Json, home: Home, arguments: Json | None) -> Json | None:
        """See `places.Caller`."""
        found = self._find(holder, home)
        if found is None:
            return None
        template, at = found
        if not fields.kind_of(template):
            raise Refused(f"template '{template.get('name', '')}' type is unknown")
        fields.check_retry(template)
        self._check(template, at, arguments)
        return template

    def _find(self, holder: Json, home: Home) -> tuple[Json, Home] | None:
        reference, name = holder.get("templateRef"), holder.get("template") or ""
        if reference is not None:
            return self._find_referred(reference, name)
        if holder.get("inline") is not None:
            return holder["inline"], home
        if not name:
            raise Refused("failed to get a template")
        template = home.template(name)
        if template is None:
            raise Refused(f"template name '{name}' undefined")
        return template, home

    def _find_referred(self, reference: Json, name: str) -> tuple[Json, Home] | None:
        owner, wanted = reference.get("name") or "", reference.get("template") or ""
        if name:
            raise Refused("template name cannot be specified with templateRef.")
        if not owner:
            raise Refused("resource name is required")
        if not wanted:
            raise Refused("template name is required")
        if "{{" in owner + wanted:
            return None
        home = self.homes.home(reference)
        template = home.template(wanted)
        if template is not None:
            return template, home
        if tags.holds_placeholder(wanted):
            return None
        raise Refused(f"template reference {owner}.{wanted} not found")

    def _check(self, template: Json, home: Home, arguments: Json | None) -> None:
        fields.check_kind(template)
        own = fields.check_inputs(template)
        if not all(each.get("name") for each in template.get("initContainers") or ()):
            raise Refused("initContainers must all have container name")
        name = template.get("name", "")
        with said_of(f"templates.{name}"):
            given = inputs.supplied(template, arguments)
        local = inputs.local_names(template)
        outer = Scope({**self.known, **{each: tags.placeholder() for each in local}})
        scope = inputs.scope(template, given, outer)
        inputs.check_timeout(template, scope)
        if (home.name, name) in self._seen:
            return
        self._seen.add((home.name, name))
        # Twice, as what was filled in may be a tag again.
        whole = tags.filled(tags.filled({**template, "inputs": given}, scope), scope)
        names = Names(own | local | inputs.paths(template), self.known)
        self._check_body(whole, home, names)
        outputs.check(whole, known=names)
        location = whole.get("archiveLocation") or {}
        fields.check_store(location, where=f"templates.{name}.archiveLocation")
        metrics.check(whole)

    def _check_body(self, template: Json, home: Home, names: Names) -> None:
        where = f"templates.{template.get('name', '')}"
        check = _BODIES.get(fields.kind_of(template))
        if check is None:
            with said_of(f"{where}:"):
                tags.check(template, known=names)
            leaves.check(template, defaults=home.spec.get("templateDefaults") or {})
            return
        if template.get("activeDeadlineSeconds") is not None:
            raise Refused(f"{where}.activeDeadlineSeconds is only valid for leaf templates")
        check(template, home=home, names=names, caller=self)
