"""One event, one mail: on the time-skipping server, with the activity's mail server away, slow or repeated."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
import pytest_asyncio
import uuid_utils
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.notifications import NotificationActivities
from activities.operator_tasks import OperatorTaskActivities
from adapters.connections import Connections
from adapters.mail.mailer import Mailer
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.settings import Settings
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from domain.outside_errors import Unavailable
from schemas.base import Address, Money
from schemas.notifications import NotificationInput, NotificationSent
from schemas.orders import OrderView, PaymentBalance, PaymentPart
from tests.workflows.time_skipping import add_search_attributes, start_server
from tests.workflows.waiting import current_details
from workers.runner import new_sandbox_runner
from workflows.names import NOTIFICATIONS_QUEUE, notification_workflow_id
from workflows.notifications import NotificationWorkflow

NOTHING = Money(amount=0, currency="EUR")
NO_MONEY = {"held": NOTHING, "captured": NOTHING, "refunded": NOTHING}


class Orders:
    """An order store that knows every order but one."""

    email = "customer@shop.example"

    def get(self, order_id: str) -> OrderView | None:
        if order_id == "nobody":
            return None
        moment = datetime.now(UTC)
        return OrderView(
            id=order_id,
            number=1001,
            status=OrderStatus.CONFIRMED,
            payment_status=PaymentStatus.AUTHORIZED,
            fulfilment_status=FulfilmentStatus.UNFULFILLED,
            total=NOTHING,
            created_at=moment,
            updated_at=moment,
            customer_id="customer-1",
            email=self.email,
            subtotal=NOTHING,
            discount=NOTHING,
            tax_included=False,
            payment=PaymentBalance(
                **NO_MONEY, disputed=NOTHING, card=PaymentPart(**NO_MONEY), store_credit=PaymentPart(**NO_MONEY)
            ),
            shipping=NOTHING,
            tax=NOTHING,
            lines=[],
            parcels=[],
            shipping_address=Address(name="A", line1="B", city="C", postal_code="12345", country="DE"),
            shipping_method="standard",
            last_seq=1,
        )


class Sent:
    """The table of sent mails, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def get(self, event_id: str) -> str | None:
        return self.rows.get(event_id)

    def record(self, event_id: str, _order_id: str, _recipient: str, message_id: str) -> None:
        self.rows[event_id] = message_id


class Postbox(Mailer):
    """A mailer whose server is away for the first so many mails."""

    def __init__(self, settings: Settings, away: int = 0) -> None:
        super().__init__(settings)
        self.away, self.mails = away, list[EmailMessage]()

    def send(self, message: EmailMessage) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("no mail server")
        self.mails.append(message)


@pytest_asyncio.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with await start_server() as environment:
        await add_search_attributes(environment.client)
        yield environment


@asynccontextmanager
async def worker(
    client: Client, connections: Connections, sent: Sent, postbox: Postbox, orders: Orders | None = None
) -> AsyncIterator[None]:
    activities = NotificationActivities(orders or Orders(), sent, postbox)  # type: ignore[arg-type]
    tasks = OperatorTaskActivities(OperatorTaskStore(connections.engine))
    with ThreadPoolExecutor(4) as pool:
        async with Worker(
            client,
            task_queue=NOTIFICATIONS_QUEUE,
            workflows=[NotificationWorkflow],
            activities=[activities.send_mail, tasks.record_operator_tasks],
            activity_executor=pool,
            workflow_runner=new_sandbox_runner(),
        ):
            yield


class OfNobodyThere(Orders):
    """Orders whose address is one that mail cannot be sent to."""

    email = "customer at shop"


def make_event(order_id: str = "order-1") -> NotificationInput:
    return NotificationInput(event_id=str(uuid_utils.uuid7()), order_id=order_id, seq=1, type="order.confirmed")


async def notify(client: Client, event: NotificationInput, workflow_id: str | None = None) -> NotificationSent:
    return await client.execute_workflow(
        NotificationWorkflow.run,
        event,
        id=workflow_id or notification_workflow_id(event.event_id),
        task_queue=NOTIFICATIONS_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )


async def test_event_becomes_one_mail(
    environment: WorkflowEnvironment, connections: Connections, settings: Settings
) -> None:
    sent, postbox, event = Sent(), Postbox(settings), make_event()
    async with worker(environment.client, connections, sent, postbox):
        answer = await notify(environment.client, event)
        with pytest.raises(WorkflowAlreadyStartedError):
            await notify(environment.client, event)
    (mail,) = postbox.mails
    assert answer == NotificationSent(message_id=mail["Message-ID"])
    assert mail["Subject"] == "Order 1001: your order is confirmed"
    assert sent.rows == {event.event_id: mail["Message-ID"]}


async def test_event_already_mailed_is_not_mailed_again(
    environment: WorkflowEnvironment, connections: Connections, settings: Settings
) -> None:
    sent, postbox, event = Sent(), Postbox(settings), make_event()
    async with worker(environment.client, connections, sent, postbox):
        first = await notify(environment.client, event)
        # As after the namespace's retention, when Temporal no longer knows the first.
        again = await notify(environment.client, event, workflow_id="another-id")
    assert again == NotificationSent(message_id=first.message_id, repeated=True)
    assert len(postbox.mails) == 1


async def test_mail_server_away_for_an_hour_delays_the_mail(
    environment: WorkflowEnvironment, connections: Connections, settings: Settings
) -> None:
    # Each round of retries begins with short pauses again.
    sent, postbox = Sent(), Postbox(settings, away=75)
    event = make_event()
    async with worker(environment.client, connections, sent, postbox):
        answer = await notify(environment.client, event)
    handle = environment.client.get_workflow_handle(notification_workflow_id(event.event_id))
    events = (await handle.fetch_history()).events
    assert "mail_unsent" in str(events), "an operator learned of it"
    assert not answer.repeated
    assert len(postbox.mails) == 1
    assert 3600 < events[-1].event_time.seconds - events[0].event_time.seconds < 75 * 61


async def test_event_of_no_order_fails_for_good(
    environment: WorkflowEnvironment, connections: Connections, settings: Settings
) -> None:
    async with worker(environment.client, connections, Sent(), Postbox(settings)):
        with pytest.raises(WorkflowFailureError) as failure:
            await notify(environment.client, make_event("nobody"))
    cause = failure.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert cause.type == "not_found"


async def test_an_address_that_is_none_needs_an_operator(
    environment: WorkflowEnvironment, connections: Connections, settings: Settings
) -> None:
    event = make_event()
    async with worker(environment.client, connections, Sent(), Postbox(settings), OfNobodyThere()):
        with pytest.raises(WorkflowFailureError):
            await notify(environment.client, event)
        handle = environment.client.get_workflow_handle(notification_workflow_id(event.event_id))
        details = await current_details(handle)
    assert "**needs operator:** mail: order.confirmed: undeliverable (`recipient_refused`)" in details
