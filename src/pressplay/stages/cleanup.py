"""The broom of every run: ends what it still has going and, where it failed, its preview.

Each thing is tried for itself: one that does not go must not keep the others. A preview that a
newer run took over is that run's.
"""

from __future__ import annotations

from pressplay.api import names
from pressplay.base.errors import PressplayError
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import NotFound, Object
from pressplay.stages import connections
from pressplay.stages.environment import Ending, Outcome, StageEnvironment
from pressplay.stages.previews import objects, waiting

KINDS = ("CodeRun", "DocsRun")
PARENT = "pressplay.dev/run"
GONE_S = 60.0

_FINISHED = ("Succeeded", "Failed", "Error", "Cancelled")


def run(env: StageEnvironment) -> Outcome:
    """Cancel agent runs that are not finished; remove the preview of a run that failed."""
    name, namespace = env.require("RUN"), env.get("NAMESPACE", "agents")
    status = env.require("STATUS")
    with connections.open_kube(env) as kube:
        broom = _Broom(env, kube, run_name=name)
        for kind in KINDS:
            broom.cancel(kind, namespace)
        if status != "Succeeded":
            broom.remove_previews()
    if broom.stayed:
        return Outcome(Ending.UNAVAILABLE, f"Not cleaned up: {'; '.join(broom.stayed)}")
    return Outcome()


class _Broom:
    """One clean-up; `stayed` says what could not be ended, and why."""

    def __init__(self, env: StageEnvironment, kube: KubeClient, *, run_name: str) -> None:
        self._env = env
        self._kube = kube
        self._run = run_name
        self.stayed: list[str] = []

    def cancel(self, kind: str, namespace: str) -> None:
        """Ask every unfinished object of this run to end."""
        try:
            found = self._kube.list(kind, namespace, labels=f"{PARENT}={self._run}")
        except PressplayError as error:
            self.stayed.append(f"{kind}s could not be listed ({error})")
            return
        for obj in found:
            if (obj.get("status") or {}).get("phase") not in _FINISHED:
                self._cancel_one(kind, namespace, obj["metadata"]["name"])

    def remove_previews(self) -> None:
        """Delete the Namespaces that this run still owns, and wait until they are gone."""
        owner = names.cut(self._run)
        try:
            selector = f"{objects.PREVIEW}=true,{objects.WORKFLOW}={owner}"
            found = self._kube.list("Namespace", labels=selector)
        except PressplayError as error:
            self.stayed.append(f"Previews could not be listed ({error})")
            return
        for namespace in found:
            self._remove_one(namespace["metadata"]["name"], owner=owner)

    def _cancel_one(self, kind: str, namespace: str, name: str) -> None:
        try:
            self._kube.patch(kind, namespace, name, {"spec": {"cancel": True}})
        except NotFound:
            return
        except PressplayError as error:
            self.stayed.append(f"{kind} {name} ({error})")
        else:
            self._env.log("agent_run_cancelled", kind=kind, name=name)

    def _remove_one(self, name: str, *, owner: str) -> None:
        try:
            # Asked again just before: a newer run may have taken it over since it was listed.
            if not _owns(self._kube.get("Namespace", "", name), owner):
                self._env.log("preview_taken_over", namespace=name)
                return
            self._kube.delete("Namespace", "", name)
            gone = waiting.until_gone(
                lambda: _owned(self._kube.get("Namespace", "", name), owner), longest_s=GONE_S
            )
        except PressplayError as error:
            self.stayed.append(f"Namespace {name} ({error})")
            return
        if gone:
            self._env.log("preview_removed", namespace=name)
        else:
            self.stayed.append(f"Namespace {name} is still there")


def _owns(namespace: Object | None, owner: str) -> bool:
    return _owned(namespace, owner) is not None


def _owned(namespace: Object | None, owner: str) -> Object | None:
    """The Namespace while it is this run's; a newer run may have made it anew."""
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    return namespace if labels.get(objects.WORKFLOW) == owner else None
