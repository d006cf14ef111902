"""Workflows on the time-skipping server, with production's workers, our real stores and other people's simulators."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import uuid_utils
from google.protobuf.duration_pb2 import Duration
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.ledger import Ledger
from dev.stack import test_server_path
from dev.testbed import Testbed
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.base import Address
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutResult, OrderLineInput
from schemas.fulfilment import CarrierEvent
from schemas.orders import OrderEvent, OrderView
from schemas.payments import PaymentAnswer, RetryPayment
from schemas.provider_events import ProviderEvent
from schemas.vouchers import NewVoucher
from workers.build_activities import build_activities
from workers.runner import WORKFLOWS, build_worker
from workflows.names import (
    ORDERS_QUEUE,
    SEARCH_ATTRIBUTES,
    fulfilment_workflow_id,
    order_workflow_id,
    payment_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.fulfilment import FulfilmentWorkflow
from workflows.payments.payment import PaymentWorkflow

MOVED_BY_HAND = "11111"  # the carrier simulator leaves such a parcel where it is
UNDELIVERABLE = "00000"  # the carrier simulator refuses such an address


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections) -> AsyncIterator[Client]:
    """A client of a time-skipping server on which production's workers poll every queue.

    One per module, because what a test has cancelled may keep a server from ever skipping time again.
    """
    async with time_skipping(connections) as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def no_webhooks(bed: Testbed) -> Iterator[None]:
    """The provider's webhooks get lost: where an API listens, because other tests have started one, it would begin a
    second workflow about the same dispute or refund, on the real Temporal. What a test wants told it tells itself.
    """
    address = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/webhooks"
    httpx2.put(address, json={"copies": 0}).raise_for_status()
    yield
    httpx2.delete(address).raise_for_status()


@asynccontextmanager
async def time_skipping(connections: Connections) -> AsyncIterator[Client]:
    """One more such server: what a test has cancelled may keep one from ever skipping time again."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(test_server_path()),
        test_server_startup_timeout=timedelta(seconds=60),
        data_converter=pydantic_data_converter,
    )
    async with environment, AsyncExitStack() as stack:
        # Time passes when a test says so. Waiting for the result of a workflow that has ended would let it pass as
        # well, and where nothing else is due soon, up to the ten years a server allows every workflow.
        stack.enter_context(environment.auto_time_skipping_disabled())
        client = environment.client
        attributes = {key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES}
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)  # type: ignore[arg-type]
        )
        pool = stack.enter_context(ThreadPoolExecutor(64))
        crew = build_activities(connections, client)
        for queue in WORKFLOWS:
            await stack.enter_async_context(build_worker(client, queue, crew, pool, connections.settings))
        yield client


@dataclass
class Order:
    """One order as a test drives and sees it."""

    input: CheckoutInput
    handle: WorkflowHandle[Any, CheckoutResult]
    client: Client
    connections: Connections

    async def first_answer(self) -> CheckoutAnswer:
        return await self.handle.execute_update(CheckoutWorkflow.first_answer)

    async def pay(self, method: str = "pm_card_visa") -> PaymentAnswer:
        return await self.handle.execute_update(CheckoutWorkflow.retry_payment, RetryPayment(payment_method=method))

    async def provider_tells(self, event_type: str = "payment_intent.amount_capturable_updated") -> None:
        """As the API does for a verified webhook."""
        intent = self.intent()
        event = ProviderEvent(event_id=f"evt_{uuid_utils.uuid7().hex}", type=event_type, provider_id=intent)
        payment = self.client.get_workflow_handle(payment_workflow_id(self.input.order_id))
        await payment.signal(PaymentWorkflow.provider_event, event)

    def intent(self) -> str:
        """What the provider calls the payment whose customer it waits for."""
        action = self.view().payment_action
        assert action is not None
        assert action.client_secret is not None
        return action.client_secret.partition("_secret_")[0]

    async def delivered_all(self) -> None:
        """The same for an order of several parcels."""
        for parcel in self.view().parcels:
            await self.carrier(ParcelStatus.DISPATCHED, parcel.number)
            await self.carrier(ParcelStatus.DELIVERED, parcel.number)
        await self.handle.result()

    async def delivered(self) -> OrderView:
        """Let the carrier bring the one parcel, and wait until everything is settled."""
        await self.carrier(ParcelStatus.DISPATCHED)
        await self.carrier(ParcelStatus.DELIVERED)
        await self.handle.result()
        return self.view()

    async def carrier(self, status: ParcelStatus, parcel: int = 1) -> None:
        event = CarrierEvent(event_id=str(uuid_utils.uuid7()), status=status, occurred_at=datetime.now(UTC))
        child = self.client.get_workflow_handle_for(
            FulfilmentWorkflow.run, fulfilment_workflow_id(self.input.order_id, parcel)
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                return await child.signal(FulfilmentWorkflow.carrier_event, event)
            except RPCError as error:  # the order was confirmed a moment ago, its parcel's workflow is starting
                if error.status is not RPCStatusCode.NOT_FOUND or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def until(self, *wanted: OrderStatus) -> None:
        deadline = time.monotonic() + 20
        while (standing := self.view().status) not in wanted:
            assert time.monotonic() < deadline, f"still {standing}, not {wanted}"
            await asyncio.sleep(0.05)

    def view(self) -> OrderView:
        view = OrderStore(self.connections.engine).get(self.input.order_id)
        assert view is not None
        return view

    def recorded(self) -> bool:
        return OrderStore(self.connections.engine).get(self.input.order_id) is not None

    def events(self) -> list[OrderEvent]:
        events = OrderStore(self.connections.engine).history(self.input.order_id).items
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    def event_types(self) -> list[str]:
        return [event.type for event in self.events()]

    def money(self) -> dict[EntryKind, int]:
        sums = dict.fromkeys(EntryKind, 0)
        for entry in Ledger(self.connections.engine).entries(self.input.order_id):
            sums[entry.kind] += entry.amount
        return sums

    def reserved(self) -> int:
        stock = Stock(self.connections.engine)
        return sum(level.reserved for line in self.input.lines for level in stock.levels(line.sku))

    def available(self) -> int:
        stock = Stock(self.connections.engine)
        return sum(level.available for line in self.input.lines for level in stock.levels(line.sku))


Place = Callable[..., Any]


@pytest.fixture
def place(skipping: Client, connections: Connections) -> Place:
    """Start a CheckoutWorkflow for some units of some SKUs."""

    async def start(lines: dict[str, int], postal_code: str = MOVED_BY_HAND, **fields: Any) -> Order:
        order_id = str(uuid_utils.uuid7())
        order = CheckoutInput(
            order_id=order_id,
            customer_id=str(fields.pop("customer_id", uuid_utils.uuid7())),
            email="customer@shop.example.com",
            cart_id=str(fields.pop("cart_id", uuid_utils.uuid7())),
            cart_version=1,
            lines=[OrderLineInput(sku=sku, quantity=quantity) for sku, quantity in lines.items()],
            shipping_address=Address(
                name="Test Customer", line1="Teststraße 1", city="Berlin", postal_code=postal_code, country="DE"
            ),
            shipping_method=fields.pop("shipping_method", "standard"),
            payment_method=fields.pop("payment_method", "pm_card_visa"),
            **fields,
        )
        handle = await skipping.start_workflow(
            CheckoutWorkflow.run, order, id=order_workflow_id(order_id), task_queue=ORDERS_QUEUE
        )
        return Order(order, handle, skipping, connections)

    return start


@pytest.fixture
def provider_journal(bed: Testbed) -> Callable[[str], list[dict[str, Any]]]:
    """What the payment provider says it did for an order: the other side of our ledger."""

    def read(order_id: str) -> list[dict[str, Any]]:
        answer = httpx2.get(f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_ledger", params={"order_id": order_id})
        journal: list[dict[str, Any]] = answer.json()["data"]
        return journal

    return read


@pytest.fixture
def payments_at_provider(bed: Testbed, connections: Connections) -> Callable[[str], list[str]]:
    """How the payments of an order stand there, those that came to nothing included."""
    key = connections.settings.stripe_api_key.get_secret_value()

    def read(order_id: str) -> list[str]:
        address, headers = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/v1/payment_intents", {"Authorization": f"Bearer {key}"}
        found = httpx2.get(address, params={"limit": 100}, headers=headers).raise_for_status().json()["data"]
        return [one["status"] for one in found if one["metadata"].get("order_id") == order_id]

    return read


@pytest.fixture
def provider_fault(bed: Testbed) -> Callable[..., Callable[[], bool]]:
    """Make the payment provider misbehave for one operation; what is answered tells whether all of it has happened."""
    address = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults"

    def set_fault(kind: str, operation: str, times: int = 1, seconds: float = 0) -> Callable[[], bool]:
        fault = {"kind": kind, "match": {"operation": operation}, "times": times, "seconds": seconds}
        armed = httpx2.post(address, json=fault).raise_for_status().json()["id"]

        def struck() -> bool:
            known = httpx2.get(address).json()
            return next(one["hits"] for one in known if one["id"] == armed) == times

        return struck

    return set_fault


@pytest.fixture
def authenticate(bed: Testbed) -> Callable[..., None]:
    """The customer answers their bank's question, at the simulator."""

    def say(intent: str, outcome: str = "succeeded") -> None:
        said = {"payment_intent": intent, "outcome": outcome}
        httpx2.post(f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/authenticate", json=said).raise_for_status()

    return say


@pytest.fixture
def bank_acts(bed: Testbed) -> Callable[..., None]:
    """The bank lets go of this payment's hold, or comes to the end of this refund, now and not in a while."""

    def act(name: str, **how: bool) -> None:
        address = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/advance/{name}"
        httpx2.post(address, params=how).raise_for_status()

    return act


@pytest.fixture
def late_success(bed: Testbed) -> Callable[..., None]:
    """The bank lets a payment through that nobody waits for any more; its webhook is lost."""

    def succeed(intent: str, *, captured: bool = False) -> None:
        late = {"payment_intent": intent, "captured": captured, "send_webhook": False}
        httpx2.post(f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/succeed_late", json=late).raise_for_status()

    return succeed


@pytest.fixture
def make_voucher(connections: Connections) -> Callable[..., str]:
    """A voucher code with these terms."""

    def make(**terms: object) -> str:
        code = f"TEST-{uuid_utils.uuid7().hex[-12:].upper()}"
        Vouchers(connections.engine).create(NewVoucher.model_validate({"code": code, **terms}))
        return code

    return make


def refusal(error: WorkflowUpdateFailedError) -> object:
    """The code an update was refused with."""
    return getattr(error.cause, "type", None)


async def skip(client: Client, time_to_skip: timedelta, patience: timedelta | None = None) -> None:
    """Let so much of the workflows' time pass, with patience for what they do meanwhile."""
    request = SleepRequest(duration=Duration())
    request.duration.FromTimedelta(time_to_skip)
    await client.service_client.test_service.unlock_time_skipping_with_sleep(request, timeout=patience)
