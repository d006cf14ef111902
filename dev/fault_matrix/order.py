"""The order a scenario is played on: what its customer, staff and their actions need to know and do."""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError

from adapters.mysql.orders.orders import OrderStore
from dev.fault_matrix.faults import CarrierAnswer, CarrierFault, Fault, Faults
from dev.fault_matrix.oracle import Sides
from domain.fulfilment import parcel_reference
from domain.orders import FINAL_STATUSES
from schemas.checkout import CheckoutResult
from schemas.order_requests import CancelOrder
from schemas.orders import OrderView
from workers.service_client import ServiceClient
from workflows.orders.checkout import CheckoutWorkflow

CUSTOMER, STAFF, REASON = "customer:matrix", "staff:matrix", "fault matrix"


@dataclass(frozen=True)
class Environment:
    """What all orders of a run share."""

    client: Client
    sides: Sides
    faults: Faults
    staff: ServiceClient
    provider_key: str
    seed: int


class OrderUnderTest:
    """One order, and the fault that is to strike it; `amount` and `units` are what its actions refund and receive."""

    def __init__(self, environment: Environment, fault: Fault, sku: str, amount: int = 0, units: int = 0) -> None:
        self.environment, self.fault, self.sku = environment, fault, sku
        self.amount, self.units = amount, units
        self.order_id, self.follow_up_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.cancelled = self.received = False
        self.errors: list[str] = []
        self._armed = ""
        self._at_carrier: CarrierFault | None = None
        self._handle: WorkflowHandle[Any, CheckoutResult] | None = None

    @property
    def handle(self) -> WorkflowHandle[Any, CheckoutResult]:
        """The order's workflow."""
        assert self._handle is not None, "it is placed first"
        return self._handle

    def follow(self, handle: WorkflowHandle[Any, CheckoutResult]) -> None:
        """Another workflow looks after the order from now on."""
        self._handle = handle

    def arm(self, subject: str) -> None:
        """Have the fault strike in the workflow whose id contains this one, or at the carrier of its first parcel."""
        self._armed = subject
        if isinstance(self.fault.kind, CarrierAnswer):
            self._at_carrier = CarrierFault(self.environment.sides.carrier, parcel_reference(subject, 1), self.fault)
        else:
            self.environment.faults.arm(subject, self.fault)

    def has_struck(self) -> bool:
        """Whether the fault has struck."""
        if self._at_carrier is not None:
            return self._at_carrier.struck()
        return bool(self._armed) and self.environment.faults.struck(self._armed)

    async def struck(self) -> None:
        """Wait until the fault has struck."""
        while not await asyncio.to_thread(self.has_struck):  # noqa: ASYNC110 - another process strikes
            await asyncio.sleep(0.2 if self._at_carrier else 0.02)

    async def cancel(self) -> None:
        """Cancel as its customer."""
        request = CancelOrder(actor=CUSTOMER, reason=REASON)
        with suppress(WorkflowUpdateFailedError, RPCError):  # it is too late, or it has ended
            await self.handle.execute_update(CheckoutWorkflow.cancel, request)
            self.cancelled = True

    async def order_when(self, ready: Callable[[OrderView], object], *, final: bool = True) -> OrderView:
        """The order, as soon as it is ready, or at its end."""
        while True:
            order = await asyncio.to_thread(self.order)
            if order is not None and (ready(order) or (final and order.status in FINAL_STATUSES)):
                return order
            await asyncio.sleep(0.1)

    def order(self) -> OrderView | None:
        """The order as the database has it."""
        return OrderStore(self.environment.sides.stores.engine).get(self.order_id)
