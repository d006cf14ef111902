"""Faults on command: what should go wrong, for which requests, how often."""

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
    "left_open",
    "less_held",
    "400",
    "401",
    "429",
    "500",
]


class Match(BaseModel):
    """Which requests a fault meets; what is left out matches all."""

    model_config = ConfigDict(extra="forbid")

    operation: str | None = None
    metadata_order_id: str | None = None
    reference: str | None = None

    def meets(self, operation: str, subject: str | None) -> bool:
        """The subject is what the provider knows an order by: metadata at the payment's, reference at the carrier's."""
        wanted = self.metadata_order_id or self.reference
        return self.operation in (None, operation) and wanted in (None, subject)


class Fault(BaseModel):
    """One fault, in the words of `POST /_control/faults`.

    latency        works, `seconds` late, or as soon as all faults are disarmed (the key is in use meanwhile: a twin gets
                   409)
    fail_before    503 at the door: nothing done, nothing stored
    timeout_before silence for `seconds` and a closed connection: nothing done, nothing stored
    400            called wrong at the door, by the payment provider alone: nothing done, nothing stored
    401            our key is turned away at the door (the payment provider's alone)
    429            429 at the door with Retry-After when `seconds` is set: nothing done, nothing stored
    500            nothing done, but the 500 is stored under the key and replayed
    error_after    everything done, a 500 stored under the key and replayed
    less_held      works, but with an amount of one minor unit less (the payment provider's alone)
    left_open      a payment opened and not confirmed, a 500 stored under the key (the payment provider's alone)
    timeout_after  everything done and stored, then silence for `seconds` and a closed connection
    """

    model_config = ConfigDict(extra="forbid")

    match: Match = Field(default_factory=Match)
    kind: Kind
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    id: int = 0
    # How often it really struck, for tests that must prove that their fault happened.
    hits: int = 0


class Faults:
    """The faults of this process; a restart forgets them, as one expects of a control switch."""

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
        """The first armed fault that meets this request; taking it uses it up once."""
        for fault in self._faults:
            if fault.hits < fault.times and fault.kind in kinds and fault.match.meets(operation, subject):
                fault.hits += 1
                return fault
        return None


def fault_router(faults: Faults) -> APIRouter:
    """Arm, look at and disarm faults over HTTP."""
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
