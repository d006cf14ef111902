"""What every request passes: the check of its key, and the faults that are set for it."""

import asyncio
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from dev.carrier_simulator.wire import CarrierError, Json
from dev.faults import Fault, Faults, Kind
from dev.service import LostConnection

Work = Callable[[], Response]


# Faults that are an answer, with nothing done, and the code each has when the fault names none.
_REFUSALS: dict[Kind, tuple[int, str]] = {
    "fail_before": (503, "internal_error"),
    "400": (400, "bad_request"),
    "401": (401, "unauthorized"),
    "403": (403, "forbidden"),
    "404": (404, "not_found"),
    "408": (408, "request_timeout"),
    "409": (409, "request_in_progress"),
    "422": (422, "unprocessable"),
    "425": (425, "too_early"),
    "429": (429, "rate_limited"),
    "500": (500, "internal_error"),
}
# Faults of the answer to what was done.
_SPOILED: tuple[Kind, ...] = ("malformed", "lacking", "too_long")
_KINDS: tuple[Kind, ...] = (
    *_REFUSALS,
    *_SPOILED,
    "latency",
    "timeout_before",
    "error_after",
    "timeout_after",
)


class InFlight:
    """The keys of requests that still run: a second request under one of them is turned away."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    @contextmanager
    def only(self, key: str) -> Iterator[None]:
        """Let no other request of this key in meanwhile."""
        if key in self._keys:
            raise CarrierError(409, "request_in_progress", "A request with this Idempotency-Key is still running.")
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)


def require_key(request: Request, api_key: str) -> None:
    """Refuse a request without the bearer key."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), api_key.encode()):
        raise CarrierError(401, "unauthorized", "A valid API key is required as a bearer token.")


async def with_faults(faults: Faults, operation: str, reference: str | None, work: Work) -> Response:
    """Do the work, or fail as an armed fault requires.

    Unlike at the payment provider no error is kept under a key: a retry finds the booking itself.
    """
    fault = faults.take(_KINDS, operation, reference)
    if fault is None:
        return work()
    if fault.kind in _REFUSALS:
        return _refusal(fault)
    if fault.kind in _SPOILED:
        return _spoiled(fault, work())
    if fault.kind == "latency":
        await faults.delay(fault)
        return work()
    if fault.kind != "timeout_before":
        work()
    if fault.kind == "error_after":
        return problem(CarrierError(500, "internal_error", "Injected by the simulator."))
    await asyncio.sleep(fault.seconds)
    return LostConnection()


def _refusal(fault: Fault) -> Response:
    status, code = _REFUSALS[fault.kind]
    if status == 404 and not fault.code:  # a gateway's page
        return HTMLResponse("<h1>404 Not Found</h1>", status_code=status)
    headers = {"Retry-After": str(max(1, round(fault.seconds)))} if fault.seconds else None
    return problem(CarrierError(status, fault.code or code, "Injected by the simulator: nothing was done."), headers)


def _spoiled(fault: Fault, answer: Response) -> Response:
    if fault.kind == "malformed":
        return PlainTextResponse("{", status_code=answer.status_code)
    body: Json = json.loads(bytes(answer.body))
    for part in body.get("data", [body]):
        if fault.kind == "lacking":
            part.pop(fault.field)
        else:
            part[fault.field] = "x" * 1000
    return JSONResponse(body, status_code=answer.status_code)


def problem(error: CarrierError, headers: dict[str, str] | None = None) -> Response:
    """A refusal as JSON."""
    body: Json = error.body
    return JSONResponse(body, status_code=error.status, headers=headers)
