"""What a request that cannot be served is answered with: one shape, one status and one code for every kind of error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError as BadValueError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import Response

from quorate.errors import (
    ConflictError,
    DataError,
    ForbiddenError,
    NotFoundError,
    QuorateError,
    SignInError,
    StoreError,
)
from quorate.store.log import note_audit

Code = Literal[
    "not_found",
    "conflict",
    "invalid",
    "forbidden",
    "unauthorized",
    "too_many",
    "too_large",
    "method_not_allowed",
    "unsupported",
    "unavailable",
]
STATUS_OF: Mapping[type[QuorateError], int] = {  # the first that fits
    NotFoundError: 404,
    ConflictError: 409,
    SignInError: 401,
    ForbiddenError: 403,
    StoreError: 503,
    QuorateError: 422,
}
CODE_OF: Mapping[int, Code] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported",
    422: "invalid",
    429: "too_many",
    503: "unavailable",
}
MOST_ROWS = 100  # of an upload are told


class RowProblem(BaseModel):
    """What is wrong with one row of an upload."""

    row: int
    column: str | None = None
    message: str


class Problem(BaseModel):
    """Why a request was not served."""

    code: Code
    message: str
    path: str | None = Field(default=None, description="Where in the request, such as body.answers[0].label")
    rows: list[RowProblem] | None = Field(
        default=None, description="Of an upload: the rows that are wrong, the first hundred"
    )


class ProblemBody(BaseModel):
    """Every answer that is no success."""

    error: Problem


class Documented(TypedDict):
    """An answer as OpenAPI's documents name it."""

    description: str
    model: NotRequired[type[BaseModel]]


class Refusal(HTTPException):
    """A request is refused with this status; where in the request, and which rows of an upload, are told beside."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        path: str | None = None,
        rows: Sequence[RowProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.path = path
        self.rows = rows


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a router's `responses`: the problems that its routes may answer with."""
    return {status: {"model": ProblemBody, "description": CODE_OF[status].replace("_", " ")} for status in statuses}


PROBLEMS = documented(401, 403, 404, 409, 413, 422, 429, 503)


def add_handlers(app: FastAPI) -> None:
    """Teach the app to answer every error in that one shape."""
    app.add_exception_handler(QuorateError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(BadValueError, _of_value)
    app.add_exception_handler(OperationalError, _of_database)
    app.add_exception_handler(PoolTimeoutError, _of_database)


def problem(
    status: int,
    message: str,
    *,
    path: str | None = None,
    rows: Sequence[RowProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer."""
    error: dict[str, Any] = {"code": CODE_OF.get(status, "invalid"), "message": message}
    error |= {"path": path} if path else {}
    error |= {"rows": [row.model_dump() for row in rows[:MOST_ROWS]]} if rows else {}
    body = json.dumps({"error": error}).encode()
    return Response(body, status, dict(headers or {}), media_type="application/json")


# ---- handlers -------------------------------------------------------------------------------------------------------
async def _of_ours(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUS_OF.items() if isinstance(error, kind))
    if isinstance(error, DataError):
        return problem(status, str(error), path=_path_of(error))
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return _audited(request, status, problem(status, str(error), headers=headers))


async def _of_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = first["loc"] if first["type"] != "json_invalid" else ("body",)
    return problem(422, f"{_written(place)}: {first['msg']}", path=_written(place))


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code < 400:  # a page sends its reader elsewhere
        return Response(None, error.status_code, error.headers)
    status = 422 if error.status_code == 400 else error.status_code
    path = error.path if isinstance(error, Refusal) else ("body" if error.status_code == 400 else None)
    rows = error.rows if isinstance(error, Refusal) else ()
    return _audited(request, status, problem(status, error.detail, path=path, rows=rows, headers=error.headers))


async def _of_value(_request: Request, _error: Exception) -> Response:
    return problem(422, "a value is of a kind or size that the database does not hold")


async def _of_database(_request: Request, _error: Exception) -> Response:
    return problem(503, "the database does not answer; try again in a moment", headers={"Retry-After": "2"})


def _audited(request: Request, status: int, response: Response) -> Response:
    """The same answer; what somebody who is signed in was refused is written down after it was sent."""
    principal = request.scope.get("state", {}).get("principal")
    service = getattr(request.app.state, "service", None)
    guessed = status == 404 and request.method not in {"GET", "HEAD"}
    if principal is None or service is None or not (status == 403 or guessed):
        return response
    target = f"{request.method} {request.url.path}"

    def write() -> None:
        service.database.write(
            lambda connection: note_audit(
                connection, principal.id, "refused", target, {"status": status}, now=service.clock()
            )
        )

    response.background = BackgroundTask(write)
    return response


def _path_of(error: DataError) -> str | None:
    parts = [*([f"rows[{error.row}]"] if error.row is not None else []), *([error.column] if error.column else [])]
    return ".".join(["body", *parts]) if parts else None


def _written(place: Sequence[str | int]) -> str:
    """As `body.answers[0].label`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).removeprefix(".")
