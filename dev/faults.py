"""Faults on command: how a request fails, for which requests, how often."""

import asyncio
import itertools
from contextlib import suppress
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "latency",
    "fail_before",
    "timeout_before",
    "timeout_after",
    "error_after",
    "unconfirmed",
    "amount_lowered",
    "400",
    "401",
    "403",
    "404",
    "408",
    "409",
    "422",
    "425",
    "429",
    "500",
    "malformed",
    "lacking",
    "too_long",
]


class Match(BaseModel):
    """Which requests a fault applies to; what is left out matches all."""

    model_config = ConfigDict(extra="forbid")

    operation: str | None = None
    metadata_order_id: str | None = None
    reference: str | None = None

    def matches(self, operation: str, subject: str | None) -> bool:
        """Whether it applies; the subject is the order id in the payment's metadata, or the carrier's reference."""
        expected = self.metadata_order_id or self.reference
        return self.operation in (None, operation) and expected in (None, subject)


class Fault(BaseModel):
    """One fault; the body of `POST /_control/faults`.

    latency         works, after `seconds` or when all faults are disarmed (the same key gets 409 meanwhile)
    fail_before     503: nothing done, nothing stored
    timeout_before  no answer for `seconds`, then a closed connection: nothing done, nothing stored
    400             an invalid request: nothing done, nothing stored
    401             an invalid API key
    403 … 425       the carrier only: nothing done, nothing stored, with `code` in the answer; 404 is a gateway's page
    429             429, with Retry-After when `seconds` is set: nothing done, nothing stored
    500             nothing done, but the 500 is stored under the key and replayed
    error_after     everything done, a 500 stored under the key and replayed
    amount_lowered  works, but with an amount of one minor unit less (payment provider only)
    unconfirmed     a payment created and not confirmed, a 500 stored under the key (payment provider only)
    malformed       the carrier only: everything done, an answer that is no JSON
    lacking         the carrier only: everything done, an answer without `field`
    too_long        the carrier only: everything done, an answer with 1,000 characters in `field`
    timeout_after   everything done and stored, then no answer for `seconds` and a closed connection
    """

    model_config = ConfigDict(extra="forbid")

    match: Match = Field(default_factory=Match)
    kind: Kind
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    code: str | None = None
    field: str = "id"
    id: int = 0
    # How often it was applied, for tests that must prove that their fault happened.
    hits: int = 0


class Faults:
    """The faults of this process; a restart resets them."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._disarmed = asyncio.Event()

    def add(self, fault: Fault) -> Fault:
        """Arm one fault."""
        armed = fault.model_copy(update={"id": next(self._ids), "hits": 0})
        self._faults.append(armed)
        return armed

    def all(self) -> list[Fault]:
        """Every fault since the last clearing, spent ones included, with its hits."""
        return list(self._faults)

    def clear(self) -> None:
        """Disarm everything."""
        self._faults.clear()
        self._disarmed.set()
        self._disarmed = asyncio.Event()

    async def delay(self, fault: Fault) -> None:
        """Wait `seconds`, or until all faults are disarmed: a test says so when it has done what must come before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await self._disarmed.wait()

    def take(self, kinds: tuple[Kind, ...], operation: str, subject: str | None) -> Fault | None:
        """The first armed fault that applies to this request; taking it uses it up once."""
        for fault in self._faults:
            if fault.hits < fault.times and fault.kind in kinds and fault.match.matches(operation, subject):
                fault.hits += 1
                return fault
        return None


def fault_router(faults: Faults) -> APIRouter:
    """Arm, list and disarm faults over HTTP."""
    router = APIRouter()

    @router.post("/_control/faults", status_code=201)
    async def arm(fault: Fault) -> Fault:
        return faults.add(fault)

    @router.get("/_control/faults")
    async def armed() -> list[Fault]:
        return faults.all()

    @router.delete("/_control/faults", status_code=204)
    async def disarm() -> None:
        faults.clear()

    return router
