"""Pressing play from the command line: an issue in, a finished run out.

Speaks to the server through its published interfaces only.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pressplay.api import names
from pressplay.api.forge import Repository
from pressplay.app import NAMESPACE, Address
from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret, redact
from pressplay.cli import local_server, workspaces
from pressplay.cli.workspaces import Workspace
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import AlreadyExists, Object
from pressplay.controllers import runs
from pressplay.forge.local.operator import Operator
from pressplay.stages import extracting

PIPELINE = "implementation-dag"
_TRIES = 50
_POLL_S = 0.1


@dataclass(frozen=True)
class IssueText:
    """What somebody asks for; the first line is the title."""

    title: str
    body: str


@dataclass(frozen=True)
class AgentChoice:
    """Which agent works: `kind` and the files that its pod finds in /etc/pressplay/agent.

    `programs` are host files that the agent's sandbox may read.
    """

    kind: str
    files: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Summary:
    """How a run ended, as `--output json` prints it."""

    run: str
    phase: str
    decision: str
    verdict: str
    reason: str
    pr: Mapping[str, Any]
    urls: Mapping[str, Any]
    bundle: str
    branch: str
    seconds: float
    exit_code: int
    """0 approved or covered; else that of the stage that failed (contracts: 1, 2, 3, 4, 70)."""


@dataclass(frozen=True)
class Session:
    """A run that was started, and what is needed to follow it."""

    address: Address
    state: Path
    workspace: Workspace
    repository: str
    issue: int
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
    *,
    address: Address,
    state: Path,
    workspace: Workspace,
    issue: IssueText,
    agent: AgentChoice,
    fresh: bool = False,
) -> Session:
    """Put repository and issue on the local forge and start the run.

    The same issue on the same commit is the same work: its run is found, not started again,
    unless it failed or `fresh` is asked for.
    """
    token = Secret(address.operator_token)
    with Operator(address.forge_url, address.operator_token) as operator:
        repository = operator.ensure_repository(workspace.name, default_branch=workspace.branch)
        workspaces.push(
            workspace, url=repository.clone_url, server_url=address.forge_url, token=token
        )
        number = None if fresh else _find_issue(operator, repository, issue)
        if number is None:
            number = operator.open_issue(
                repository.owner, repository.name, title=issue.title, body=issue.body
            ).number
    with _kube(address) as kube:
        run, is_new = _start(kube, repository=repository, number=number, agent=agent, at=workspace)
    full_name = f"{repository.owner}/{repository.name}"
    return Session(address, state, workspace, full_name, number, run, is_new)


def follow(session: Session, *, tell: Callable[[Object], None], timeout_s: float) -> Object:
    """Hand each state of the run to `tell` until it is finished; returns the finished Workflow.

    A server that went away is started again: the run goes on where its records end.
    """
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        local_server.ensure(session.state)
        try:
            workflow = _state_of(session)
        except Unavailable:
            time.sleep(_POLL_S)
            continue
        tell(workflow)
        if workflow.get("status", {}).get("finishedAt"):
            return workflow
        time.sleep(_POLL_S)
    raise Unavailable(
        f"Run {session.run} is still going after {timeout_s:.0f} s; "
        "call the same command again to go on watching"
    )


def conclude(session: Session, workflow: Object, *, seconds: float) -> Summary:
    """Bring home what the run made: the bundle, the branch, the addresses."""
    status = workflow["status"]
    outputs = {p["name"]: p["value"] for p in status.get("outputs", {}).get("parameters", ())}
    owner, repo = session.repository.split("/")
    pr: dict[str, Any] = {}
    branch = ""
    with Operator(session.address.forge_url, session.address.operator_token) as operator:
        ours = names.run_branch(names.subject_of(issue=str(session.issue)))
        for pull in operator.pulls(owner, repo, head_branch=ours):
            pr = {
                "number": pull.number,
                "url": pull.html_url,
                "head": pull.head_sha,
                "state": pull.state,
            }
            branch = ours
    if branch:
        workspaces.take_branch(
            session.workspace,
            branch,
            url=f"{session.address.forge_url}/{session.repository}.git",
            server_url=session.address.forge_url,
            token=Secret(session.address.operator_token),
        )
    return Summary(
        run=session.run,
        phase=status["phase"],
        decision=outputs.get("decision", ""),
        verdict=outputs.get("verdict", ""),
        reason=_reason(workflow, said=outputs.get("reason", "")),
        pr=pr,
        urls=_urls(session, outputs),
        bundle=_take_bundle(session),
        branch=branch,
        seconds=round(seconds, 1),
        exit_code=_exit_code(session, workflow, decision=outputs.get("decision", "")),
    )


def _reason(workflow: Object, *, said: str) -> str:
    if workflow["status"]["phase"] == "Succeeded":
        return said
    found = reasons(workflow, workflow["metadata"]["name"])
    return "; ".join(found) or said or workflow["status"].get("message", "")


def reasons(workflow: Object, name: str) -> list[str]:
    """What the failed pods at and below a node say, without the engine's own words around it."""
    said = []
    for node in workflow["status"]["nodes"].values():
        inside = node["name"] == name or node["name"].startswith(
            (f"{name}[", f"{name}.", f"{name}(")
        )
        if inside and node["type"] in ("Pod", "Skipped") and node["phase"] in ("Failed", "Error"):
            message = node.get("message", "")
            told = _output(node, "reason") or message.rpartition("evaluated true: ")[2] or message
            said.append(redact(told))
    return list(dict.fromkeys(said))


def _output(node: Mapping[str, Any], name: str) -> str:
    parameters = node.get("outputs", {}).get("parameters", ())
    return next((str(p["value"]) for p in parameters if p["name"] == name), "")


def _exit_code(session: Session, workflow: Object, *, decision: str) -> int:
    """The command ends as the stage did that decided how the run ended."""
    status = workflow["status"]
    if status["phase"] == "Succeeded":
        return 2 if decision == "refused" else 0
    by_reason = {reason: int(code) for code, reason in runs.REASONS.items()}
    codes = []
    for node in status["nodes"].values():
        code = node.get("outputs", {}).get("exitCode", "")
        if node["type"] == "Pod" and node["phase"] in ("Failed", "Error") and code in runs.REASONS:
            codes.append(int(code))
    with _kube(session.address) as kube:
        for kind in runs.KINDS:
            for obj in kube.list(kind, NAMESPACE, labels=f"pressplay.dev/run={session.run}"):
                reason = obj.get("status", {}).get("reason", "")
                codes += [by_reason[reason]] if reason in by_reason else []
    return codes[0] if codes else 1


def _state_of(session: Session) -> Object:
    with _kube(session.address) as kube:
        workflow = kube.get("Workflow", NAMESPACE, session.run)
    if workflow is None:
        raise Refused(f"Run {session.run} was deleted while it was watched")
    return workflow


def _kube(address: Address) -> KubeClient:
    return KubeClient(url=address.kube_url, token=Secret(address.operator_token))


def _find_issue(operator: Operator, repository: Repository, issue: IssueText) -> int | None:
    for known in operator.issues(repository.owner, repository.name):
        if known.title == issue.title and known.body == issue.body and known.state == "open":
            return int(known.number)
    return None


def _start(
    kube: KubeClient, *, repository: Repository, number: int, agent: AgentChoice, at: Workspace
) -> tuple[str, bool]:
    """Create the Workflow; where its name is taken by a failed or outdated run, the next one."""
    base = names.implement_run(repository_id=repository.id, issue=number)
    for candidate in _candidates(base):
        known = kube.get("Workflow", NAMESPACE, candidate)
        if known is None:
            workflow = _workflow(candidate, repository=repository, number=number, agent=agent)
            workflow["metadata"]["annotations"] = {"pressplay.dev/base": at.sha}
            # Before the run: it may need them a moment after it exists.
            _provide_agent(kube, candidate, agent)
            try:
                made = kube.create(workflow)
            except AlreadyExists:
                return candidate, False
            if agent.files:
                kube.patch("ConfigMap", NAMESPACE, f"agent-{candidate}", _owned_by(made))
            return candidate, True
        same = known["metadata"].get("annotations", {}).get("pressplay.dev/base") == at.sha
        phase = known.get("status", {}).get("phase", "")
        if same and phase not in ("Failed", "Error"):
            return candidate, False
    raise Refused(f"Issue {number} was tried {_TRIES} times; close it and open another one")


def _candidates(base: str) -> Iterator[str]:
    yield base
    for count in range(1, _TRIES):
        yield f"{base}-g{count}"


def _workflow(name: str, *, repository: Repository, number: int, agent: AgentChoice) -> Object:
    subject = names.subject_of(issue=str(number))
    values = {
        "owner": repository.owner,
        "repo": repository.name,
        "issue": str(number),
        "subject": subject,
        "agentKind": agent.kind,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {
                "pressplay.dev/repo": names.repo_hash(repository.owner, repository.name),
                "pressplay.dev/subject": subject,
            },
        },
        "spec": {
            "workflowTemplateRef": {"name": PIPELINE},
            "arguments": {"parameters": [{"name": n, "value": v} for n, v in values.items()]},
        },
    }


def _provide_agent(kube: KubeClient, run: str, agent: AgentChoice) -> None:
    """The agent's program and script, as a ConfigMap that only this run's agent pods mount."""
    if agent.files:
        kube.apply(_config_map(f"agent-{run}", agent.files))
    if agent.programs:
        data = {names.cut(str(p).strip("/").replace("/", ".")): str(p) for p in agent.programs}
        kube.apply(_config_map("agent-programs", data))


def _owned_by(workflow: Object) -> Object:
    """A patch after which an object goes with the run."""
    owner = {key: workflow[key] for key in ("apiVersion", "kind")}
    owner |= {key: workflow["metadata"][key] for key in ("name", "uid")}
    return {"metadata": {"ownerReferences": [owner]}}


def _config_map(name: str, data: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": dict(data),
    }


def _urls(session: Session, outputs: Mapping[str, str]) -> Mapping[str, Any]:
    """urls.json, if the preview still stands."""
    text = outputs.get("preview_urls", "")
    if not text:
        return {}
    urls: dict[str, Any] = json.loads(text)
    with _kube(session.address) as kube:
        return urls if kube.get("Namespace", "", urls["ns"]) is not None else {}


def _take_bundle(session: Session) -> str:
    """Fetch the sealed bundle to the state folder; "" where the run made none."""
    target = session.state / "evidence" / session.run
    with _kube(session.address) as kube:
        data = b"".join(kube.artifact(NAMESPACE, f"{session.run}/bundle"))
    if not data:
        return ""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        archive.write(data)
        archive.flush()
        extracting.extract(Path(archive.name), target)
    return str(target)
