"""Workflows on the time-skipping server, with production's workers, our real stores and other people's simulators."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import pytest
import pytest_asyncio
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.vouchers import Vouchers
from dev.testbed import Testbed
from schemas.vouchers import NewVoucher
from temporal_clients.checkouts import CheckoutClient
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.lost_orders import STAFF, Adopt
from tests.workflows.orders import Order, Place, place_order
from tests.workflows.parcels import Arm
from tests.workflows.provider import (
    Authenticate,
    BankActs,
    Fault,
    Journal,
    JournalEntry,
    MakeFault,
    MakeVoucher,
    OrphanPayment,
)
from tests.workflows.time_skipping import time_skipping
from tests.workflows.waiting import until
from tests.workflows.workers import all_workers
from workflows.names import order_workflow_id
from workflows.orders.checkout import CheckoutWorkflow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections) -> AsyncIterator[Client]:
    """One server per module, because what a test has cancelled may keep a server from ever skipping time again."""
    async with time_skipping(connections) as client:
        yield client


@pytest.fixture(scope="session")
def provider(bed: Testbed) -> str:
    return bed.url("PAYMENT_SIMULATOR_PORT")


@pytest.fixture
def carrier(bed: Testbed) -> Iterator[CarrierControl]:
    control = CarrierControl(bed.url("CARRIER_SIMULATOR_PORT"))
    yield control
    control.end_faults()


@pytest.fixture(scope="module", autouse=True)
def no_webhooks(provider: str) -> Iterator[None]:
    """The provider's webhooks get lost: where an API listens, because other tests have started one, it would begin a
    second workflow about the same dispute or refund, on the real Temporal. A test sends the events it is about itself.
    """
    httpx2.put(f"{provider}/_control/webhooks", json={"copies": 0}).raise_for_status()
    yield
    httpx2.delete(f"{provider}/_control/webhooks").raise_for_status()


@pytest.fixture
def place(skipping: Client, connections: Connections) -> Place:
    async def start(lines: dict[str, int], **fields: object) -> Order:
        return await place_order(skipping, connections, lines, **fields)

    return start


@pytest.fixture
def no_other_worker(bed: Testbed) -> Iterator[None]:
    """The engine's own worker, started by other tests, polls the same queues and has no patch of a test."""
    with bed.without("order-worker"):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def place_in_real_time(
    no_other_worker: None,
    temporal_client: Client,
    connections: Connections,
) -> AsyncIterator[Place]:
    """On the real server, for what races a timer: the time-skipping one would lose the order."""

    async def start(lines: dict[str, int], **fields: object) -> Order:
        return await place_order(temporal_client, connections, lines, **fields)

    async with all_workers(temporal_client, connections):
        yield start


@pytest.fixture
def provider_journal(provider: str) -> Journal:
    def read(order_id: str) -> list[JournalEntry]:
        answer = httpx2.get(f"{provider}/_ledger", params={"order_id": order_id})
        entries: list[JournalEntry] = answer.json()["data"]
        return entries

    return read


@pytest.fixture
def payments_at_provider(provider: str, connections: Connections) -> Callable[[str], list[str]]:
    """The statuses there of an order's payments, those that came to nothing included."""
    key = connections.settings.stripe_api_key.get_secret_value()

    def read(order_id: str) -> list[str]:
        address, headers = f"{provider}/v1/payment_intents", {"Authorization": f"Bearer {key}"}
        found = httpx2.get(address, params={"limit": 100}, headers=headers).raise_for_status().json()["data"]
        return [str(intent["status"]) for intent in found if intent["metadata"].get("order_id") == order_id]

    return read


@pytest.fixture
def provider_fault(provider: str) -> Iterator[MakeFault]:
    """Ends with the test, so that one that fails leaves nothing to the next."""
    address = f"{provider}/_control/faults"

    def make(kind: str, operation: str | None, times: int = 1, seconds: float = 0) -> Fault:
        return Fault(address, kind, operation, times, seconds)

    yield make
    httpx2.delete(address).raise_for_status()


@pytest.fixture
def authenticate(provider: str) -> Authenticate:
    def answer(intent: str, outcome: str = "succeeded") -> None:
        body = {"payment_intent": intent, "outcome": outcome}
        httpx2.post(f"{provider}/_control/authenticate", json=body).raise_for_status()

    return answer


@pytest.fixture
def bank_acts(provider: str) -> BankActs:
    def act(name: str, *, fails: bool = False, webhook: bool = True) -> None:
        params = {"fails": fails, "send_webhook": webhook}
        httpx2.post(f"{provider}/_control/advance/{name}", params=params).raise_for_status()

    return act


@pytest.fixture
def orphan_payment(provider: str) -> OrphanPayment:
    def succeed(intent: str, *, captured: bool = False) -> None:
        body = {"payment_intent": intent, "captured": captured, "send_webhook": False}
        httpx2.post(f"{provider}/_control/succeed_late", json=body).raise_for_status()

    return succeed


@pytest.fixture
def make_voucher(connections: Connections) -> MakeVoucher:
    def make(**fields: object) -> str:
        code = f"TEST-{uuid_utils.uuid7().hex[-12:].upper()}"
        Vouchers(connections.engine).create(NewVoucher.model_validate({"code": code, **fields}))
        return code

    return make


@pytest.fixture
def arm(carrier: CarrierControl) -> Iterator[Arm]:
    """A fault of the carrier, until the test is over."""

    def one(kind: str, operation: str, **more: object) -> None:
        carrier.arm(kind, match={"operation": operation}, **more)

    yield one
    carrier.end_faults()


@pytest.fixture
async def booked(place: Place, make_product: MakeProduct) -> Order:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    return order


@pytest.fixture
def checkouts(temporal_client: Client) -> CheckoutClient:
    return CheckoutClient(temporal_client, 30)


@pytest.fixture
def adopt(checkouts: CheckoutClient, connections: Connections) -> Adopt:
    async def start(order: Order, request: str = "") -> None:
        taken = OrderStore(connections.engine).checkout_of(order.id, STAFF)
        assert taken is not None
        await checkouts.adopt(taken, request or str(uuid.uuid4()))
        order.handle = checkouts.client.get_workflow_handle_for(CheckoutWorkflow.run, order_workflow_id(order.id))

    return start


@pytest.fixture
async def two_in_real_time(place_in_real_time: Place, make_product: MakeProduct) -> Order:
    """One from Berlin, one from Amsterdam, both booked."""
    order = await place_in_real_time(
        {make_product(stock={"BER": 5}, price=1000): 1, make_product(stock={"AMS": 5}, price=3000): 1}
    )
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    return order
