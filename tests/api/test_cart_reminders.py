"""Who wants it is reminded of a cart left alone, once for each cart as it is; nobody else is."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

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
from temporal_clients.mails import MailClient
from tests.conftest import eventually
from workflows.names import NOTIFICATIONS_QUEUE
from workflows.notifications import CartReminderWorkflow

SUBJECT = "You left something in your cart"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def leave(api: httpx2.Client, make_product: Any, connections: Connections) -> Callable[..., None]:
    """Put something into the customer's cart, and let so many hours pass."""

    def leave(customer: Any, hours: float = 25) -> None:
        answer = api.post("/v1/cart/items", json={"sku": make_product()}, headers=customer.headers)
        assert answer.status_code == 200, answer.text
        when = datetime.now(UTC) - timedelta(hours=hours)
        connections.mongo["carts"].update_one({"_id": f"user:{customer.id}"}, {"$set": {"updated_at": when}})

    return leave


@pytest.fixture
def reader(api: httpx2.Client, make_customer: Any, connections: Connections) -> Callable[..., Any]:
    """A customer who has, unless told otherwise, proven the address and asked for mails."""

    def make(verified: bool = True, wants: bool = True) -> Any:
        customer = make_customer()
        if verified:
            Accounts(connections.engine).mark_email_verified(customer.id)
        answer = api.patch("/v1/users/me", json={"marketing_emails": wants}, headers=customer.headers)
        assert (answer.status_code, answer.json()["marketing_emails"]) == (200, wants)
        return customer

    return make


@pytest.fixture
def mails(engine: Testbed) -> Callable[[Any], int]:
    def count(customer: Any) -> int:
        query = {"query": f"to:{customer.email}", "limit": 50}
        listed = httpx2.get(f"{engine.url('MAIL_UI_PORT')}/api/v1/search", params=query).json()["messages"]
        return sum(one["Subject"] == SUBJECT for one in listed)

    return count


async def look(client: Client) -> CartsReminded:
    return await client.execute_workflow(
        CartReminderWorkflow.run, id=f"look-{uuid.uuid4()}", task_queue=NOTIFICATIONS_QUEUE
    )


def waiting(connections: Connections) -> int:
    with connections.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT COUNT(*) FROM account_mails").scalar() or 0)


async def test_one_mail_for_each_cart_as_it_is(
    temporal_client: Client, reader: Any, leave: Any, mails: Any, connections: Connections
) -> None:
    customer = reader()
    leave(customer)
    for _ in range(3):
        await look(temporal_client)
    await eventually(lambda: mails(customer), lambda seen: seen == 1)
    leave(customer)
    done = await look(temporal_client)
    assert done.mails == 1
    await eventually(lambda: mails(customer), lambda seen: seen == 2)
    await eventually(lambda: waiting(connections), lambda seen: seen == 0)


async def test_who_is_not_reminded(
    api: httpx2.Client, temporal_client: Client, reader: Any, leave: Any, mails: Any, make_customer: Any
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
    told = reader()
    leave(told)
    await look(temporal_client)
    await eventually(lambda: mails(told), lambda seen: seen == 1)
    assert [mails(customer) for customer in (unasked, unproven, busy, late, emptied)] == [0] * 5


async def test_who_changes_their_mind_before_it_is_sent_is_not_mailed(
    api: httpx2.Client,
    engine: Testbed,
    temporal_client: Client,
    reader: Any,
    leave: Any,
    mails: Any,
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
    await look(temporal_client)
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


async def test_a_look_that_dies_before_it_notes_what_it_did_has_nobody_mailed_twice(
    temporal_client: Client, reader: Any, leave: Any, mails: Any, connections: Connections
) -> None:
    customer = reader()
    leave(customer)
    forgetful = reminders(connections, temporal_client, Forgetful)
    with pytest.raises(Forgetful.Died):
        await ActivityEnvironment().run(forgetful.remind_of_carts)
    await eventually(lambda: mails(customer), lambda seen: seen == 1)
    assert (await look(temporal_client)).mails == 0
    other = reader()
    leave(other)
    await look(temporal_client)
    await eventually(lambda: mails(other), lambda seen: seen == 1)
    assert mails(customer) == 1
    await eventually(lambda: waiting(connections), lambda seen: seen == 0)


async def test_what_a_closing_could_not_delete_is_deleted_by_the_next_look(
    api: httpx2.Client, temporal_client: Client, make_customer: Any, leave: Any, connections: Connections
) -> None:
    customer, carts = make_customer(), connections.mongo["carts"]
    leave(customer)
    left = carts.find_one({"_id": f"user:{customer.id}"})
    assert left is not None
    body = {"password": PASSWORD}
    assert api.request("DELETE", "/v1/users/me", json=body, headers=customer.headers).status_code == 204
    carts.insert_one(left)
    await look(temporal_client)
    assert carts.count_documents({"_id": left["_id"]}) == 0


def test_the_wish_is_ones_own_and_off_until_it_is_switched_on(api: httpx2.Client, customer: Any) -> None:
    assert api.get("/v1/users/me", headers=customer.headers).json()["marketing_emails"] is False
    for wrong in ("yes", 1, "true"):
        answer = api.patch("/v1/users/me", json={"marketing_emails": wrong}, headers=customer.headers)
        assert answer.status_code == 422
