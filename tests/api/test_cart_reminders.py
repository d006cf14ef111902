"""Who wants it is reminded of a cart left alone, once for each cart as it is; nobody else is."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx2
import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.cart_reminders import CartReminderActivities
from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.users import Accounts
from dev.testbed import Testbed
from schemas.carts import Cart, CartsReminded
from temporal_clients.account_mails import MailClient
from tests.conftest import eventually
from tests.fixture_types import PASSWORD, Customer, MakeCustomer, MakeProduct
from workflows.names import NOTIFICATIONS_QUEUE
from workflows.notifications import CartReminderWorkflow

SUBJECT = "You left something in your cart"


class Leave(Protocol):
    """Puts something into the customer's cart, and lets so many hours pass."""

    def __call__(self, customer: Customer, hours: float = 25) -> None: ...


class MakeReader(Protocol):
    """Registers a customer who has, unless it is said otherwise, proven the address and asked for mails."""

    def __call__(self, verified: bool = True, wants: bool = True) -> Customer: ...


CountMails = Callable[[Customer], int]


@pytest.fixture
def leave(api: httpx2.Client, make_product: MakeProduct, connections: Connections) -> Leave:
    def leave(customer: Customer, hours: float = 25) -> None:
        answer = api.post("/v1/cart/items", json={"sku": make_product()}, headers=customer.headers)
        assert answer.status_code == 200, answer.text
        when = datetime.now(UTC) - timedelta(hours=hours)
        connections.mongo["carts"].update_one({"_id": f"user:{customer.id}"}, {"$set": {"updated_at": when}})

    return leave


@pytest.fixture
def reader(api: httpx2.Client, make_customer: MakeCustomer, connections: Connections) -> MakeReader:
    def make(verified: bool = True, wants: bool = True) -> Customer:
        customer = make_customer()
        if verified:
            Accounts(connections.engine).mark_email_verified(customer.id)
        answer = api.patch("/v1/users/me", json={"marketing_emails": wants}, headers=customer.headers)
        assert (answer.status_code, answer.json()["marketing_emails"]) == (200, wants)
        return customer

    return make


@pytest.fixture
def mails(engine: Testbed) -> CountMails:
    def count(customer: Customer) -> int:
        query: dict[str, str | int] = {"query": f"to:{customer.email}", "limit": 50}
        listed = httpx2.get(f"{engine.url('MAIL_UI_PORT')}/api/v1/search", params=query).json()["messages"]
        return sum(one["Subject"] == SUBJECT for one in listed)

    return count


async def remind(client: Client) -> CartsReminded:
    return await client.execute_workflow(
        CartReminderWorkflow.run, id=f"look-{uuid.uuid4()}", task_queue=NOTIFICATIONS_QUEUE
    )


def waiting(connections: Connections) -> int:
    with connections.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT COUNT(*) FROM account_mails").scalar() or 0)


async def test_one_mail_for_each_cart_as_it_is(
    temporal_client: Client, reader: MakeReader, leave: Leave, mails: CountMails, connections: Connections
) -> None:
    customer = reader()
    leave(customer)
    for _ in range(3):
        await remind(temporal_client)
    await eventually(lambda: mails(customer), lambda seen: seen == 1)
    leave(customer)
    done = await remind(temporal_client)
    assert done.mails == 1
    await eventually(lambda: mails(customer), lambda seen: seen == 2)
    await eventually(lambda: waiting(connections), lambda seen: seen == 0)


async def test_who_is_not_reminded(
    api: httpx2.Client,
    temporal_client: Client,
    reader: MakeReader,
    leave: Leave,
    mails: CountMails,
    make_customer: MakeCustomer,
) -> None:
    unasked, unproven, busy, late, emptied = (
        make_customer(),
        reader(verified=False),
        reader(),
        reader(),
        reader(),
    )
    for customer in (unasked, unproven, emptied):
        leave(customer)
    leave(busy, hours=1)
    leave(late, hours=24 * 9)
    api.delete("/v1/cart", headers=emptied.headers)
    reminded = reader()
    leave(reminded)
    await remind(temporal_client)
    await eventually(lambda: mails(reminded), lambda seen: seen == 1)
    assert [mails(customer) for customer in (unasked, unproven, busy, late, emptied)] == [0] * 5


async def test_who_changes_their_mind_before_it_is_sent_is_not_mailed(
    api: httpx2.Client,
    engine: Testbed,
    temporal_client: Client,
    reader: MakeReader,
    leave: Leave,
    mails: CountMails,
    connections: Connections,
) -> None:
    """The mail waits: nobody polls the queue it is sent from until they have switched it off."""
    customer = reader()
    leave(customer)
    activities = reminders(connections, temporal_client, CartStore)
    engine.stop("order-worker")
    try:
        await ActivityEnvironment().run(activities.remind_of_carts)
        api.patch("/v1/users/me", json={"marketing_emails": False}, headers=customer.headers)
    finally:
        engine.start("order-worker")
    other = reader()
    leave(other)
    await remind(temporal_client)
    await eventually(lambda: mails(other), lambda seen: seen == 1)
    assert mails(customer) == 0


class Forgetful(CartStore):
    """Dies before it can note that a customer was reminded."""

    class Died(Exception):
        pass

    def note_reminder(self, cart: Cart) -> None:
        raise self.Died


def reminders(stores: Connections, client: Client, store: type[CartStore]) -> CartReminderActivities:
    engine, carts = stores.engine, store(stores.mongo, stores.redis)
    return CartReminderActivities(
        carts, Accounts(engine), WaitingMails(engine), MailClient(client), timedelta(hours=24)
    )


async def test_a_run_that_dies_before_it_records_its_mails_mails_nobody_twice(
    temporal_client: Client, reader: MakeReader, leave: Leave, mails: CountMails, connections: Connections
) -> None:
    customer = reader()
    leave(customer)
    forgetful = reminders(connections, temporal_client, Forgetful)
    with pytest.raises(Forgetful.Died):
        await ActivityEnvironment().run(forgetful.remind_of_carts)
    await eventually(lambda: mails(customer), lambda seen: seen == 1)
    assert (await remind(temporal_client)).mails == 0
    other = reader()
    leave(other)
    await remind(temporal_client)
    await eventually(lambda: mails(other), lambda seen: seen == 1)
    assert mails(customer) == 1
    await eventually(lambda: waiting(connections), lambda seen: seen == 0)


async def test_what_a_closing_could_not_delete_is_deleted_by_the_next_run(
    api: httpx2.Client, temporal_client: Client, make_customer: MakeCustomer, leave: Leave, connections: Connections
) -> None:
    customer, carts = make_customer(), connections.mongo["carts"]
    leave(customer)
    left = carts.find_one({"_id": f"user:{customer.id}"})
    assert left is not None
    body = {"password": PASSWORD}
    assert api.request("DELETE", "/v1/users/me", json=body, headers=customer.headers).status_code == 204
    carts.insert_one(left)
    await remind(temporal_client)
    assert carts.count_documents({"_id": left["_id"]}) == 0


def test_marketing_mails_are_off_until_the_customer_switches_them_on(api: httpx2.Client, customer: Customer) -> None:
    assert api.get("/v1/users/me", headers=customer.headers).json()["marketing_emails"] is False
    for wrong in ("yes", 1, "true"):
        answer = api.patch("/v1/users/me", json={"marketing_emails": wrong}, headers=customer.headers)
        assert answer.status_code == 422
