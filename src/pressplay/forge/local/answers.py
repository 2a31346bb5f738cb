"""How the local forge says no: GitHub's status codes and GitHub's error shape."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pressplay.forge.local import storage

DOCUMENTATION = "https://docs.github.com/rest"
NOT_FOR_APPS = "Resource not accessible by integration"


class ProblemError(Exception):
    """An answer that is no: status, message, and what GitHub puts under `errors`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: tuple[Mapping[str, str] | str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


def not_found() -> ProblemError:
    """Also what GitHub says of things that the asker may not see."""
    return ProblemError(404, "Not Found")


def invalid(resource: str, *, message: str = "", field: str = "", code: str = "") -> ProblemError:
    """422 with one finding, as GitHub's validation writes it."""
    finding = {"resource": resource, "code": code or "custom"}
    if field:
        finding["field"] = field
    if message:
        finding["message"] = message
    return ProblemError(422, "Validation Failed", errors=(finding,))


def too_long(resource: str, *, field: str, most: int) -> ProblemError:
    """422 for a text beyond GitHub's limit."""
    message = f"{field} is too long (maximum is {most} characters)"
    return invalid(resource, message=message, field=field)


async def on_problem(_request: Request, error: Exception) -> Response:
    """Starlette's handler for ProblemError."""
    if not isinstance(error, ProblemError):
        raise error
    document: dict[str, object] = {
        "message": error.message,
        "documentation_url": DOCUMENTATION,
        "status": str(error.status),
    }
    if error.errors:
        document["errors"] = list(error.errors)
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if error.status == 401 else None
    return JSONResponse(document, status_code=error.status, headers=headers)


async def on_storage_error(request: Request, error: Exception) -> Response:
    """The forge's own disk: 507 where it is full (RFC 4918, section 11.5)."""
    if not storage.is_full(error):
        raise error
    return await on_problem(request, ProblemError(507, "No space left on device"))


async def on_http_error(request: Request, error: Exception) -> Response:
    """No route, or no such verb on it: GitHub says 404 to both."""
    if not isinstance(error, HTTPException):
        raise error
    status = 404 if error.status_code == 405 else error.status_code
    message = "Not Found" if status == 404 else error.detail
    return await on_problem(request, ProblemError(status, message))
