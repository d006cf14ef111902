"""What every request passes: the check of its key, and the faults that are set for it."""

import asyncio
import hmac
from collections.abc import Callable

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from dev.carrier_simulator.wire import CarrierError, Json
from dev.faults import Faults, Kind
from dev.service import LostConnection

Work = Callable[[], Response]


_KINDS: tuple[Kind, ...] = (
    "latency",
    "fail_before",
    "timeout_before",
    "429",
    "500",
    "error_after",
    "timeout_after",
)


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
    if fault.kind == "429":
        headers = {"Retry-After": str(max(1, round(fault.seconds)))} if fault.seconds else None
        return problem(CarrierError(429, "rate_limited", "Too many requests."), headers)
    if fault.kind in ("fail_before", "500"):
        status = 503 if fault.kind == "fail_before" else 500
        return problem(CarrierError(status, "internal_error", "Injected by the simulator: nothing was done."))
    if fault.kind == "latency":
        await asyncio.sleep(fault.seconds)
        return work()
    if fault.kind != "timeout_before":
        work()
    if fault.kind == "error_after":
        return problem(CarrierError(500, "internal_error", "Injected by the simulator."))
    await asyncio.sleep(fault.seconds)
    return LostConnection()


def problem(error: CarrierError, headers: dict[str, str] | None = None) -> Response:
    """A refusal as JSON."""
    body: Json = error.body
    return JSONResponse(body, status_code=error.status, headers=headers)
