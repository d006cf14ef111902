"""Provider, ledger and orders are compared: each kind of difference is found once, repaired as decided, and closed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.differences import PaymentDifferences
from adapters.mysql.tables.orders import order_events, orders, parcels
from adapters.mysql.tables.payments import ledger_postings, payment_differences, payment_entries
from adapters.settings import Settings
from dev.testbed import Testbed
from domain.orders import OrderStatus, PaymentStatus
from domain.reconciliation import DifferenceKind, DifferenceStatus, Repair
from schemas.orders import CancelOrder
from schemas.payment_reconciliation import (
    DecideDifference,
    DecisionAction,
    DecisionAnswer,
    PaymentDifference,
    PaymentsReconciled,
)
from workflows.names import (
    PAYMENTS_QUEUE,
    order_workflow_id,
    orphaned_payment_workflow_id,
    payment_repair_workflow_id,
    payment_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.orphaned_payments import OrphanedPaymentWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.payments.repair import PaymentRepairWorkflow

SECURE = {"payment_method": "pm_card_threeDSecure2Required", "authentication_seconds": 600}
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")
D, R, S = DifferenceKind, Repair, DifferenceStatus
STAFF = "staff:test"


async def run(client: Client) -> PaymentsReconciled:
    return await client.execute_workflow(
        PaymentReconciliationWorkflow.run, id=f"reconciliation-{uuid_utils.uuid7()}", task_queue=PAYMENTS_QUEUE
    )


class Books:
    """One order as its test bends it, and what the reconciliation makes of it."""

    def __init__(self, order: Any, settings: Settings, provider: str) -> None:
        self.order = order
        self.order_id: str = order.input.order_id
        self._settings = settings
        self._provider = provider
        self._engine = order.connections.engine

    def differences(self, *statuses: DifferenceStatus) -> list[PaymentDifference]:
        differences = PaymentDifferences(self._engine, self._settings.reconciliation_grace)
        found: list[PaymentDifference] = []
        page = differences.page(None, 100)
        while True:
            found += [one for one in page.items if one.order_id == self.order_id]
            if page.next_cursor is None:
                return [one for one in found if not statuses or one.status in statuses]
            rank, _, before = page.next_cursor.partition(".")
            page = differences.page((int(rank), int(before)), 100)

    async def decide(self, difference: PaymentDifference, action: DecisionAction) -> DecisionAnswer:
        decision_id = str(uuid_utils.uuid7())
        return await self.order.client.execute_workflow(
            PaymentRepairWorkflow.run,
            DecideDifference(
                decision_id=decision_id, difference_id=difference.id, action=action, reason="a test", actor=STAFF
            ),
            id=payment_repair_workflow_id(decision_id),
            task_queue=PAYMENTS_QUEUE,
        )

    def execute(self, *statements: Any) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    def set_order(self, **values: object) -> None:
        self.execute(sa.update(orders).where(orders.c.id == self.order_id).values(**values))

    def forget(self, *kinds: str) -> None:
        """The ledger loses entries, as no transaction of ours ever could."""
        mine = sa.select(payment_entries.c.id).where(
            payment_entries.c.order_id == self.order_id, payment_entries.c.kind.in_(kinds)
        )
        with self._engine.begin() as connection:
            ids = list(connection.scalars(mine))
            connection.execute(sa.delete(ledger_postings).where(ledger_postings.c.entry_id.in_(ids)))
            connection.execute(sa.delete(payment_entries).where(payment_entries.c.id.in_(ids)))

    def at_provider(self, path: str, **form: object) -> dict[str, Any]:
        """Somebody works at the provider's dashboard."""
        key = {"Authorization": f"Bearer {self._settings.stripe_api_key.get_secret_value()}"}
        answer = httpx2.post(f"{self._provider}/v1/{path}", data=form, headers=key).raise_for_status()
        made: dict[str, Any] = answer.json()
        return made

    def intent(self) -> str:
        journal = httpx2.get(f"{self._provider}/_ledger", params={"order_id": self.order_id}).json()["data"]
        return str(journal[0]["intent"])

    def effects(self) -> list[str]:
        journal = httpx2.get(f"{self._provider}/_ledger", params={"order_id": self.order_id}).json()["data"]
        return [entry["effect"] for entry in journal]


@pytest.fixture
def books_of(bed: Testbed, settings: Settings) -> Callable[[Any], Books]:
    return lambda order: Books(order, settings, bed.url("PAYMENT_SIMULATOR_PORT"))


@pytest.fixture
def delivered(place: Any, make_product: Any, books_of: Any) -> Callable[[], Any]:
    async def make() -> Books:
        order = await place({make_product(stock=5): 1})
        await order.delivered()
        books: Books = books_of(order)
        return books

    return make


@pytest.fixture
def held(place: Any, make_product: Any, books_of: Any) -> Callable[[], Any]:
    """An order that holds money and whose workflows are gone."""

    async def make() -> Books:
        order = await place({make_product(stock=5): 1})
        await order.first_answer()
        await order.until(OrderStatus.PROCESSING, OrderStatus.CONFIRMED)
        books: Books = books_of(order)
        for workflow_id in (order_workflow_id(books.order_id), payment_workflow_id(books.order_id)):
            await order.client.get_workflow_handle(workflow_id).terminate("lost")
        return books

    return make


# --- the ways books come to disagree: each leaves one difference


def lost_capture(books: Books) -> None:
    books.forget("capture")


def lost_all(books: Books) -> None:
    books.forget("authorization", "capture")


def lost_refund(books: Books) -> None:
    books.at_provider("refunds", payment_intent=books.intent(), amount=500)


def wrong_status(books: Books) -> None:
    books.set_order(payment_status=PaymentStatus.AUTHORIZED)


def captured_and_cancelled(books: Books) -> None:
    books.set_order(status=OrderStatus.CANCELLED)
    books.execute(sa.update(parcels).where(parcels.c.order_id == books.order_id).values(status="cancelled"))


def held_and_cancelled(books: Books) -> None:
    books.set_order(status=OrderStatus.CANCELLED)


def extra_capture(books: Books) -> None:
    books.at_provider(f"payment_intents/{books.intent()}/capture", amount_to_capture=700, final_capture="false")


def delivered_on_credit(books: Books) -> None:
    books.set_order(status=OrderStatus.DELIVERED)
    books.execute(sa.update(parcels).where(parcels.c.order_id == books.order_id).values(status="delivered"))


def voided_by_hand(books: Books) -> None:
    books.set_order(status=OrderStatus.CANCELLED)
    books.at_provider(f"payment_intents/{books.intent()}/cancel")


Case = tuple[str, Callable[[Books], None], Sequence[tuple[DifferenceKind, Repair]], str]
CASES: dict[str, Case] = {
    "capture not in the ledger": ("delivered", lost_capture, [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)], "captured"),
    "payment not in the ledger": ("delivered", lost_all, [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)] * 2, "captured"),
    "refund not in the ledger": (
        "delivered",
        lost_refund,
        [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)],
        "partially_refunded",
    ),
    "wrong status": ("delivered", wrong_status, [(D.STATUS_MISMATCH, R.CORRECT_STATUS)], "captured"),
    "cancelled and captured": (
        "delivered",
        captured_and_cancelled,
        [(D.ORPHANED_CAPTURE, R.REFUND_CAPTURE)],
        "refunded",
    ),
    "cancelled and held": ("held", held_and_cancelled, [(D.ORPHANED_AUTHORIZATION, R.VOID_AUTHORIZATION)], "voided"),
    "captured behind our back": (
        "held",
        extra_capture,
        [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)],
        "partially_captured",
    ),
    "delivered and never captured": (
        "held",
        delivered_on_credit,
        [(D.NOT_CAPTURED, R.CAPTURE_AUTHORIZATION)],
        "captured",
    ),
    "voided behind our back": ("held", voided_by_hand, [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)], "voided"),
}


async def test_each_kind_is_found_once_and_repaired_as_decided(
    delivered: Any, held: Any, skipping: Client, connections: Connections
) -> None:
    make = {"delivered": delivered, "held": held}
    bent = {name: await make[case[0]]() for name, case in CASES.items()}
    await run(skipping)
    assert all(books.differences(S.OPEN) == [] for books in bent.values()), "nothing is wrong yet"
    for name, books in bent.items():
        CASES[name][1](books)
    found = await run(skipping)
    first = {name: books.differences() for name, books in bent.items()}
    for name, (_, _, wanted, _) in CASES.items():
        seen = [(one.kind, one.proposed_repair) for one in first[name] if one.status is S.OPEN]
        assert seen == wanted, name
    assert found.open >= len(CASES)
    assert await run(skipping) == found, "two runs see the same"
    for name, books in bent.items():
        assert [one.id for one in books.differences()] == [one.id for one in first[name]], "and make no second row"
        for difference in first[name]:
            told = (await books.decide(difference, DecisionAction.APPLY)).difference
            assert told is not None, name
            assert told.status in (S.REPAIRED, S.RESOLVED_ITSELF), (name, told)
        assert books.order.view().payment_status == CASES[name][3], name
        again = await books.decide(first[name][0], DecisionAction.APPLY)
        assert again.code == "difference_decided"
    after = await run(skipping)
    assert after.open == found.open - sum(len(case[2]) for case in CASES.values())
    assert all(books.differences(S.OPEN, S.WATCHED, S.REPAIRING) == [] for books in bent.values())
    repaired = bent["cancelled and captured"]
    assert repaired.effects() == ["authorization", "capture", "refund"]
    event = repaired.order.events()[-1]
    assert (event.type, event.actor) == ("payment.refunded", STAFF)
    assert bent["delivered and never captured"].effects() == ["authorization", "capture"]


IN_DOUBT = {
    "capture": "delivered and never captured",
    "cancel": "cancelled and held",
    "refund": "cancelled and captured",
}


@pytest.mark.parametrize("kind", ["500", "error_after"])
@pytest.mark.parametrize("operation", IN_DOUBT)
async def test_a_repair_in_doubt_moves_the_money_once(
    kind: str, operation: str, delivered: Any, held: Any, skipping: Client, provider_fault: Any
) -> None:
    """The provider keeps a failure under the key, whether it has done it or not."""
    made_by, bend, _, status = CASES[IN_DOUBT[operation]]
    books: Books = await {"delivered": delivered, "held": held}[made_by]()
    before = books.effects()
    bend(books)
    await run(skipping)
    (found,) = books.differences()
    struck = provider_fault(kind, operation)
    told = (await books.decide(found, DecisionAction.APPLY)).difference
    assert struck()
    assert told is not None
    assert told.status is S.REPAIRED
    assert books.effects() == [*before, "void" if operation == "cancel" else operation]
    assert books.order.view().payment_status == status


async def test_what_no_repair_can_help_is_dismissed_until_it_changes(
    delivered: Any, skipping: Client, connections: Connections
) -> None:
    books = await delivered()
    mine = payment_entries.c.order_id == books.order_id
    books.execute(sa.update(payment_entries).where(mine).values(provider_id="pi_neverthere"))
    late = (await run(skipping)).orphaned
    assert books.order_id not in {one.order_id for one in late}, "what nobody can find covers nothing"
    (found,) = [one for one in books.differences() if one.kind is D.MISSING_AT_PROVIDER]
    assert found.proposed_repair is R.MANUAL_REVIEW
    assert (await books.decide(found, DecisionAction.APPLY)).code == "no_repair"
    told = (await books.decide(found, DecisionAction.DISMISS)).difference
    assert told is not None
    assert (told.status, told.actor, told.reason) == (S.DISMISSED, STAFF, "a test")
    await run(skipping)
    # The payment the provider does have is a difference of its own.
    assert [one.status for one in books.differences() if one.kind is D.MISSING_AT_PROVIDER] == [S.DISMISSED]
    books.execute(sa.update(payment_entries).where(mine, payment_entries.c.kind == "authorization").values(amount=1))
    await run(skipping)
    (changed,) = [one for one in books.differences() if one.kind is D.MISSING_AT_PROVIDER]
    assert (changed.status, changed.id, changed.ledger_amount, changed.decision) == (S.OPEN, found.id, 1, None)


async def test_what_goes_away_by_itself_is_closed(delivered: Any, skipping: Client) -> None:
    books = await delivered()
    wrong_status(books)
    await run(skipping)
    (found,) = books.differences()
    books.set_order(payment_status=PaymentStatus.CAPTURED)
    told = (await books.decide(found, DecisionAction.APPLY)).difference
    assert told is not None
    assert told.status is S.RESOLVED_ITSELF
    wrong_status(books)
    await run(skipping)
    books.set_order(payment_status=PaymentStatus.CAPTURED)
    await run(skipping)
    assert [one.status for one in books.differences()] == [S.RESOLVED_ITSELF] * 2


async def test_an_order_at_work_is_only_watched_and_a_payment_of_no_order_is_shown(
    place: Any, make_product: Any, books_of: Any, skipping: Client, settings: Settings
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    books = books_of(order)
    books.forget("authorization")
    unknown = f"nö-{uuid_utils.uuid7()}{'x' * 90}"  # somebody else's words for an order
    stray = {"amount": 4200, "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"}
    intent = books.at_provider("payment_intents", **stray, capture_method="manual", **{"metadata[order_id]": unknown})
    await run(skipping)
    (watched,) = books.differences()
    assert (watched.kind, watched.status) == (D.MISSING_IN_LEDGER, S.WATCHED)
    # Still there after the time of grace: it is no step that is just being done.
    books.execute(
        sa.update(payment_differences)
        .where(payment_differences.c.id == watched.id)
        .values(first_seen_at=sa.func.date_sub(payment_differences.c.first_seen_at, sa.text("INTERVAL 2 HOUR")))
    )
    await run(skipping)
    assert [(one.id, one.status) for one in books.differences()] == [(watched.id, S.OPEN)]
    books.order_id = unknown.replace("ö", "?")[:100]
    (found,) = books.differences()
    assert (found.kind, found.status, found.subject, found.provider_amount) == (
        D.UNKNOWN_ORDER,
        S.OPEN,
        intent["id"],
        4200,
    )


async def test_late_money_whose_webhook_was_lost_is_given_back_by_itself(
    place: Any, make_product: Any, books_of: Any, late_success: Any, skipping: Client
) -> None:
    order = await place({make_product(stock=5): 1}, **SECURE, payment_retry_seconds=1800)
    await order.first_answer()
    intent = order.intent()
    await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    await order.handle.result()
    late_success(intent)
    found = await run(skipping)
    assert intent in {one.payment_id for one in found.orphaned}
    late = skipping.get_workflow_handle_for(OrphanedPaymentWorkflow.run, orphaned_payment_workflow_id(intent))
    assert (await late.result()).voided == order.view().total.amount
    books = books_of(order)
    assert books.effects() == ["authorization", "void"]
    assert order.event_types()[-2:] == ["payment.orphan_authorized", "payment.orphan_returned"]
    (closed,) = books.differences()
    assert (closed.kind, closed.status, closed.actor) == (D.ORPHANED_AUTHORIZATION, S.REPAIRED, "system")
    assert intent not in {one.payment_id for one in (await run(skipping)).orphaned}


async def test_staff_and_the_repair_cannot_give_the_same_money_back_twice(delivered: Any, skipping: Client) -> None:
    books = await delivered()
    captured_and_cancelled(books)
    await run(skipping)
    (found,) = books.differences()
    decided = await asyncio.gather(*(books.decide(found, DecisionAction.APPLY) for _ in range(3)))
    assert sorted(str(one.code) for one in decided) == ["None", "difference_decided", "difference_decided"]
    assert books.effects() == ["authorization", "capture", "refund"]
    with books.order.connections.engine.connect() as connection:
        seqs = connection.scalars(sa.select(order_events.c.seq).where(order_events.c.order_id == books.order_id))
        assert sorted(seqs) == list(range(1, books.order.view().last_seq + 1))
