"""What goes wrong, as Kubernetes tells it: a Status object with a reason and a code.

    Failure                      any of them, with the code to answer
    ├── Unauthorized 401         no token, or one that nobody gave out
    ├── Forbidden    403         a known identity without the right
    ├── BadRequest   400         a request that cannot be read
    └── Invalid      422         an object that breaks its kind's rules

Wording and codes: k8s.io/apimachinery, package api/errors; kubectl shows the message as it is.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.cluster.port import AlreadyExists, Conflict, NotFound
from pressplay.server.addresses import Address


class Failure(Refused):
    """An answer that is no success."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, *, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.code = code or self.code
        self.reason = reason or self.reason


class Unauthorized(Failure):
    """Nobody that we know asks."""

    code = 401
    reason = "Unauthorized"


class Forbidden(Failure):
    """Somebody asks who may not."""

    code = 403
    reason = "Forbidden"


class BadRequest(Failure):
    """The request makes no sense."""

    code = 400
    reason = "BadRequest"


class Invalid(Failure):
    """The object breaks the rules of its kind."""

    code = 422
    reason = "Invalid"


def of_error(error: PressplayError, address: Address | None = None) -> Failure:
    """The failure to answer for what a store or a parser raised, in Kubernetes' words."""
    if isinstance(error, Failure):
        return error
    what = "" if address is None else address.qualified
    name = "" if address is None else f' "{address.name}"'
    match error:
        case AlreadyExists():
            return Failure(f"{what}{name} already exists", code=409, reason="AlreadyExists")
        case Conflict():
            message = (
                f"Operation cannot be fulfilled on {what}{name}: the object has been modified; "
                "please apply your changes to the latest version and try again"
            )
            return Failure(message, code=409, reason="Conflict")
        case NotFound() if address is not None and address.name:
            return missing(address)
        case NotFound():
            return Failure(str(error), code=404, reason="NotFound")
        case Unavailable():
            return Failure(str(error), code=503, reason="ServiceUnavailable")
        case _:
            return BadRequest(str(error))


def missing(address: Address) -> Failure:
    """The failure for an object that is not there."""
    message = f'{address.qualified} "{address.name}" not found'
    return Failure(message, code=404, reason="NotFound")


def status(failure: Failure) -> dict[str, Any]:
    """The Status object of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": str(failure),
        "reason": failure.reason,
        "code": failure.code,
    }


def answer(failure: Failure) -> Response:
    """The response to a failure."""
    headers = {"www-authenticate": "Bearer"} if failure.code == 401 else None
    return json_response(status(failure), code=failure.code, headers=headers)


def json_response(
    content: object, *, code: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON response."""
    return Response(
        orjson.dumps(content), status_code=code, headers=headers, media_type="application/json"
    )
