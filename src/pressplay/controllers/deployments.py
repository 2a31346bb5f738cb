"""Deployments of previews: one supervised local process each, where a cluster would have pods.

The Service's nodePort is the port that the process listens on, and the Ingress' status says where
to dial; so whoever asks finds the same fields as on a cluster. A process belongs to this
controller: when it ends the process ends, when it starts again the process does.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.cluster.port import AlreadyExists, Key, NotFound, Object, Objects, key_of
from pressplay.controllers import probing
from pressplay.controllers.workqueue import WorkQueue
from pressplay.pods import spec as podspec
from pressplay.pods.running import PodResult, PodRun, PodRunner

_LOG = logging.getLogger(__name__)
_GRACE_S = 5.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_HASH_LABEL = "pod-template-hash"


@dataclass
class _Supervised:
    """The process of one Deployment."""

    hash: str
    task: asyncio.Task[None]
    run: PodRun | None = None
    restarts: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopping(self) -> bool:
        return self.stopping.is_set()


@dataclass(frozen=True)
class _Plan:
    """What is to run for a Deployment: its PodSpec with the real port, and the probe."""

    deployment: Object
    hash: str
    pod: str
    spec: Mapping[str, Any]
    port: int
    ready: Mapping[str, Any] = field(default_factory=dict)


class DeploymentController:
    """Keeps one process for each Deployment until it is cancelled."""

    def __init__(self, *, objects: Objects, runner: PodRunner, logs: Path, clock: Clock) -> None:
        self._objects = objects
        self._runner = runner
        self._logs = logs
        self._clock = clock
        self._queue = WorkQueue(self.reconcile, name="deployments")
        self._supervised: dict[Key, _Supervised] = {}
        self._group: asyncio.TaskGroup | None = None

    def log_path(
        self, namespace: str, pod: str, container: str, *, is_previous: bool = False
    ) -> Path:
        """Where the log of one container of a preview's pod is kept, or that of the try before."""
        name = f"{container}.previous.log" if is_previous else f"{container}.log"
        return self._logs / namespace / pod / name

    async def run(self) -> None:
        """Watch Deployments and their Services; every process ends with this call."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._queue.run())
            group.create_task(self._watch("Deployment"))
            group.create_task(self._watch("Service"))
            group.create_task(self._watch("Ingress"))

    async def reconcile(self, key: Key) -> float | None:
        """Make the process fit the Deployment: none, the same, or one of a new template."""
        deployment = await self._objects.get(key)
        current = self._supervised.get(key)
        if deployment is None:
            if current is not None:
                await self._stop(key, current)
            return None
        plan = await self._plan(deployment)
        if plan is None:
            return 0.5
        await self._publish_address(key.namespace, plan.port)
        if current is not None and current.hash == plan.hash:
            return None
        if current is not None:
            await self._stop(key, current)
        self._start(key, plan)
        return None

    async def _watch(self, kind: str) -> None:
        async for change in self._objects.watch(kind):
            if kind == "Deployment":
                self._queue.add(key_of(change.object))
                continue
            namespace = change.object["metadata"]["namespace"]
            for deployment in await self._objects.list("Deployment", namespace=namespace):
                self._queue.add(key_of(deployment))

    async def _plan(self, deployment: Object) -> _Plan | None:
        """None while the Service, which decides the port, is not there yet."""
        metadata = deployment["metadata"]
        template = deployment["spec"]["template"]
        port = await self._port(metadata["namespace"], template["metadata"].get("labels", {}))
        if port is None or deployment["spec"].get("replicas", 1) == 0:
            return None
        text = json.dumps([template, port], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        spec = _with_port(template["spec"], port)
        main = spec["containers"][0]
        return _Plan(
            deployment=deployment,
            hash=digest,
            pod=f"{metadata['name']}-{digest}",
            spec=spec,
            port=port,
            ready=main.get("readinessProbe", {}).get("httpGet", {}),
        )

    async def _port(self, namespace: str, labels: Mapping[str, str]) -> int | None:
        for service in await self._objects.list("Service", namespace=namespace):
            selector = service["spec"].get("selector", {})
            ports = service["spec"].get("ports", [])
            chosen = selector and all(labels.get(k) == v for k, v in selector.items())
            if chosen and ports and ports[0].get("nodePort"):
                return int(ports[0]["nodePort"])
        return None

    async def _publish_address(self, namespace: str, port: int) -> None:
        """Say on the Ingress where to dial: this machine's loopback and the Service's port."""
        for ingress in await self._objects.list("Ingress", namespace=namespace):
            point = {"ip": "127.0.0.1", "ports": [{"port": port, "protocol": "TCP"}]}
            status = {"loadBalancer": {"ingress": [point]}}
            await self._objects.patch(key_of(ingress), {"status": status})

    def _start(self, key: Key, plan: _Plan) -> None:
        assert self._group is not None  # noqa: S101 - run() came first
        task = self._group.create_task(self._supervise(key, plan))
        self._supervised[key] = _Supervised(hash=plan.hash, task=task)

    async def _stop(self, key: Key, supervised: _Supervised) -> None:
        supervised.stopping.set()
        self._supervised.pop(key, None)
        if supervised.run is not None:
            await supervised.run.stop(grace_s=_GRACE_S)
        supervised.task.cancel()
        await asyncio.gather(supervised.task, return_exceptions=True)

    async def _supervise(self, key: Key, plan: _Plan) -> None:
        """Run the pod again and again, with growing pauses, until it is stopped."""
        supervised = self._supervised[key]
        pause = _FIRST_PAUSE_S
        try:
            await self._make_pod(plan)
            while True:
                begun = self._clock.monotonic()
                result = await self._once(plan, supervised)
                if supervised.is_stopping:
                    return
                if self._clock.monotonic() - begun > 60:
                    pause = _FIRST_PAUSE_S
                await self._say_ended(plan, supervised, result)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 2)
        except (NotFound, AlreadyExists):
            _LOG.info("preview_gone deployment=%s", key)
        finally:
            if supervised.run is not None:
                supervised.run.remove()

    async def _once(self, plan: _Plan, supervised: _Supervised) -> PodResult:
        pod = podspec.parse_pod(
            plan.spec,
            name=plan.pod,
            namespace=plan.deployment["metadata"]["namespace"],
            uid=f"{plan.deployment['metadata']['uid']}-{plan.hash}",
            labels=plan.deployment["spec"]["template"]["metadata"].get("labels", {}),
        )
        supervised.run = run = self._runner.create(pod)
        self._link_logs(plan, run)
        watching = asyncio.ensure_future(self._say_when_ready(plan, supervised))
        try:
            return await run.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _link_logs(self, plan: _Plan, run: PodRun) -> None:
        """Logs outlive a restart of the process: that of the try before stays, whole."""
        for container in (*run.pod.init_containers, *run.pod.containers):
            kept = self.log_path(run.pod.namespace, plan.pod, container.name)
            kept.parent.mkdir(parents=True, exist_ok=True)
            if kept.exists():
                before = self.log_path(
                    run.pod.namespace, plan.pod, container.name, is_previous=True
                )
                shutil.copyfile(kept, before)
            kept.unlink(missing_ok=True)
            kept.symlink_to(run.log_path(container.name))

    async def _say_when_ready(self, plan: _Plan, supervised: _Supervised) -> None:
        await probing.until_answers(
            port=plan.port,
            path=plan.ready.get("path", "/"),
            host=_host(plan.ready),
        )
        await self._patch_pod(plan, supervised, phase="Running", ready=True, state={"running": {}})
        await self._patch_deployment(plan, ready=1)

    async def _say_ended(self, plan: _Plan, supervised: _Supervised, result: PodResult) -> None:
        supervised.restarts += 1
        last = next(reversed(list(result.containers.values())), None)
        code = last.exit_code if last is not None else 1
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": result.message}}
        await self._patch_pod(
            plan, supervised, phase="Running", ready=False, state=state, last=(code, result)
        )
        await self._patch_deployment(plan, ready=0, message=result.message)

    async def _make_pod(self, plan: _Plan) -> None:
        metadata = plan.deployment["metadata"]
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": plan.pod,
                "namespace": metadata["namespace"],
                "labels": {
                    **plan.deployment["spec"]["template"]["metadata"].get("labels", {}),
                    _HASH_LABEL: plan.hash,
                },
                "ownerReferences": [
                    {
                        "apiVersion": plan.deployment["apiVersion"],
                        "kind": "Deployment",
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": dict(plan.spec),
        }
        for old in await self._objects.list("Pod", namespace=metadata["namespace"]):
            if old["metadata"]["name"] != plan.pod:
                await self._objects.delete(key_of(old))
        try:
            await self._objects.create(pod)
        except AlreadyExists:
            _LOG.debug("preview_pod_known pod=%s", plan.pod)
        await self._patch_deployment(plan, ready=0)

    async def _patch_pod(
        self,
        plan: _Plan,
        supervised: _Supervised,
        *,
        phase: str,
        ready: bool,
        state: Mapping[str, Any],
        last: tuple[int, PodResult] | None = None,
    ) -> None:
        names = [each["name"] for each in plan.spec.get("initContainers", ())]
        main = {
            "name": plan.spec["containers"][0]["name"],
            "ready": ready,
            "restartCount": supervised.restarts,
            "state": dict(state),
        }
        inits = []
        if last is not None:
            code, result = last
            main["lastState"] = {"terminated": {"exitCode": code, "message": result.message}}
            inits = [_terminated(name, result) for name in names if name in result.containers]
        status = {
            "phase": phase,
            "podIP": "127.0.0.1",
            "containerStatuses": [main],
            "initContainerStatuses": inits,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        }
        key = Key("Pod", plan.deployment["metadata"]["namespace"], plan.pod)
        await self._objects.patch(key, {"status": status})

    async def _patch_deployment(self, plan: _Plan, *, ready: int, message: str = "") -> None:
        condition = {
            "type": "Available",
            "status": "True" if ready else "False",
            "reason": "MinimumReplicasAvailable" if ready else "MinimumReplicasUnavailable",
            "message": message,
            "lastTransitionTime": clocks.to_text(self._clock.now()),
        }
        status = {
            "observedGeneration": plan.deployment["metadata"].get("generation", 1),
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [condition],
        }
        await self._objects.patch(key_of(plan.deployment), {"status": status})


def _with_port(spec: Mapping[str, Any], port: int) -> dict[str, Any]:
    """The PodSpec with PORT set to the port on which this machine will reach the process.

    Local processes share one loopback, so that a fixed port of the manifest could be taken.
    """
    made: dict[str, Any] = copy.deepcopy(dict(spec))
    for container in made["containers"]:
        if not container.get("ports"):
            continue
        env = [each for each in container.get("env", ()) if each["name"] != "PORT"]
        container["env"] = [*env, {"name": "PORT", "value": str(port)}]
    if not made["containers"]:
        raise Refused("Deployment has no container")
    return made


def _terminated(name: str, result: PodResult) -> dict[str, Any]:
    ended = result.containers[name]
    return {
        "name": name,
        "state": {"terminated": {"exitCode": ended.exit_code, "message": ended.message}},
    }


def _host(probe: Mapping[str, Any]) -> str:
    headers: dict[str, str] = {
        each["name"].lower(): each["value"] for each in probe.get("httpHeaders", ())
    }
    return headers.get("host", "localhost")
