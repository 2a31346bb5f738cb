"""A Kubernetes API over HTTP: our own server's or a cluster's, without telling which.

Synchronous, because the stages are: each is a short program that asks a few things. Nothing is
tried twice here; a caller that can wait reads Unavailable as "later".
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.cluster import access, wire
from pressplay.cluster.port import AlreadyExists, Change, NotFound, Object

_PAUSE_S = 0.5
_MERGE_PATCH = {"content-type": wire.MERGE_PATCH}


class ServerFailed(Unavailable):
    """The server answers, and says that it cannot go on."""


class KubeClient:
    """One identity at one API server. A context manager; `close` gives its connections back.

    Every call raises Refused (with the server's words; NotFound, AlreadyExists and Conflict where
    the server says so) or Unavailable.
    """

    def __init__(self, *, url: str, token: Secret, verify: ssl.SSLContext | bool = True) -> None:
        # Without a token it is a certificate in `verify` that says who asks.
        shown = {"authorization": f"Bearer {token.reveal()}"} if token else {}
        self._client = httpx2.Client(
            base_url=url,
            headers={"accept": "application/json"} | shown,
            verify=wire.verifying(url, verify=verify),
            timeout=wire.TIMEOUT_S,
            # Neither a proxy nor a netrc of the pod's environment has to do with the API server.
            trust_env=False,
        )

    @classmethod
    def from_pod(
        cls, variables: Mapping[str, str], *, service_account_dir: Path = access.SERVICE_ACCOUNT
    ) -> KubeClient:
        """The client of the pod in which this process runs. Raises Refused outside of one."""
        found = access.of_pod(variables, service_account_dir=service_account_dir)
        return cls(url=found.url, token=found.current(), verify=found.verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        try:
            return self._object("GET", wire.path(kind, namespace, name))
        except NotFound:
            return None

    def list(self, kind: str, namespace: str = "", *, labels: str = "") -> list[Object]:
        """Objects of a kind; of all namespaces when `namespace` is empty."""
        query = {"labelSelector": labels} if labels else {}
        return wire.items(kind, self._object("GET", wire.path(kind, namespace), params=query))

    def create(self, obj: Object) -> Object:
        """Create the object; its metadata says where. Raises AlreadyExists."""
        path = wire.path(obj["kind"], obj["metadata"].get("namespace", ""))
        return self._object("POST", path, json=obj)

    def apply(self, obj: Object) -> Object:
        """Create the object, or merge it into the one that is there."""
        try:
            return self.create(obj)
        except AlreadyExists:
            metadata = obj["metadata"]
            return self.patch(obj["kind"], metadata.get("namespace", ""), metadata["name"], obj)

    def patch(  # noqa: PLR0917 - an address and what to put there, as in every other call
        self, kind: str, namespace: str, name: str, patch: Object, *, subresource: str = ""
    ) -> Object:
        """Apply a JSON merge patch, to the object or to its `status`. Raises NotFound."""
        path = wire.path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._object("PATCH", path, json=patch, headers=_MERGE_PATCH)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete the object and what it owns; quiet where there is none."""
        try:
            self._object(
                "DELETE",
                wire.path(kind, namespace, name),
                params={"propagationPolicy": "Background"},
            )
        except NotFound:
            return

    def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str = "",
        tail: int = 0,
        is_previous: bool = False,
    ) -> str:
        """What a container printed; its last `tail` lines where that is above 0.

        `is_previous` asks for what it printed before it was started anew.
        """
        wanted: dict[str, str | int] = {"container": container, "tailLines": tail}
        wanted |= {"previous": "true"} if is_previous else {}
        query = {name: value for name, value in wanted.items() if value}
        return self._send("GET", f"{wire.path('Pod', namespace, pod)}/log", params=query).text

    def follow_logs(
        self, namespace: str, pod: str, *, container: str = "", tail: int = 0, timeout_s: float
    ) -> Iterator[bytes]:
        """What a container prints, in pieces as it comes, until its pod has ended.

        From its last `tail` lines on where that is above 0. A stream that breaks off, or that is
        silent for `timeout_s`, just ends.
        """
        wanted: dict[str, str | int] = {"container": container, "tailLines": tail}
        query = {name: value for name, value in wanted.items() if value} | {"follow": "true"}
        path = f"{wire.path('Pod', namespace, pod)}/log"
        timeout = httpx2.Timeout(wire.TIMEOUT_S, read=timeout_s)
        try:
            with self._client.stream("GET", path, params=query, timeout=timeout) as response:
                _check(response)
                yield from response.iter_raw()
        except wire.BROKEN_OFF:
            return
        except httpx2.TransportError as error:
            raise wire.unreachable(error) from error

    def watch(
        self,
        kind: str,
        namespace: str = "",
        *,
        name: str = "",
        labels: str = "",
        timeout_s: float,
    ) -> Iterator[Change]:
        """Every object as ADDED, then its changes, for at most `timeout_s`.

        A stream that breaks off is taken up again: then objects are told as ADDED once more, and
        a deletion in between is not told.
        """
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            query: dict[str, str | int] = {"watch": "true", "timeoutSeconds": max(1, int(left))}
            if name:
                query["fieldSelector"] = f"metadata.name={name}"
            if labels:
                query["labelSelector"] = labels
            yield from self._watch_once(wire.path(kind, namespace), query, left=left)
            time.sleep(min(_PAUSE_S, max(0.0, deadline - time.monotonic())))

    def artifact(self, namespace: str, key: str) -> Iterator[bytes]:
        """An artifact in pieces: a file as it is, a folder as a tar archive of its content.

        Nothing where there is no such artifact. Only our own server has this.
        """
        if {".", ".."} & {*key.split("/"), namespace}:
            raise Refused(f"{key!r} is no artifact's key")
        path = f"/artifacts/{quote(namespace, safe='')}/{quote(key)}"
        try:
            with self._client.stream("GET", path) as response:
                if response.status_code == httpx2.codes.NOT_FOUND:
                    return
                _check(response)
                yield from response.iter_bytes()
        except httpx2.TransportError as error:
            raise wire.unreachable(error) from error

    def _watch_once(
        self, path: str, query: Mapping[str, str | int], *, left: float
    ) -> Iterator[Change]:
        timeout = httpx2.Timeout(wire.TIMEOUT_S, read=left)
        try:
            with self._client.stream("GET", path, params=query, timeout=timeout) as response:
                _check(response)
                lines = wire.Lines()
                for event in (
                    each for piece in response.iter_bytes() for each in lines.feed(piece)
                ):
                    if event["type"] == "ERROR":
                        _raise_told(event["object"])
                        return
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        yield Change(event["type"], event["object"])
        except wire.BROKEN_OFF:
            return
        except httpx2.TransportError as error:
            raise wire.unreachable(error) from error

    def _object(self, verb: str, path: str, **options: Any) -> Object:  # noqa: ANN401 - httpx2's
        return wire.document(self._send(verb, path, **options).content, at=path)

    def _send(self, verb: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401
        try:
            response = self._client.request(verb, path, **options)
        except httpx2.TransportError as error:
            raise wire.unreachable(error) from error
        _check(response)
        return response


def _check(response: httpx2.Response) -> None:
    """Raise what an answer's status means; a stream that failed is read to its end."""
    if not response.is_success:
        response.read()
        raise wire.failure(response)


def _raise_told(status: Mapping[str, Any]) -> None:
    """What a server says at the end of a watch; one that has only grown too old is begun anew."""
    if status.get("code", 0) >= 500:
        raise ServerFailed(str(status.get("message", "The API server failed")))
