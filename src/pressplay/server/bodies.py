"""Request bodies: read within a limit, decoded by their content type."""

from __future__ import annotations

from starlette.requests import Request

from pressplay.base import documents, yaml_documents
from pressplay.base.errors import Refused
from pressplay.cluster.port import Object
from pressplay.server.failures import BadRequest, Failure

LIMIT = 3 * 1024 * 1024
"""Largest body in bytes; Kubernetes has the same limit."""

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = ("application/apply-patch+yaml", "application/apply-patch+cbor")
PATCHES = (MERGE, STRATEGIC, APPLY[0])

_JSON = ("application/json", MERGE, STRATEGIC, "")
_YAML = ("application/yaml", APPLY[0])


async def read_object(request: Request) -> Object:
    """The object in the body. Raises Failure for one that is too large, or none."""
    return _decode(await _read(request), content_type(request))


async def read_optional(request: Request) -> Object:
    """As `read_object`, where a request may come without a body."""
    data = await _read(request)
    return _decode(data, content_type(request)) if data.strip() else {}


def content_type(request: Request) -> str:
    """The media type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(request: Request) -> bytes:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > LIMIT:
            message = f"Request entity too large: limit is {LIMIT}"
            raise Failure(message, code=413, reason="RequestEntityTooLarge")
    return bytes(data)


def _decode(data: bytes, media: str) -> Object:
    if media not in _JSON + _YAML:
        message = f"the body is of type {media[:80]!r}; send application/json"
        raise Failure(message, code=415, reason="UnsupportedMediaType")
    try:
        # Clients call JSON by the name of YAML too, which it is.
        if media in _YAML and not data.lstrip().startswith(b"{"):
            value = yaml_documents.read_yaml(data.decode(), source="the body")
        else:
            value = documents.read_json(data, source="the body")
    except (Refused, UnicodeDecodeError) as error:
        raise BadRequest(f"the object provided is unrecognized: {error}") from error
    if not isinstance(value, dict):
        raise BadRequest("the object provided is unrecognized: the body is no object")
    return value
