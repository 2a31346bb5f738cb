"""Pressing play from the command line: an issue or a pull request in, a run that was started out.

Speaks to the server through its published interfaces only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pressplay.api import names
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.cli import model_keys
from pressplay.cli.agents import AgentChoice
from pressplay.cli.origins import Asked, IssueText, Origin, Subject
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import AlreadyExists, NotFound, Object
from pressplay.server import standing
from pressplay.server.standing import NAMESPACE, Address

PIPELINE = "implementation-dag"
VALIDATION = "pr-validation"
BASE = "pressplay.dev/base"
"""Annotation: the commit from which the run was started."""

_TRIES = 50


@dataclass(frozen=True)
class Session:
    """A run that was started, and what is needed to follow it."""

    address: Address
    state: Path
    origin: Origin
    subject: Subject
    run: str
    is_new: bool


def read_issue(path: Path) -> IssueText:
    """Read an issue from a file: the first line is the title. Raises Refused for an empty one."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    title = lines[0].lstrip("# ").strip() if lines else ""
    if not title:
        raise Refused(f"--issue {path} is empty; its first line is the title, the rest the task")
    return IssueText(title[:256], "\n".join(lines[1:]).strip())


def press_play(
    *, address: Address, state: Path, origin: Origin, asked: Asked, agent: AgentChoice
) -> Session:
    """Find or make the subject on its forge, and start the run.

    The same issue on the same commit is the same work: its run is found, not started again,
    unless it failed. So is the same head of a pull request.
    """
    subject = origin.find(asked)
    with open_kube(address) as kube:
        run, is_new = _start(kube, subject=subject, agent=agent)
    return Session(address, state, origin, subject, run, is_new)


def open_kube(address: Address) -> KubeClient:
    """The server's API as the operator."""
    return KubeClient(url=address.kube_url, token=Secret(address.operator_token))


def _start(kube: KubeClient, *, subject: Subject, agent: AgentChoice) -> tuple[str, bool]:
    """Create the Workflow; where its name is taken by a failed or outdated run, the next one."""
    for candidate in _candidates(_identity(subject)):
        known = kube.get("Workflow", NAMESPACE, candidate)
        if known is None:
            workflow = _workflow(candidate, subject=subject, agent=agent)
            # Before the run: it may need them a moment after it exists.
            _provide_agent(kube, candidate, agent)
            try:
                made = kube.create(workflow)
            except AlreadyExists:
                return candidate, False
            except NotFound as error:
                raise Refused(f"This server cannot do that: {error}") from error
            if agent.files:
                kube.patch("ConfigMap", NAMESPACE, f"agent-{candidate}", _owned_by(made))
            return candidate, True
        same = known["metadata"].get("annotations", {}).get(BASE) == subject.sha
        phase = known.get("status", {}).get("phase", "")
        if same and phase not in ("Failed", "Error"):
            return candidate, False
    raise Refused(f"{subject.title} was tried {_TRIES} times; close it and open another one")


def _identity(subject: Subject) -> str:
    number = subject.repository.id
    if subject.pr:
        return names.validate_run(repository_id=number, pr=subject.pr, head=subject.sha)
    return names.implement_run(repository_id=number, issue=subject.issue)


def _candidates(base: str) -> Iterator[str]:
    yield base
    for count in range(1, _TRIES):
        yield f"{base}-g{count}"


def _workflow(name: str, *, subject: Subject, agent: AgentChoice) -> Object:
    repository = subject.repository
    values = {
        "owner": repository.owner,
        "repo": repository.name,
        "subject": subject.name,
        "agentKind": agent.kind,
        "agentModel": agent.model,
        "agentMaxUsd": "" if agent.max_usd is None else f"{agent.max_usd:.6f}",
    }
    if subject.pr:
        values |= {"pr": str(subject.pr), "sha": subject.sha}
    else:
        values["issue"] = str(subject.issue)
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {
                "pressplay.dev/repo": names.repo_hash(repository.owner, repository.name),
                "pressplay.dev/subject": subject.name,
            },
            "annotations": {BASE: subject.sha},
        },
        "spec": {
            "workflowTemplateRef": {"name": VALIDATION if subject.pr else PIPELINE},
            "arguments": {"parameters": [{"name": n, "value": v} for n, v in values.items()]},
        },
    }


def _provide_agent(kube: KubeClient, run: str, agent: AgentChoice) -> None:
    """The agent's program and script, as a ConfigMap that only this run's agent pods mount."""
    if agent.files:
        kube.apply(standing.config_map(f"agent-{run}", agent.files))
    if agent.programs:
        data = {names.cut(str(p).strip("/").replace("/", ".")): str(p) for p in agent.programs}
        kube.apply(standing.config_map("agent-programs", data))
    if agent.key:
        model_keys.put(kube, agent.key)
    else:
        model_keys.forget(kube)


def _owned_by(workflow: Object) -> Object:
    """A patch after which an object goes with the run."""
    owner = {key: workflow[key] for key in ("apiVersion", "kind")}
    owner |= {key: workflow["metadata"][key] for key in ("name", "uid")}
    return {"metadata": {"ownerReferences": [owner]}}
