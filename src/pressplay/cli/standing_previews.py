"""Previews as the servers of this machine know them.

A server that is down has no preview that answers; none is started only to say that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pressplay.base import clocks
from pressplay.base.errors import Refused, Unavailable
from pressplay.cli import forges, local_server, pipelines
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import Object
from pressplay.server.standing import Address
from pressplay.stages.previews import deploying, objects


@dataclass(frozen=True)
class Preview:
    """One preview; `connect` (host:port) is the address to dial where its host has no name.

    `created` and `expires` are RFC 3339. `server` is the one that runs it.
    """

    pr: int
    repository: str
    namespace: str
    host: str
    connect: str
    is_ready: bool
    created: str
    expires: str
    run: str
    sha: str
    server: Address

    @property
    def url(self) -> str:
        """What a browser on this machine opens: *.localhost leads here by itself (RFC 6761)."""
        port = self.connect.rpartition(":")[2]
        return f"http://{self.host}:{port}/" if self.connect else ""

    @property
    def title(self) -> str:
        """For people."""
        return f"The preview of {self.repository}#{self.pr}"

    def end(self, now: datetime) -> datetime:
        """When it goes; at once where nobody can say, as the server sees it."""
        try:
            end = clocks.from_text(self.expires)
        except ValueError:
            return now
        return end if end.tzinfo is not None else now

    def left_s(self, now: datetime) -> float:
        """Seconds until it goes."""
        return max(0.0, (self.end(now) - now).total_seconds())

    def to_json(self, *, now: datetime) -> dict[str, Any]:
        """As `--output json` prints it."""
        return {
            "pr": self.pr,
            "repository": self.repository,
            "url": self.url,
            "host": self.host,
            "connect": self.connect,
            "ready": self.is_ready,
            "ageSeconds": round((now - clocks.from_text(self.created)).total_seconds()),
            "expires": self.expires,
            "expiresInSeconds": round(self.left_s(now)),
            "run": self.run,
            "sha": self.sha,
            "namespace": self.namespace,
        }


def read(state: Path, *, repo: str) -> list[Preview]:
    """All previews of the servers that run, oldest first. Raises Unavailable where none runs."""
    folders, name = _place(state, repo)
    servers = [server for each in folders if (server := local_server.find(each)) is not None]
    if not servers:
        raise Unavailable(
            "No server runs here, so no preview stands. `pressplay up` starts it; "
            "previews whose time has not run out are then built and started again"
        )
    standing = [preview for server in servers for preview in _of_server(server)]
    if name:
        standing = [each for each in standing if each.repository.lower() == name.lower()]
    return sorted(standing, key=lambda each: (each.created, each.pr))


def read_again(preview: Preview) -> Preview:
    """The same preview as it is now: one that is being deployed gets its address late.

    Raises Refused where it is gone.
    """
    with pipelines.open_kube(preview.server) as kube:
        namespace = kube.get("Namespace", "", preview.namespace)
        if namespace is None:
            raise Refused(f"{preview.title} was removed meanwhile")
        return _read_one(kube, namespace, preview.server)


def _place(state: Path, repo: str) -> tuple[Sequence[Path], str]:
    """The state folders to ask, and `owner/name` where only one repository is wanted."""
    if forges.is_address(repo):
        place = forges.read_place(repo)
        return [forges.state_folder(state, place.server_url)], f"{place.owner}/{place.name}"
    if repo.count("/") not in (0, 1) or (repo and "/" not in repo):
        raise Refused(f"--repo {repo}: write OWNER/NAME, or https://HOST/OWNER/NAME")
    return [state, *sorted((state / "forges").glob("*/"))], repo


def _of_server(server: Address) -> Iterator[Preview]:
    with pipelines.open_kube(server) as kube:
        for namespace in kube.list("Namespace", labels=f"{objects.PREVIEW}=true"):
            yield _read_one(kube, namespace, server)


def _read_one(kube: KubeClient, namespace: Object, server: Address) -> Preview:
    metadata = namespace["metadata"]
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    name = metadata["name"]
    ingress = next(iter(kube.list("Ingress", name)), {})
    deployment = next(iter(kube.list("Deployment", name)), {})
    sha = notes.get(objects.SHA, "")
    return Preview(
        pr=int(labels.get(objects.PULL) or 0),
        repository=notes.get(objects.REPOSITORY_NAME, ""),
        namespace=name,
        host=_host(ingress),
        connect=deploying.address_of(ingress),
        is_ready=bool((deployment.get("status") or {}).get("readyReplicas")),
        created=metadata["creationTimestamp"],
        expires=notes.get(objects.EXPIRES, ""),
        run=labels.get(objects.WORKFLOW, ""),
        sha=sha,
        server=server,
    )


def _host(ingress: Mapping[str, Any]) -> str:
    rules = (ingress.get("spec") or {}).get("rules") or [{}]
    return str(rules[0].get("host", ""))
