"""Every failure as RFC 9457 problem details: one table from failures to statuses."""

from collections.abc import Mapping
from typing import Any

import elasticsearch
import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from adapters.failures import OUTAGES
from domain import errors as business
from schemas.base import Problem
from schemas.problem_codes import ProblemCode
from temporal_clients.errors import TemporalAway, UpdateRefused, is_temporal_away

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 5

# The first class that fits decides, so a special failure stands before the general one it belongs to.
_STATUS: tuple[tuple[type[business.BusinessError | UpdateRefused], int], ...] = (
    (UpdateRefused, 409),
    (business.NotFound, 404),
    (business.StaleVersion, 412),
    (business.Conflict, 409),
    (business.InvalidRequest, 422),
    (business.BusinessError, 422),
)
_CODES: dict[int, str] = {
    400: ProblemCode.BAD_REQUEST,
    401: ProblemCode.NOT_AUTHENTICATED,
    403: ProblemCode.FORBIDDEN,
    404: business.NotFound.code,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.BODY_TOO_LARGE,
    415: ProblemCode.UNSUPPORTED_MEDIA_TYPE,
    422: business.InvalidRequest.code,
    429: ProblemCode.TOO_MANY_REQUESTS,
    503: ProblemCode.UNAVAILABLE,
}
_DESCRIPTIONS = {
    400: "The request is malformed",
    401: "Not signed in",
    402: "The payment was declined",
    403: "Not allowed",
    404: "Not found",
    409: "Conflicts with the current state",
    412: "Changed since it was read",
    413: "The body is too large",
    415: "Unsupported media type",
    422: "The request cannot be carried out as it is",
    428: "If-Match is missing",
    429: "Too many requests",
    503: "Temporarily unavailable; try again",
}
_log = structlog.get_logger(__name__)


class HttpProblem(Exception):
    """A refusal that only makes sense in HTTP, or one whose code comes from elsewhere."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = str(code)
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})


class Unavailable(HttpProblem):
    """A part the answer depends on is away; the same request may be sent again."""

    def __init__(self, detail: str = "A part of the shop is not available at the moment. Please try again.") -> None:
        super().__init__(503, ProblemCode.UNAVAILABLE, detail, {"Retry-After": str(RETRY_SECONDS)})


class NotAccepted(HttpProblem):
    """A workflow has not accepted a request in time, and may still do so: a repeat under the same key is safe."""

    def __init__(self, key: str) -> None:
        detail = "The request was not accepted in time. Send it again with this Idempotency-Key."
        headers = {"Retry-After": str(RETRY_SECONDS)}
        super().__init__(503, ProblemCode.UNAVAILABLE, detail, headers, {"idempotency_key": key})


def http_problem(error: business.BusinessError | UpdateRefused) -> HttpProblem:
    """A refusal of the business or of a workflow as a problem; its details become members of it."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    members = error.details if isinstance(error, business.BusinessError) else {}
    return HttpProblem(status, error.code, error.message, members=members)


def status_of_code(code: str | None) -> int:
    """The status for a code that arrives without its exception, as from a workflow."""
    kinds = [business.BusinessError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    found = next((kind for kind in kinds if kind.code == code), business.InvalidRequest)
    return next(status for base, status in _STATUS if issubclass(found, base))


def problem_body(problem: HttpProblem, instance: str) -> dict[str, Any]:
    """The problem as JSON values."""
    body: dict[str, Any] = {
        "type": f"urn:order-engine:problem:{problem.code}",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "instance": instance,
    }
    members: dict[str, Any] = jsonable_encoder(problem.members)
    return body | {name: value for name, value in members.items() if name not in body}


def problem_response(problem: HttpProblem, request: Request) -> JSONResponse:
    """The problem as an answer to this request."""
    body = problem_body(problem, request.url.path)
    return JSONResponse(body, problem.status, headers=problem.headers, media_type=PROBLEM_JSON)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route declares in OpenAPI about how it refuses."""
    schema = {"schema": Problem.model_json_schema()}
    return {status: {"description": _DESCRIPTIONS[status], "content": {PROBLEM_JSON: schema}} for status in statuses}


def install_error_handlers(app: FastAPI) -> None:
    """Have every failure of the app answered as a problem."""
    app.add_exception_handler(HttpProblem, _on_problem)
    app.add_exception_handler(business.BusinessError, _on_refusal)
    app.add_exception_handler(UpdateRefused, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(RPCError, _on_temporal)
    app.add_exception_handler(RuntimeError, _on_temporal)
    app.add_exception_handler(elasticsearch.ApiError, _on_search)
    for outage in (*OUTAGES, TemporalAway):
        app.add_exception_handler(outage, _on_outage)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HttpProblem)
    return problem_response(error, request)


async def _on_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, business.BusinessError | UpdateRefused)
    return problem_response(http_problem(error), request)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return problem_response(HttpProblem(error.status_code, code, str(error.detail), error.headers), request)


async def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem_response(HttpProblem(400, ProblemCode.MALFORMED_JSON, "The body is not valid JSON."), request)
    # What was sent is left out: it may be a password.
    errors = [{"pointer": "/".join(map(str, one["loc"])), "code": one["type"], "detail": one["msg"]} for one in found]
    detail = f"{len(errors)} part(s) of the request are not valid; see `errors`."
    return problem_response(HttpProblem(422, business.InvalidRequest.code, detail, members={"errors": errors}), request)


async def _on_outage(request: Request, error: Exception) -> JSONResponse:
    _log.warning(
        "a store or Temporal is not available", path=request.url.path, kind=type(error).__name__, error=str(error)[:500]
    )
    return problem_response(Unavailable(), request)


async def _on_temporal(request: Request, error: Exception) -> JSONResponse:
    if not is_temporal_away(error):
        raise error
    return await _on_outage(request, error)


async def _on_search(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, elasticsearch.ApiError)
    # 404 is an index that nobody has built yet: for the customer that is an outage, not a wrong address.
    away = error.status_code in (404, 429) or error.status_code >= 500
    if not away:
        raise error
    return await _on_outage(request, error)


def bug_response(request: Request, error: Exception) -> JSONResponse:
    """Say nothing of what went wrong to the client, everything to the log."""
    _log.error("a request failed", path=request.url.path, method=request.method, exc_info=error)
    problem = HttpProblem(500, ProblemCode.INTERNAL_ERROR, "Something went wrong on our side. Please try again later.")
    return problem_response(problem, request)
