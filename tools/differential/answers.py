"""Answers: what is contract in a finished workflow, without what differs from run to run.

Node ids and pod names hold a hash of the workflow's name, and times are nobody's promise: ids
become the names of their nodes, and of the times only their order stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from differential.cases import WORKFLOW

Answer: TypeAlias = dict[str, Any]
"""`phase`, `message`, `outputs`, and `nodes`: a map from name to what is contract in a node."""

WORKFLOW_ITSELF = "workflow"
"""What the workflow is called among the nodes."""

_Said: TypeAlias = Callable[[str], str]
_HASHED = r"-(?:[a-z0-9.-]*?-)?(\d{4,10})\b"
_ASKED = re.compile(r'Get \\?"https?://.*', re.DOTALL)
"""What somebody else's server was asked, and how it went: different on every network."""

_PLAIN = ("type", "phase", "displayName", "templateName", "daemoned")


def read(workflow: Mapping[str, Any], *, namespace: str) -> Answer:
    """What is contract in the status of a workflow that is over, or that is looked at now."""
    own = workflow["metadata"]["name"]
    status = workflow.get("status") or {}
    nodes: Mapping[str, Mapping[str, Any]] = status.get("nodes") or {}
    names = {identity: _name(node["name"], own) for identity, node in nodes.items()}

    def said(text: str) -> str:
        return _without_ids(text, own=own, names=names, namespace=namespace)

    answer: Answer = {"phase": status.get("phase", ""), "message": said(status.get("message", ""))}
    answer["outputs"] = _values(status.get("outputs"), said)
    answer["nodes"] = {
        names[identity]: _node(node, names=names, said=said) for identity, node in nodes.items()
    }
    return answer


def differences(
    recorded: Answer, seen: Answer, *, loose: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What is otherwise in `seen` than in `recorded`, a line each, the workflow first."""
    yield from _unlike(WORKFLOW_ITSELF, recorded, seen, loose=loose.get(WORKFLOW_ITSELF, ()))
    theirs, ours = recorded["nodes"], seen["nodes"]
    for name in theirs.keys() - ours.keys():
        yield f"{name}: is missing ({theirs[name]['type']} {theirs[name]['phase']} in Argo)"
    for name in ours.keys() - theirs.keys():
        yield f"{name}: Argo has no such node ({ours[name]['type']} {ours[name]['phase']} here)"
    for name in sorted(theirs.keys() & ours.keys()):
        yield from _unlike(name, theirs[name], ours[name], loose=loose.get(name, ()))


def disorder(recorded: Answer, workflow: Mapping[str, Any]) -> Iterator[str]:
    """Pods that began before one had ended that comes before them in the recorded graph."""
    own = workflow["metadata"]["name"]
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    ours = {_name(node["name"], own): node for node in nodes.values()}
    for earlier in recorded["nodes"]:
        for later in sorted(_after(earlier, recorded["nodes"])):
            one, other = ours.get(earlier, {}), ours.get(later, {})
            if one.get("type") != "Pod" or other.get("type") != "Pod":
                continue
            if (one.get("finishedAt") or "~") > (other.get("startedAt") or ""):
                yield f"{later}: began before {earlier} had ended"


def _unlike(
    name: str, recorded: Mapping[str, Any], seen: Mapping[str, Any], *, loose: Sequence[str]
) -> Iterator[str]:
    for key in sorted((recorded.keys() | seen.keys()) - {"nodes", *loose}):
        theirs, ours = recorded.get(key), seen.get(key)
        if key == "outputs" and "exitCode" in loose:
            theirs, ours = _without_code(theirs), _without_code(ours)
        if theirs != ours:
            yield f"{name}: {key}: Argo {theirs!r}, here {ours!r}"


def _without_code(outputs: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (outputs or {}).items() if key != "exitCode"}


def _after(name: str, nodes: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Everything that can be reached from a node by the edges of the graph."""
    found: set[str] = set()
    open_ends = list(nodes[name].get("children", ()))
    while open_ends:
        reached = open_ends.pop()
        if reached not in found and reached in nodes:
            found.add(reached)
            open_ends += nodes[reached].get("children", ())
    return found


def _name(name: str, own: str) -> str:
    """A node's name with the workflow's own name taken out."""
    return WORKFLOW + name.removeprefix(own) if name.startswith(own) else name


def _without_ids(text: str, *, own: str, names: Mapping[str, str], namespace: str) -> str:
    by_hash = {identity.rpartition("-")[2]: name for identity, name in names.items()}

    def named(match: re.Match[str]) -> str:
        return f"<{by_hash[match[1]]}>" if match[1] in by_hash else match[0]

    text = re.sub(rf"\b{re.escape(namespace)}\b", "NS", text)
    text = re.sub(re.escape(own) + _HASHED, named, text)
    text = re.sub(rf"\b{re.escape(own)}\b", WORKFLOW, text)
    return _ASKED.sub("Get …", text)


def _node(node: Mapping[str, Any], *, names: Mapping[str, str], said: _Said) -> dict[str, Any]:
    made = {key: node[key] for key in _PLAIN if node.get(key)}
    # The root's display name is the workflow's, and so is part of many others.
    made["displayName"] = said(made.get("displayName", ""))
    if reference := node.get("templateRef"):
        made["templateRef"] = {key: str(value) for key, value in sorted(reference.items())}
    if message := said(node.get("message", "")):
        made["message"] = message
    made |= {key: found for key in ("inputs", "outputs") if (found := _values(node.get(key), said))}
    if children := node.get("children"):
        made["children"] = sorted(names.get(each, each) for each in children)
    if boundary := node.get("boundaryID"):
        made["boundary"] = names.get(boundary, boundary)
    if flags := node.get("nodeFlag"):
        made["flags"] = sorted(key for key, value in flags.items() if value)
    if memo := node.get("memoizationStatus"):
        made["memo"] = {key: memo.get(key) for key in ("hit", "key", "cacheName")}
    return made


def _values(raw: Mapping[str, Any] | None, said: _Said) -> dict[str, Any]:
    made: dict[str, Any] = {}
    raw = raw or {}
    if parameters := raw.get("parameters"):
        made["parameters"] = {each["name"]: _value(each, said) for each in parameters}
    if artifacts := raw.get("artifacts"):
        made["artifacts"] = sorted(each["name"] for each in artifacts)
    if raw.get("result") is not None:
        made["result"] = said(raw["result"])
    if raw.get("exitCode") is not None:
        made["exitCode"] = raw["exitCode"]
    return made


def _value(parameter: Mapping[str, Any], said: _Said) -> str | None:
    value = parameter.get("value")
    return None if value is None else said(str(value))
