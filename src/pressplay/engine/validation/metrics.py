"""The metrics of a template: nobody here collects them, but what Argo refuses is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pressplay.base.errors import Refused

Json = Mapping[str, Any]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KINDS = ("gauge", "counter", "histogram")


def check(template: Json) -> None:
    """Each metric has a name, labels, help and a value that can be published."""
    where = f"templates.{template.get('name', '')} metric"
    for metric in (template.get("metrics") or {}).get("prometheus") or ():
        name = metric.get("name") or ""
        if not _NAME.fullmatch(name):
            raise Refused(
                f"{where} name '{name}' is invalid. Metric names must contain alphanumeric "
                "characters or '_'"
            )
        for label in metric.get("labels") or ():
            _check_label(label.get("key") or "")
        if not metric.get("help"):
            raise Refused(f"{where} '{name}' must contain a help string under 'help: ' field")
        problem = _value_problem(metric)
        if problem:
            raise Refused(f"{where} '{name}' error: {problem}")


def _check_label(key: str) -> None:
    if not _NAME.fullmatch(key):
        raise Refused(
            f"metric label '{key}' is invalid: keys may only contain alphanumeric characters or '_'"
        )


def _value_problem(metric: Json) -> str:
    for kind in _KINDS:
        wanted = metric.get(kind)
        if wanted is None:
            continue
        value = wanted.get("value") or ""
        if not value:
            return f"missing {kind}.value"
        if wanted.get("realtime") and "resourcesDuration." in value:
            return "'resourcesDuration.*' metrics cannot be used in real-time"
    return ""
