"""A container or script template as a pod: artifacts in, run, outputs out."""

from __future__ import annotations

import asyncio
import functools
import itertools
import posixpath
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.engine.artifacts import ArtifactRepository
from pressplay.engine.nodes import Outcome, Outputs, Phase, StoredArtifact
from pressplay.engine.port import StepPod
from pressplay.engine.templates import Artifact, Parameter
from pressplay.pods import spec as podspec
from pressplay.pods.removing import Remover
from pressplay.pods.running import PodResult, PodRun, PodRunner

T = TypeVar("T")

MAIN = "main"
SCRIPT_PATH = "/argo/staging/script"
RESULT_LIMIT = 256 * 1024
"""Bytes of standard output that `outputs.result` keeps, as in Argo."""

STOP_GRACE_S = 10.0


class StepPods:
    """Runs step pods on this machine."""

    def __init__(
        self, *, runner: PodRunner, remover: Remover, artifacts: ArtifactRepository, logs: Path
    ) -> None:
        self._runner = runner
        self._artifacts = artifacts
        self._logs = logs
        self._running: dict[str, PodRun] = {}
        self._remover = remover

    def find_log(self, namespace: str, pod: str, container: str) -> Path | None:
        """The log of a container of a step's pod, of one that runs or of one that is over."""
        run = self._find(namespace, pod)
        if run is not None:
            known = container in (each.name for each in run.pod.all_containers)
            found = run.log_path(container) if known else None
            return found if found is not None and found.exists() else None
        # A pod's name begins with its run's, and several runs' may be the beginning of it.
        runs = (each.name for each in self._logs.glob("*") if pod.startswith(each.name))
        kept = (self._logs / run / pod / f"{container}.log" for run in runs)
        return next((each for each in kept if each.exists()), None)

    def is_running(self, namespace: str, pod: str) -> bool:
        """Whether a step's pod of this name runs now."""
        return self._find(namespace, pod) is not None

    async def run(self, step: StepPod) -> Outcome:
        """Run to the end. Running the same step again starts afresh."""
        try:
            pod = podspec.parse_pod(
                _pod_spec(step),
                name=step.name,
                namespace=step.namespace,
                uid=step.uid,
                labels=step.template.raw.get("metadata", {}).get("labels", {}),
            )
        except Refused as error:
            return Outcome(Phase.ERROR, str(error), raised=True)
        self._remover.disturb()
        try:
            run = self._runner.create(pod)
            try:
                return await self._run(run, step)
            finally:
                self._running.pop(step.uid, None)
                run.retire()
                self._remover.add(step.name, run.remove)
        except OSError as error:
            # This machine cannot run it, as a node without room cannot; other runs may do well.
            return Outcome(Phase.ERROR, f"The pod cannot be run here: {error}")

    async def stop(self, uid: str) -> None:
        """End a pod early: SIGTERM, then SIGKILL. Its `run` then answers."""
        if uid in self._running:
            await self._running[uid].stop(grace_s=STOP_GRACE_S)

    def forget(self, workflow: str) -> None:
        """Remove the logs and the stored artifacts of a run that is gone."""
        files.remove_tree(files.beneath(self._logs, workflow))
        self._artifacts.remove(workflow)

    def _find(self, namespace: str, pod: str) -> PodRun | None:
        for run in self._running.values():
            if (run.pod.namespace, run.pod.name) == (namespace, pod):
                return run
        return None

    async def _run(self, run: PodRun, step: StepPod) -> Outcome:
        try:
            # Most steps are given nothing, and a change of threads takes a millisecond.
            if step.given.artifacts or "script" in step.template.raw:
                await _in_thread(lambda: self._place_inputs(run, step))
        except Refused as error:
            return Outcome(Phase.ERROR, f"init: Error (exit code 64): {error}")
        self._running[step.uid] = run
        result = await _run_within(run, step.template.deadline_s)
        return await _in_thread(lambda: self._outcome(run, step, result))

    def _place_inputs(self, run: PodRun, step: StepPod) -> None:
        for artifact in step.given.artifacts.values():
            if artifact.raw is not None:
                run.write(artifact.raw.encode(), container=MAIN, path=artifact.path)
                continue
            stored = self._artifacts.path(artifact.key)
            if stored is not None:
                run.place(stored, container=MAIN, path=artifact.path)
            elif not artifact.optional:
                # The last sentence is that of S3, which Argo hands on.
                raise Refused(
                    f"artifact {artifact.name} failed to load: The specified key does not exist."
                )
        if "script" in step.template.raw:
            source = step.template.raw["script"].get("source", "")
            run.write(source.encode(), container=MAIN, path=SCRIPT_PATH)

    def _keep_log(self, run: PodRun, step: StepPod) -> None:
        kept = files.beneath(self._logs, f"{step.workflow}/{step.name}")
        kept.mkdir(parents=True, exist_ok=True)
        for container in (each.name for each in run.pod.all_containers):
            source = run.log_path(container)
            if source.exists():
                shutil.copyfile(source, kept / f"{container}.log")

    def _outcome(self, run: PodRun, step: StepPod, result: PodResult) -> Outcome:
        self._keep_log(run, step)
        outputs, complaint = self._outputs(run, step)
        code = _exit_code(result)
        if code:
            outputs = Outputs(outputs.parameters, outputs.artifacts, outputs.result, code)
        if not result.succeeded:
            return Outcome(Phase.FAILED, result.message, outputs)
        if complaint:
            return Outcome(Phase.ERROR, f"wait: Error (exit code 64): {complaint}", outputs)
        return Outcome(Phase.SUCCEEDED, "", outputs)

    def _outputs(self, run: PodRun, step: StepPod) -> tuple[Outputs, str]:
        """What the pod left, also when it failed; and the first thing that is missing."""
        declared = step.template.outputs
        complaints = []
        parameters = {}
        for parameter in declared.parameters:
            try:
                value = _parameter_value(run, parameter)
            except Refused as error:
                # Such as a link that the step planted where its output should be.
                complaints.append(str(error))
                continue
            if value is not None:
                parameters[parameter.name] = value
        artifacts = {}
        shared = _overlapping([each.path for each in declared.artifacts])
        for artifact in declared.artifacts:
            try:
                stored = self._save(run, artifact, step, is_last=artifact.path not in shared)
            except Refused as error:
                complaints.append(str(error))
                continue
            if stored is not None:
                artifacts[artifact.name] = stored
        result = _result(run) if step.wants_result else None
        return Outputs(parameters, artifacts, result), next(iter(complaints), "")

    def _save(
        self, run: PodRun, artifact: Artifact, step: StepPod, *, is_last: bool
    ) -> StoredArtifact | None:
        """Store it; `is_last` says that no other output needs any of it."""
        key = artifact.key or f"{step.workflow}/{step.name}/{artifact.name}"
        bring = functools.partial(
            run.take if is_last else run.export, container=MAIN, path=artifact.path
        )
        if run.is_dir(container=MAIN, path=artifact.path):
            is_there = bring(target=self._artifacts.target(key))
        else:
            with self._artifacts.incoming(key) as part:
                is_there = bring(target=part)
        if not is_there:
            if artifact.optional:
                return None
            raise Refused(f"failed to save outputs: {artifact.path}: no such file or directory")
        return StoredArtifact(artifact.name, key)


def _overlapping(paths: Sequence[str]) -> frozenset[str]:
    """Those of the paths that another one is, too, or lies in, or leads to."""
    plain = [posixpath.normpath("/" + path.lstrip("/")) for path in paths]
    pairs = itertools.permutations(range(len(paths)), 2)
    return frozenset(
        paths[one]
        for one, other in pairs
        if posixpath.commonpath([plain[one], plain[other]]) in (plain[one], plain[other])
    )


def _exit_code(result: PodResult) -> str:
    """That of the main container; before it started, that of the one which kept it from starting.

    Argo knows the first only. Without the second nobody could tell a forge that is not there from
    a key that is wrong, for tokens are made by init containers.
    """
    main = result.containers.get(MAIN)
    if main is not None:
        return str(main.exit_code)
    codes = [each.exit_code for each in result.containers.values() if each.exit_code]
    return str(codes[0]) if codes else ""


async def _in_thread(work: Callable[[], T]) -> T:
    """Copy what may be large beside the event loop.

    A thread cannot be stopped; nobody may remove the pod's folder under its feet.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise


async def _run_within(run: PodRun, deadline_s: float | None) -> PodResult:
    """Run the pod; past its deadline it is stopped and says so in Argo's words."""
    if deadline_s is None:
        return await run.run()
    running = asyncio.ensure_future(run.run())
    try:
        done, _ = await asyncio.wait({running}, timeout=max(0.0, deadline_s))
        if done:
            return running.result()
        await run.stop(grace_s=STOP_GRACE_S)
        result = await running
        message = "Pod was active on the node longer than the specified deadline"
        return PodResult(succeeded=False, message=message, containers=result.containers)
    finally:
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _pod_spec(step: StepPod) -> dict[str, Any]:
    raw = step.template.raw
    body: Mapping[str, Any] = raw.get("container") or raw.get("script") or {}
    main = {key: value for key, value in body.items() if key != "source"}
    main["name"] = MAIN
    if "script" in raw:
        main["args"] = [*main.get("args", ()), SCRIPT_PATH]
    if not main.get("command"):
        raise Refused(f"template {step.template.name}: container has no command; set one")
    return {
        "serviceAccountName": raw.get("serviceAccountName") or step.service_account,
        "automountServiceAccountToken": raw.get("automountServiceAccountToken", True),
        "volumes": raw.get("volumes", []),
        # A sidecar ends with the pod and does not hold it: Kubernetes' word for that.
        "initContainers": [
            *raw.get("initContainers", ()),
            *({**each, "restartPolicy": "Always"} for each in raw.get("sidecars", ())),
        ],
        "containers": [main],
    }


def _parameter_value(run: PodRun, parameter: Parameter) -> str | None:
    if parameter.path:
        data = run.read(container=MAIN, path=parameter.path, limit=RESULT_LIMIT)
        if data is not None:
            return data.decode(errors="replace").removesuffix("\n")
        return parameter.default
    return parameter.value


def _result(run: PodRun) -> str:
    log = run.log_path(MAIN)
    if not log.exists():
        return ""
    with log.open("rb") as reader:
        return reader.read(RESULT_LIMIT).decode(errors="replace").removesuffix("\n")
