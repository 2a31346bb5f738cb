"""Is a preview up? Read from the Deployment and, where it does not come up, from its pods.

A build that failed or an app that keeps crashing will not get better by waiting: it ends the wait
at once, with the last lines that it printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pressplay.base.errors import Refused
from pressplay.cluster.kube import KubeClient
from pressplay.stages.previews import objects
from pressplay.stages.previews.objects import Preview

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
LOG_LINES = 20
LOG_CHARACTERS = 700
"""What fits into a reason beside the sentence around it."""

_HOPELESS = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "InvalidImageName",
    "RunContainerError",
)
"""Reasons of a waiting container after which the kubelet only tries the same again."""


@dataclass(frozen=True)
class Failure:
    """Which container of which pod failed, and how."""

    pod: str
    container: str
    why: str


def until_ready(kube: KubeClient, preview: Preview) -> str:
    """Wait for the preview's one replica; "" once it answers, else why it did not come up.

    The reason may hold what the repository's code printed.
    """

    def look() -> str | None:
        deployment = kube.get("Deployment", preview.names.namespace, preview.names.release)
        if deployment is not None and is_ready(deployment, sha=preview.sha):
            return ""
        failure = find_failure(_pods(kube, preview))
        return None if failure is None else _failed(kube, preview, failure)

    found = poll(look, longest_s=preview.process.timeout_s)
    return _late(kube, preview) if found is None else found


def until_gone(get: Callable[[], object | None], *, longest_s: float) -> bool:
    """Wait until there is nothing to get any more; False where it stayed."""
    return poll(lambda: True if get() is None else None, longest_s=longest_s) is not None


def poll(look: Callable[[], T | None], *, longest_s: float) -> T | None:
    """Look again and again, with growing pauses; the first answer, or None when time ran out."""
    deadline = time.monotonic() + longest_s
    pause = FIRST_PAUSE_S
    while True:
        found = look()
        if found is not None or time.monotonic() >= deadline:
            return found
        time.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE_S)


def is_ready(deployment: Mapping[str, Any], *, sha: str) -> bool:
    """Whether the controller has seen this very template and its replica answers."""
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    template = deployment["spec"]["template"]["metadata"]
    ready = status.get("readyReplicas") or 0
    return (
        (template.get("annotations") or {}).get(objects.SHA) == sha
        and status.get("observedGeneration", 0) >= metadata.get("generation", 1)
        and ready >= 1
        and status.get("updatedReplicas", ready) >= 1
    )


def find_failure(pods: Iterable[Mapping[str, Any]]) -> Failure | None:
    """The first container that failed for good, build before app."""
    for pod in pods:
        status = pod.get("status") or {}
        name = pod["metadata"]["name"]
        for container in status.get("initContainerStatuses") or ():
            code = _exit_code(container)
            if code:
                why = f"what was built could not be unpacked (exit code {code})"
                return Failure(name, container["name"], why)
        for container in (
            *(status.get("initContainerStatuses") or ()),
            *(status.get("containerStatuses") or ()),
        ):
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _HOPELESS:
                return Failure(name, container["name"], _crash(container, waiting))
    return None


def _exit_code(container: Mapping[str, Any]) -> int:
    """The exit code with which a container ended last; 0 where it did not or went well."""
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        if "terminated" in state:
            return int(state["terminated"].get("exitCode") or 0)
    return 0


def _crash(container: Mapping[str, Any], waiting: Mapping[str, Any]) -> str:
    code = _exit_code(container)
    if waiting.get("reason") == "CrashLoopBackOff":
        return f"the app ended with exit code {code} instead of serving"
    return f"{waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": ")


def _pods(kube: KubeClient, preview: Preview) -> list[dict[str, Any]]:
    return kube.list("Pod", preview.names.namespace, labels=objects.pod_selector(preview))


def _failed(kube: KubeClient, preview: Preview, failure: Failure) -> str:
    said = _log(kube, preview, pod=failure.pod, container=failure.container)
    told = f"The preview did not come up: {failure.why}"
    return f"{told}. It said last: {said}" if said else f"{told}. It printed nothing"


def _late(kube: KubeClient, preview: Preview) -> str:
    told = (
        f"The preview did not answer at {preview.process.ready} within "
        f"{preview.process.timeout_s} s (preview.process.timeout); "
        "preview.process.ready must answer 200 to 399 on the port in PORT"
    )
    pods = _pods(kube, preview)
    if not pods:
        return f"{told}. No pod was made for it"
    pod = pods[-1]
    said = _log(kube, preview, pod=pod["metadata"]["name"], container=_current(pod))
    return f"{told}. It said last: {said}" if said else told


def _log(kube: KubeClient, preview: Preview, *, pod: str, container: str) -> str:
    """The last lines of a container, the end of them if they are long."""
    for is_previous in (True, False):
        # What is tried again has perhaps only begun to tell how it failed before.
        try:
            said = kube.logs(
                preview.names.namespace,
                pod,
                container=container,
                tail=LOG_LINES,
                is_previous=is_previous,
            )
        except Refused:
            # A container that never started has no log; that is said by its reason.
            continue
        if said.strip():
            return said.strip()[-LOG_CHARACTERS:]
    return ""


def _current(pod: Mapping[str, Any]) -> str:
    """The container to ask why a pod is not ready: the build while it runs, else the app."""
    for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
        if "running" in (container.get("state") or {}):
            return str(container["name"])
    return "app"
