"""One order as a test of workflows drives and sees it."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import sqlalchemy as sa
import uuid_utils
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import parcels
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.base import Address
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutResult
from schemas.fulfilment import CarrierEvent
from schemas.order_requests import CancelOrder
from schemas.orders import OrderEvent, OrderView
from schemas.payments import PaymentAnswer, PaymentResult, RetryPayment
from schemas.provider_calls import PaymentAction
from schemas.provider_events import ProviderEvent
from tests.workflows.waiting import Handle, until, until_started
from workflows.names import ORDERS_QUEUE, fulfilment_workflow_id, order_workflow_id, payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow
from workflows.payments.payment import PaymentWorkflow

MOVED_BY_HAND = "11111"  # the carrier simulator leaves a parcel to this postal code where it is
UNDELIVERABLE = "00000"  # the carrier simulator refuses this postal code


@dataclass
class Order:
    input: CheckoutInput
    handle: WorkflowHandle[CheckoutWorkflow, CheckoutResult]
    client: Client
    connections: Connections

    @property
    def id(self) -> str:
        return self.input.order_id

    @property
    def payment(self) -> WorkflowHandle[PaymentWorkflow, PaymentResult]:
        return self.client.get_workflow_handle(payment_workflow_id(self.id), result_type=PaymentResult)

    def parcel(self, number: int = 1) -> Handle:
        return self.client.get_workflow_handle(fulfilment_workflow_id(self.id, number))

    async def first_answer(self) -> CheckoutAnswer:
        return await self.handle.execute_update(CheckoutWorkflow.first_answer)

    async def pay(self, method: str = "pm_card_visa") -> PaymentAnswer:
        return await self.handle.execute_update(CheckoutWorkflow.retry_payment, RetryPayment(payment_method=method))

    async def cancel(self, request: CancelOrder) -> OrderStatus:
        return OrderStatus((await self.handle.execute_update(CheckoutWorkflow.cancel, request)).status)

    async def provider_event(
        self, event_type: str = "payment_intent.amount_capturable_updated", intent: str | None = None
    ) -> None:
        """As the API does for a verified webhook."""
        event = ProviderEvent(
            event_id=f"evt_{uuid_utils.uuid7().hex}", type=event_type, provider_id=intent or self.intent()
        )
        await until_started(self.payment)
        await self.payment.signal(PaymentWorkflow.provider_event, event)

    async def carrier_event(self, status: ParcelStatus, parcel: int = 1) -> None:
        event = CarrierEvent(event_id=str(uuid_utils.uuid7()), status=status, occurred_at=datetime.now(UTC))
        await until_started(self.parcel(parcel))
        await self.parcel(parcel).signal(FulfilmentWorkflow.carrier_event, event)

    async def delivered_all(self) -> None:
        """The carrier delivers every parcel; waits until all is settled."""
        for parcel in self.view().parcels:
            await self.carrier_event(ParcelStatus.DISPATCHED, parcel.number)
            await self.carrier_event(ParcelStatus.DELIVERED, parcel.number)
        await self.handle.result()

    async def delivered(self) -> OrderView:
        """The carrier delivers the one parcel; waits until all is settled."""
        await self.carrier_event(ParcelStatus.DISPATCHED)
        await self.carrier_event(ParcelStatus.DELIVERED)
        await self.handle.result()
        return self.view()

    async def until(self, *statuses: OrderStatus) -> None:
        await until(lambda: self.view().status in statuses)

    def action(self) -> PaymentAction:
        """What its customer has to do for the payment."""
        action = self.view().payment_action
        assert action is not None
        return action

    def intent(self) -> str:
        """What the provider calls the payment whose customer it waits for."""
        secret = self.action().client_secret
        assert secret is not None
        return secret.partition("_secret_")[0]

    def view(self) -> OrderView:
        view = OrderStore(self.connections.engine).get(self.id)
        assert view is not None
        return view

    def recorded(self) -> bool:
        return OrderStore(self.connections.engine).get(self.id) is not None

    def events(self) -> list[OrderEvent]:
        events = OrderStore(self.connections.engine).history(self.id).items
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    def event_types(self) -> list[str]:
        return [event.type for event in self.events()]

    def last_event(self, event_type: str) -> OrderEvent:
        return next(event for event in reversed(self.events()) if event.type == event_type)

    def money(self) -> dict[EntryKind, int]:
        sums = dict.fromkeys(EntryKind, 0)
        for entry in Ledger(self.connections.engine).entries(self.id):
            sums[entry.kind] += entry.amount
        return sums

    def ledger(self) -> Counter[tuple[str, int]]:
        """The entries of its ledger that move money, by kind and amount."""
        entries = Ledger(self.connections.engine).entries(self.id)
        return Counter((entry.kind.value, entry.amount) for entry in entries if entry.amount)

    def dispatched_amount(self) -> int:
        """What the dispatched parcels carry of the total."""
        query = sa.select(parcels.c.status, parcels.c.amount).where(parcels.c.order_id == self.id)
        with self.connections.engine.connect() as connection:
            rows = connection.execute(query).all()
        return sum(row.amount for row in rows if ParcelStatus(row.status).was_dispatched)

    def reserved(self) -> int:
        stock = Stock(self.connections.engine)
        return sum(level.reserved for line in self.input.lines for level in stock.levels(line.sku))

    def available(self) -> int:
        stock = Stock(self.connections.engine)
        return sum(level.available for line in self.input.lines for level in stock.levels(line.sku))


class Place(Protocol):
    """Starts a CheckoutWorkflow for some units of some SKUs; `fields` are those of CheckoutInput, and `postal_code`."""

    async def __call__(self, lines: dict[str, int], **fields: object) -> Order: ...


async def place_order(client: Client, connections: Connections, lines: dict[str, int], **fields: object) -> Order:
    order = order_input(lines, **fields)
    handle = await client.start_workflow(
        CheckoutWorkflow.run, order, id=order_workflow_id(order.order_id), task_queue=ORDERS_QUEUE
    )
    return Order(order, handle, client, connections)


def order_input(lines: dict[str, int], **fields: object) -> CheckoutInput:
    postal_code = str(fields.pop("postal_code", MOVED_BY_HAND))
    defaults: dict[str, object] = {
        "order_id": str(uuid_utils.uuid7()),
        "customer_id": str(uuid_utils.uuid7()),
        "email": "customer@shop.example.com",
        "cart_id": str(uuid_utils.uuid7()),
        "cart_version": 1,
        "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()],
        "shipping_address": Address(
            name="Test Customer", line1="Teststraße 1", city="Berlin", postal_code=postal_code, country="DE"
        ),
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
    }
    return CheckoutInput.model_validate(defaults | fields)


def refusal(error: WorkflowUpdateFailedError) -> object:
    """The code an update was refused with."""
    return getattr(error.cause, "type", None)
