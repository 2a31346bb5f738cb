"""What failed steps say of why they failed, without the engine's own words around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pressplay.cli import terminal_text
from pressplay.cluster.port import Object


def at(workflow: Object, name: str) -> list[str]:
    """What the failed pods at and below a node say, each thing once."""
    said = []
    for node in workflow["status"]["nodes"].values():
        inside = node["name"] == name or node["name"].startswith(
            (f"{name}[", f"{name}.", f"{name}(")
        )
        if inside and node["type"] in ("Pod", "Skipped") and node["phase"] in ("Failed", "Error"):
            said.append(of(node))
    return list(dict.fromkeys(said))


def of(node: Mapping[str, Any]) -> str:
    """What one failed pod says."""
    message = node.get("message", "")
    # An init container tells in its log, behind the engine's own words.
    own = message.rpartition("evaluated true: ")[2].rpartition("): Error: ")[2]
    return terminal_text.all_in_one(_output(node, "reason") or own or message)


def _output(node: Mapping[str, Any], name: str) -> str:
    parameters = node.get("outputs", {}).get("parameters", ())
    return next((str(p["value"]) for p in parameters if p["name"] == name), "")
