"""A Kubernetes API over HTTP: our own server's or a cluster's, without telling which.

Synchronous, because the stages are: each is a short program that asks a few things. Nothing is
tried twice here; a caller that can wait reads Unavailable as "later".
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from pressplay.api import kinds
from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.cluster.port import AlreadyExists, Change, Conflict, NotFound, Object

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's token, as its page "Configure Service Accounts" says."""

_TIMEOUT_S = 30.0
_PAUSE_S = 0.5
_BROKEN_OFF = (httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError)
_MERGE_PATCH = {"content-type": "application/merge-patch+json"}


class ServerFailed(Unavailable):
    """The server answers, and says that it cannot go on."""


class KubeClient:
    """One identity at one API server. A context manager; `close` gives its connections back.

    Every call raises Refused (with the server's words; NotFound, AlreadyExists and Conflict where
    the server says so) or Unavailable.
    """

    def __init__(self, *, url: str, token: Secret, verify: ssl.SSLContext | bool = True) -> None:
        if url.startswith("http://"):
            # Reading the machine's authorities takes 30 ms, and without TLS nobody asks for them.
            verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx2.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token.reveal()}", "accept": "application/json"},
            verify=verify,
            timeout=_TIMEOUT_S,
            # Neither a proxy nor a netrc of the pod's environment has to do with the API server.
            trust_env=False,
        )

    @classmethod
    def from_pod(
        cls, variables: Mapping[str, str], *, service_account_dir: Path = SERVICE_ACCOUNT
    ) -> KubeClient:
        """The client of the pod in which this process runs. Raises Refused outside of one."""
        try:
            token = Secret((service_account_dir / "token").read_text().strip())
        except OSError as error:
            raise Refused(
                f"No service account token at {service_account_dir}; "
                "give the pod a service account, and do not turn off its token"
            ) from error
        if variables.get("PRESSPLAY_KUBE_URL"):
            return cls(url=variables["PRESSPLAY_KUBE_URL"], token=token)
        host = variables.get("KUBERNETES_SERVICE_HOST")
        if not host:
            raise Refused("Neither PRESSPLAY_KUBE_URL nor KUBERNETES_SERVICE_HOST is set")
        port = variables.get("KUBERNETES_SERVICE_PORT", "443")
        shown = f"[{host}]" if ":" in host else host
        authority = ssl.create_default_context(cafile=service_account_dir / "ca.crt")
        return cls(url=f"https://{shown}:{port}", token=token, verify=authority)

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
            return self._object("GET", _path(kind, namespace, name))
        except NotFound:
            return None

    def list(self, kind: str, namespace: str = "", *, labels: str = "") -> list[Object]:
        """Objects of a kind; of all namespaces when `namespace` is empty."""
        found = kinds.by_name(kind)
        query = {"labelSelector": labels} if labels else {}
        answer = self._object("GET", _path(kind, namespace), params=query)
        # The items of a list carry neither of the two.
        own = {"apiVersion": found.api_version, "kind": found.name}
        return [{**own, **item} for item in answer.get("items") or ()]

    def create(self, obj: Object) -> Object:
        """Create the object; its metadata says where. Raises AlreadyExists."""
        path = _path(obj["kind"], obj["metadata"].get("namespace", ""))
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
        path = _path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._object("PATCH", path, json=patch, headers=_MERGE_PATCH)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete the object and what it owns; quiet where there is none."""
        try:
            self._object(
                "DELETE", _path(kind, namespace, name), params={"propagationPolicy": "Background"}
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
        return self._send("GET", f"{_path('Pod', namespace, pod)}/log", params=query).text

    def follow_logs(
        self, namespace: str, pod: str, *, container: str = "", tail: int = 0, timeout_s: float
    ) -> Iterator[bytes]:
        """What a container prints, in pieces as it comes, until its pod has ended.

        From its last `tail` lines on where that is above 0. A stream that breaks off, or that is
        silent for `timeout_s`, just ends.
        """
        wanted: dict[str, str | int] = {"container": container, "tailLines": tail}
        query = {name: value for name, value in wanted.items() if value} | {"follow": "true"}
        path = f"{_path('Pod', namespace, pod)}/log"
        timeout = httpx2.Timeout(_TIMEOUT_S, read=timeout_s)
        try:
            with self._client.stream("GET", path, params=query, timeout=timeout) as response:
                _check(response)
                yield from response.iter_raw()
        except _BROKEN_OFF:
            return
        except httpx2.TransportError as error:
            raise _unreachable(error) from error

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
            yield from self._watch_once(_path(kind, namespace), query, left=left)
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
            raise _unreachable(error) from error

    def _watch_once(
        self, path: str, query: Mapping[str, str | int], *, left: float
    ) -> Iterator[Change]:
        timeout = httpx2.Timeout(_TIMEOUT_S, read=left)
        try:
            with self._client.stream("GET", path, params=query, timeout=timeout) as response:
                _check(response)
                for line in response.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        _raise_told(event["object"])
                        return
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        yield Change(event["type"], event["object"])
        except _BROKEN_OFF:
            return
        except httpx2.TransportError as error:
            raise _unreachable(error) from error

    def _object(self, verb: str, path: str, **options: Any) -> Object:  # noqa: ANN401 - httpx2's
        try:
            answer = self._send(verb, path, **options).json()
        except ValueError as error:
            raise Unavailable(f"{path}: the answer is not JSON; is this an API server?") from error
        if not isinstance(answer, dict):
            raise Unavailable(f"{path}: the answer is no object; is this an API server?")
        return answer

    def _send(self, verb: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401
        try:
            response = self._client.request(verb, path, **options)
        except httpx2.TransportError as error:
            raise _unreachable(error) from error
        _check(response)
        return response


def _path(kind: str, namespace: str, name: str = "") -> str:
    """The REST path, safe whatever the names hold. Raises Refused for what no object is called."""
    for part in (namespace, name):
        if "/" in part or part in (".", ".."):
            raise Refused(f"{part!r} is no name of a {kind}")
    return kinds.by_name(kind).path(quote(namespace), quote(name))


def _check(response: httpx2.Response) -> None:
    """Raise what an answer's status means; a stream that failed is read to its end."""
    if response.is_success:
        return
    response.read()
    code, (reason, message) = response.status_code, _status(response)
    if code == httpx2.codes.NOT_FOUND:
        raise NotFound(message)
    if code == httpx2.codes.CONFLICT:
        raise AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
    if code >= 500 or code == httpx2.codes.TOO_MANY_REQUESTS:
        raise Unavailable(message)
    raise Refused(message)


def _raise_told(status: Mapping[str, Any]) -> None:
    """What a server says at the end of a watch; one that has only grown too old is begun anew."""
    if status.get("code", 0) >= 500:
        raise ServerFailed(str(status.get("message", "The API server failed")))


def _status(response: httpx2.Response) -> tuple[str, str]:
    """Reason and message of a Status object, or of whatever came in its place."""
    try:
        status = response.json()
        return str(status.get("reason", "")), str(status["message"])
    except (ValueError, KeyError, AttributeError):
        text = " ".join(response.text.split())[:200]
        return "", f"{response.request.url.path}: HTTP {response.status_code} {text}"


def _unreachable(error: httpx2.TransportError) -> Unavailable:
    return Unavailable(f"The API server does not answer ({type(error).__name__}: {error})")
