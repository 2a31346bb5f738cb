"""Deploy one head as the preview of its pull request, and say where it answers.

The Namespace is written first and is the lease: one of another repository is left alone, one of an
older run of the same pull request is taken over. Everything is applied, so that a repeat finds its
own work done.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pressplay.api import parameters
from pressplay.base import clocks
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import AlreadyExists, Object
from pressplay.evidence import shapes
from pressplay.stages import asking, connections, starting
from pressplay.stages.environment import Ending, Foreign, Outcome, StageEnvironment
from pressplay.stages.parameters import preview_names
from pressplay.stages.previews import objects, recorded, waiting
from pressplay.stages.previews.objects import Preview

URLS = "deploy/urls.json"
DEFAULT_INGRESS_NAMESPACE = "ingress-nginx"
GONE_S = 60.0
ADDRESS_S = 30.0


def run(env: StageEnvironment) -> Outcome:
    """Deploy, wait until the app answers, write `deploy/urls.json`."""
    preview = plan(env)
    with connections.open_kube(env) as kube:
        take_lease(kube, preview)
        for wanted in objects.contents(preview):
            kube.apply(wanted)
        env.log("preview_applied", namespace=preview.names.namespace, sha=preview.sha)
        with env.timed(Foreign.START):
            why = waiting.until_ready(kube, preview)
        if why:
            env.write_artifact("deploy/logs.txt", f"{why}\n")
            return Outcome(Ending.FAIL, why)
        urls = urls_of(preview, address=_address(kube, preview))
    shapes.validate("urls", urls)
    env.write_artifact(URLS, urls)
    env.log("preview_ready", url=urls["endpoints"][0]["url"], sha=preview.sha)
    return Outcome()


def plan(env: StageEnvironment) -> Preview:
    """What is to be deployed, out of the request and the run's policy. Raises Refused."""
    request = asking.read_request(env)
    owner, repo = asking.repository_of(env)
    pr = parameters.check("pr", str(request.get("pr") or ""))
    sha = parameters.check("sha", str(request.get("sha") or ""))
    for name, value in (("pr", pr), ("sha", sha)):
        if not value:
            raise Refused(f"spec.{name} is empty; a preview is of one commit of one pull request")
    rules = recorded.read_policy(env.inputs / recorded.FILE)
    starting.check_deployable(rules)
    run_name, task = env.require("RUN"), env.require("TASK")
    expires = SystemClock().now() + timedelta(seconds=rules.preview.ttl_s)
    return Preview(
        names=preview_names(env, owner=owner, repo=repo, pr=pr),
        owner=owner,
        repo=repo,
        pr=pr,
        sha=sha,
        run=run_name,
        expires=clocks.to_text(expires),
        source_key=f"{run_name}/{'built' if recorded.has_build(rules) else 'source'}/{task}",
        process=rules.preview.process,
        visitors=(
            env.get("NAMESPACE", "agents"),
            env.get("INGRESS_NAMESPACE", DEFAULT_INGRESS_NAMESPACE),
        ),
    )


def take_lease(kube: KubeClient, preview: Preview) -> None:
    """Make the Namespace ours, or refuse. Raises Refused, Unavailable."""
    wanted = objects.lease(preview)
    name = preview.names.namespace
    found = kube.get("Namespace", "", name)
    if found is not None and _is_ending(found):
        if not waiting.until_gone(lambda: _ending(kube, name), longest_s=GONE_S):
            raise Unavailable(f"Namespace {name} is still being deleted; try again")
        found = kube.get("Namespace", "", name)
    if found is None:
        try:
            kube.create(wanted)
        except AlreadyExists:
            found = kube.get("Namespace", "", name)
        else:
            return
    if found is None:
        raise Unavailable(f"Namespace {name} came and went; try again")
    check_owner(found, preview)
    kube.patch("Namespace", "", name, {"metadata": _taken_over(wanted, found)})


def check_owner(namespace: Object, preview: Preview) -> None:
    """Raises Refused for a Namespace that is no preview, or another repository's."""
    labels = namespace["metadata"].get("labels") or {}
    name = preview.names.namespace
    if labels.get(objects.PREVIEW) != "true":
        raise Refused(f"Namespace {name} exists and is no preview; remove or rename it")
    if labels.get(objects.REPOSITORY) != preview.repo_hash:
        raise Refused(
            f"Namespace {name} belongs to another repository; "
            "set PRESSPLAY_NAMING to repo-pr in pressplay-settings, so that previews keep apart"
        )
    if labels.get(objects.PULL) != preview.pr:
        raise Refused(f"Namespace {name} is the preview of another pull request")


def _taken_over(wanted: Object, found: Object) -> dict[str, Any]:
    """Labels and annotations of ours; somebody may have asked for a longer life than the policy."""
    given = {key: dict(wanted["metadata"][key]) for key in ("labels", "annotations")}
    before = (found["metadata"].get("annotations") or {}).get(objects.EXPIRES, "")
    given["annotations"][objects.EXPIRES] = _later(before, given["annotations"][objects.EXPIRES])
    return given


def _later(before: str, now: str) -> str:
    try:
        return max(before, now, key=clocks.from_text)
    except (ValueError, TypeError):
        return now


def _is_ending(namespace: Object) -> bool:
    phase = (namespace.get("status") or {}).get("phase")
    return bool(namespace["metadata"].get("deletionTimestamp")) or phase == "Terminating"


def _ending(kube: KubeClient, name: str) -> Object | None:
    found = kube.get("Namespace", "", name)
    return found if found is not None and _is_ending(found) else None


def _address(kube: KubeClient, preview: Preview) -> str:
    """Where to dial, `host:port`, as the Ingress' status says. Raises Unavailable."""

    def look() -> str | None:
        ingress = kube.get("Ingress", preview.names.namespace, preview.names.release)
        return address_of(ingress or {}) or None

    found = waiting.poll(look, longest_s=ADDRESS_S)
    if found is None:
        raise Unavailable(
            f"Ingress {preview.names.release} got no address within {ADDRESS_S:.0f} s; "
            "is there an ingress controller?"
        )
    return found


def address_of(ingress: Object) -> str:
    """`host:port` out of an Ingress' status; empty while there is none.

    Port 80 where the controller names none: the rules carry no TLS.
    """
    points = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for point in points:
        host = point.get("ip") or point.get("hostname")
        if host:
            ports = point.get("ports") or ({"port": 80},)
            shown = f"[{host}]" if ":" in host else host
            return f"{shown}:{ports[0]['port']}"
    return ""


def urls_of(preview: Preview, *, address: str) -> dict[str, Any]:
    """The content of `urls.json` for a preview that answers at `address`."""
    host, port = preview.names.host, address.rpartition(":")[2]
    shown = host if port == "80" else f"{host}:{port}"
    endpoint = {"host": host, "path": "/", "url": f"http://{shown}/", "connect": address}
    return {
        "hosts": [host],
        "ns": preview.names.namespace,
        "release": preview.names.release,
        "endpoints": [endpoint],
        "deployer": "process",
        "sha": preview.sha,
        "image": objects.IMAGE,
    }
