"""What a finished run came to: its verdict, what it left, and the exit code that it means."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pressplay.api import agent_runs, names
from pressplay.api.forge import Pull
from pressplay.base import errors
from pressplay.cli import model_keys, pipelines, progress, reasons
from pressplay.cli.pipelines import Session
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import Object
from pressplay.server.standing import NAMESPACE
from pressplay.stages import extracting


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
    spend_usd: float | None
    """What the agents cost, in US dollars; None where none of them says."""
    seconds: float
    exit_code: int
    """0 approved or covered; else that of the stage that failed (contracts: 1, 2, 3, 4, 70)."""


@dataclass(frozen=True)
class Around:
    """What a run made: Workflows that carry out its requests, and the requests."""

    children: Sequence[Object]
    requests: Sequence[Object]

    @classmethod
    def read(cls, kube: KubeClient, run: str) -> Around:
        """Everything that carries the run's label."""
        made = f"{progress.RUN}={run}"
        children = kube.list("Workflow", NAMESPACE, labels=made)
        return cls(
            children,
            [obj for kind in agent_runs.KINDS for obj in kube.list(kind, NAMESPACE, labels=made)],
        )


def conclude(session: Session, workflow: Object, *, seconds: float) -> Summary:
    """Bring home what the run made: the bundle, the branch, the addresses."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(_bring_home, session)
        with pipelines.open_kube(session.address) as kube:
            found = summarize(kube, workflow, state=session.state, seconds=seconds)
            model_keys.forget(kube)
        pull, branch = coming.result()
    return replace(found, pr=_of_pull(pull), branch=branch)


def _bring_home(session: Session) -> tuple[Pull | None, str]:
    """The pull request, and the run's branch if it is the run's own and is here now."""
    pull = session.origin.pull_of(session.subject)
    if pull is None or pull.head_ref != names.run_branch(session.subject.name):
        return pull, ""
    session.origin.bring_home(pull.head_ref)
    return pull, pull.head_ref


def summarize(kube: KubeClient, workflow: Object, *, state: Path, seconds: float) -> Summary:
    """What a finished run came to, from what the server knows of it."""
    name, status = workflow["metadata"]["name"], workflow["status"]
    around = Around.read(kube, name)
    outputs = progress.outputs_of(workflow)
    return Summary(
        run=name,
        phase=status["phase"],
        decision=outputs.get("decision", ""),
        verdict=outputs.get("verdict", ""),
        reason=reason_of(workflow, said=outputs.get("reason", "")),
        pr=_told_pull(around.children),
        urls=_urls(kube, outputs),
        bundle=take_bundle(kube, name, state=state),
        branch="",
        spend_usd=progress.spend(around.children),
        seconds=round(seconds, 1),
        exit_code=exit_code(workflow, around.requests, decision=outputs.get("decision", "")),
    )


def _unsealed(workflow: Object) -> Mapping[str, Any] | None:
    """The last try of the step that seals, where it failed: the run's phase does not tell."""
    nodes: Mapping[str, Mapping[str, Any]] = workflow["status"].get("nodes", {})
    tries = [each for each in nodes.values() if each.get("templateName") == "seal"]
    failed = [each for each in tries if each["phase"] in ("Failed", "Error")]
    pods = [each for each in failed if each["type"] == "Pod"]
    # A try that failed says nothing where a later one went well.
    return pods[-1] if pods and len(failed) == len(tries) else None


def _code_of_seal(workflow: Object) -> int:
    """A run without its proof is no success, whatever was approved."""
    node = _unsealed(workflow)
    code = "0" if node is None else node.get("outputs", {}).get("exitCode", "")
    # Without a code it never began: what it needs is not there.
    return int(code) if code in ("0", *agent_runs.REASONS) else 2


def exit_code(workflow: Object, requests: Sequence[Object], *, decision: str) -> int:
    """A command ends as the stage did that decided how the run ended."""
    status = workflow["status"]
    if status["phase"] == "Succeeded":
        return 2 if decision == "refused" else _code_of_seal(workflow)
    by_reason = {reason: int(code) for code, reason in agent_runs.REASONS.items()} | {"Invalid": 2}
    codes = []
    for node in status["nodes"].values():
        code = node.get("outputs", {}).get("exitCode", "")
        if (
            node["type"] == "Pod"
            and node["phase"] in ("Failed", "Error")
            and code in agent_runs.REASONS
        ):
            codes.append(int(code))
    for obj in requests:
        reason = obj.get("status", {}).get("reason", "")
        codes += [by_reason[reason]] if reason in by_reason else []
    if status["phase"] == "Error" and not codes:
        # A gate's no is a failure; an error is the machine's, and may be gone the next time.
        return 70 if status.get("message") == errors.INTERNAL else 3
    return codes[0] if codes else 1


def take_bundle(kube: KubeClient, run: str, *, state: Path) -> str:
    """Fetch the sealed bundle to the state folder; "" where the run made none."""
    target = state / "evidence" / run
    data = b"".join(kube.artifact(NAMESPACE, f"{run}/bundle"))
    if not data:
        return ""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".taken-") as folder:
        archive, made = Path(folder, "bundle.tar"), Path(folder, "bundle")
        archive.write_bytes(data)
        made.mkdir()
        extracting.extract(archive, made)
        shutil.rmtree(target, ignore_errors=True)
        try:
            made.rename(target)
        except OSError as error:
            # Another command that waits for the same run took the same bundle meanwhile.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    return str(target)


def _of_pull(pull: Pull | None) -> dict[str, Any]:
    if pull is None:
        return {}
    return {
        "number": pull.number,
        "url": pull.html_url,
        "head": pull.head_sha,
        "state": pull.state,
    }


def _told_pull(children: Sequence[Object]) -> dict[str, Any]:
    """The pull request as the run's own steps told of it: what became of it since is not known."""
    told = [progress.outputs_of(each) for each in children]
    known = [each for each in told if each.get("pr", "").isdigit() and each.get("pr_url")]
    if not known:
        return {}
    last = known[-1]
    return {
        "number": int(last["pr"]),
        "url": last["pr_url"],
        "head": last.get("head_sha", ""),
        "state": "",
    }


def reason_of(workflow: Object, *, said: str) -> str:
    superseded = progress.outputs_of(workflow).get("decision") == "superseded"
    if workflow["status"]["phase"] == "Succeeded" or superseded:
        unsealed = _unsealed(workflow)
        why = reasons.of(unsealed) if unsealed else ""
        return "; ".join(filter(None, (said, f"The proof was not sealed: {why}" if why else "")))
    found = reasons.at(workflow, workflow["metadata"]["name"])
    return "; ".join(found) or said or workflow["status"].get("message", "")


def _urls(kube: KubeClient, outputs: Mapping[str, str]) -> Mapping[str, Any]:
    """urls.json, if the preview still stands."""
    text = outputs.get("preview_urls", "")
    if not text:
        return {}
    urls: dict[str, Any] = json.loads(text)
    return urls if kube.get("Namespace", "", urls["ns"]) is not None else {}
