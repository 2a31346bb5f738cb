"""Objects over HTTP: a subset of the Kubernetes API, enough for kubectl, Argo's shapes and us.

Every request passes the same gates in the same order: is there such a path, who asks, may they,
is the object fit; only then the store.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pressplay.base.clocks import Clock
from pressplay.base.errors import PressplayError
from pressplay.base.schemas import Schema
from pressplay.cluster.port import Object, Objects
from pressplay.server import addresses, bodies, failures, streaming
from pressplay.server.addresses import Address
from pressplay.server.auth import Identity
from pressplay.server.failures import BadRequest, Failure, Forbidden
from pressplay.server.rights import Action, Rights, denial
from pressplay.server.streaming import Choice, PodLogs
from pressplay.server.writing import Writer

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_CONTAINER = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DEFAULT_CONTAINER = "main"
_ENDED = ("Succeeded", "Failed")
_READING = ("get", "list", "watch")


class KubernetesApi:
    """Answers requests below /api and /apis."""

    def __init__(
        self,
        *,
        objects: Objects,
        pod_logs: PodLogs,
        schemas: Mapping[str, Schema],
        clock: Clock,
    ) -> None:
        self._objects = objects
        self._logs = pod_logs
        self._clock = clock
        self._rights = Rights(objects=objects)
        self._writer = Writer(objects=objects, rights=self._rights, schemas=schemas)

    async def answer(self, request: Request) -> Response:
        """The response; failures become Status objects."""
        address = addresses.parse(request.scope["path"])
        if address is None:
            message = "the server could not find the requested resource"
            return failures.answer(Failure(message, code=404, reason="NotFound"))
        try:
            return await self._dispatch(request, address)
        except PressplayError as error:
            return failures.answer(failures.of_error(error, address))

    async def _dispatch(self, request: Request, address: Address) -> Response:
        handler = self._handler(request, address)
        identity: Identity = request.state.identity
        await self._check_rights(request, address, identity)
        return await handler(request, address)

    def _handler(
        self, request: Request, address: Address
    ) -> Callable[[Request, Address], Awaitable[Response]]:
        """Who answers; raises Failure for a part or a verb that the kind does not have."""
        part = address.subresource
        if (address.kind.name, part, request.method) == ("Pod", "log", "GET"):
            return self._log
        if part and (part != "status" or not address.kind.has_status):
            raise Failure(
                "the server could not find the requested resource", code=404, reason="NotFound"
            )
        collection = {"GET": self._list, "POST": self._create}
        single = {
            "GET": self._get,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        known = single if address.name else collection
        if request.method not in known or (part and request.method == "DELETE"):
            raise Failure(
                "the server does not allow this method on the requested resource",
                code=405,
                reason="MethodNotAllowed",
            )
        return known[request.method]

    async def _check_rights(self, request: Request, address: Address, identity: Identity) -> None:
        verb = _verb(request, address)
        name = address.name
        if verb in ("list", "watch"):
            # One object may be listed and watched by whoever may do so to this name.
            name = _choice(request).name
        action = Action(
            verb, address.kind.group, address.resource, namespace=address.namespace, name=name
        )
        # Pods get their secrets mounted; nobody but the operator has a reason to ask for one.
        closed = address.kind.name == "Secret" and verb in _READING and not identity.is_operator
        if closed or not await self._rights.allow(identity, action):
            raise Forbidden(denial(identity, action))

    async def _get(self, _request: Request, address: Address) -> Response:
        found = await self._objects.get(address.key)
        if found is None:
            raise failures.missing(address)
        return failures.json_response(found)

    async def _list(self, request: Request, address: Address) -> Response:
        wanted = _choice(request)
        if _is_watch(request):
            return self._watch(request, address, wanted)
        found = await self._objects.list(
            address.kind.name, namespace=address.namespace, labels=wanted.labels
        )
        return failures.json_response(
            streaming.list_of(address, [obj for obj in found if wanted.takes(obj)])
        )

    def _watch(self, request: Request, address: Address, wanted: Choice) -> Response:
        query = request.query_params
        seconds = streaming.whole_number(query.get("timeoutSeconds"), name="timeoutSeconds")
        since = streaming.whole_number(query.get("resourceVersion"), name="resourceVersion")
        lines = streaming.watch_lines(
            self._objects,
            address,
            wanted=wanted,
            since=since or 0,
            clock=self._clock,
            seconds=seconds or streaming.LONGEST_S,
        )
        return StreamingResponse(lines, media_type="application/json")

    async def _create(self, request: Request, address: Address) -> Response:
        _refuse_dry_run(request)
        obj = await bodies.read_object(request)
        made = await self._writer.create(obj, address, request.state.identity)
        return _written(made, request, code=201)

    async def _replace(self, request: Request, address: Address) -> Response:
        _refuse_dry_run(request)
        obj = await bodies.read_object(request)
        made = await self._writer.replace(obj, address, request.state.identity)
        return _written(made, request)

    async def _patch(self, request: Request, address: Address) -> Response:
        _refuse_dry_run(request)
        media = bodies.content_type(request)
        if media not in bodies.PATCHES:
            message = f"patches of type {media[:80]!r} are not served; use {bodies.MERGE}"
            raise Failure(message, code=415, reason="UnsupportedMediaType")
        patch = await bodies.read_object(request)
        identity = request.state.identity
        if media in bodies.APPLY and await self._objects.get(address.key) is None:
            await self._check_create(address, identity)
            patch.setdefault("metadata", {}).setdefault("name", address.name)
            return _written(await self._writer.create(patch, address, identity), request, code=201)
        made = await self._writer.patch(
            patch, address, identity, strategic_merge=media == bodies.STRATEGIC
        )
        return _written(made, request)

    async def _check_create(self, address: Address, identity: Identity) -> None:
        """An apply that finds nothing is a creation, and wants that right too."""
        if address.subresource:
            raise failures.missing(address)
        action = Action(
            "create", address.kind.group, address.kind.plural, namespace=address.namespace
        )
        if not await self._rights.allow(identity, action):
            raise Forbidden(denial(identity, action))

    async def _delete(self, request: Request, address: Address) -> Response:
        _refuse_dry_run(request)
        options = await bodies.read_optional(request)
        gone = await self._writer.delete(options, address, request.state.identity)
        details = {
            "name": address.name,
            "group": address.kind.group,
            "kind": address.kind.plural,
            "uid": gone["metadata"]["uid"],
        }
        return failures.json_response(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            }
        )

    async def _log(self, request: Request, address: Address) -> Response:
        query = request.query_params
        pod = await self._objects.get(address.key)
        container = query.get("container") or _first_container(pod)
        if not _CONTAINER.fullmatch(container):
            raise BadRequest(f"container {container[:80]!r} is not valid")
        tail = streaming.whole_number(query.get("tailLines"), name="tailLines")
        is_previous = query.get("previous") == "true"
        path = self._logs.path(address.namespace, address.name, container, is_previous=is_previous)
        if path is None:
            if pod is None:
                raise failures.missing(address)
            if is_previous:
                raise BadRequest(
                    f"previous terminated container {container!r} in pod {address.name!r} not found"
                )
            return Response(b"", media_type="text/plain")
        lines = streaming.read_log(path, tail=tail)
        if query.get("follow") == "true" and not is_previous:
            lines = streaming.follow_log(
                # Looked up each time: what a pod that ended has written may lie elsewhere.
                lambda: self._logs.path(address.namespace, address.name, container),
                tail=tail,
                goes_on=lambda: self._goes_on(address),
            )
        return StreamingResponse(lines, media_type="text/plain")

    async def _goes_on(self, address: Address) -> bool:
        """Whether a pod may still write."""
        if self._logs.goes_on(address.namespace, address.name):
            return True
        pod = await self._objects.get(address.key)
        return pod is not None and (pod.get("status") or {}).get("phase") not in _ENDED


def _verb(request: Request, address: Address) -> str:
    """The verb that a rule must allow."""
    if request.method == "GET" and not address.name:
        return "watch" if _is_watch(request) else "list"
    return _VERBS[request.method]


def _is_watch(request: Request) -> bool:
    return request.query_params.get("watch", "").lower() in ("true", "1")


def _choice(request: Request) -> Choice:
    query = request.query_params
    return streaming.choice(
        labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")
    )


def _refuse_dry_run(request: Request) -> None:
    # Better no answer than a write that was only to be tried.
    if request.query_params.get("dryRun"):
        raise BadRequest("dryRun is not served here; use --dry-run=client")


def _written(obj: Object, request: Request, *, code: int = 200) -> Response:
    """The response to a write: the object, but no secret to somebody who may not read it."""
    identity: Identity = request.state.identity
    if obj["kind"] == "Secret" and not identity.is_operator:
        obj = {name: value for name, value in obj.items() if name not in ("data", "stringData")}
    return failures.json_response(obj, code=code)


def _first_container(pod: Object | None) -> str:
    containers = ((pod or {}).get("spec") or {}).get("containers") or [{}]
    return str(containers[0].get("name", _DEFAULT_CONTAINER))
