"""Provider, ledger and orders are compared: each kind of difference is found once, repaired as decided, and closed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import httpx2
import pytest
import sqlalchemy as sa
import uuid_utils
from temporalio.client import Client, WorkflowHandle

from adapters.connections import Connections
from adapters.mysql.payments.differences import PaymentDifferences
from adapters.mysql.tables.orders import order_events, orders, parcels
from adapters.mysql.tables.payments import ledger_postings, payment_differences, payment_entries
from adapters.settings import Settings
from domain.orders import OrderStatus, PaymentStatus
from domain.reconciliation import DifferenceKind, DifferenceStatus, Repair
from schemas.order_requests import CancelOrder
from schemas.payment_reconciliation import (
    DecideDifference,
    DecisionAction,
    DecisionAnswer,
    OrphanedPaymentResult,
    PaymentDifference,
    PaymentsReconciled,
)
from tests.fixture_types import Json, MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import MakeFault, OrphanPayment
from workflows.names import PAYMENTS_QUEUE, orphaned_payment_workflow_id, payment_repair_workflow_id
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


class AlteredOrder:
    """One order as its test falsifies it, and what the reconciliation makes of it."""

    def __init__(self, order: Order, settings: Settings, provider: str) -> None:
        self.order = order
        self.order_id: str = order.id
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

    def execute(self, *statements: sa.Executable) -> None:
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

    def at_provider(self, path: str, **form: str | int) -> Json:
        """Somebody works at the provider's dashboard."""
        key = {"Authorization": f"Bearer {self._settings.stripe_api_key.get_secret_value()}"}
        answer = httpx2.post(f"{self._provider}/v1/{path}", data=form, headers=key).raise_for_status()
        created: Json = answer.json()
        return created

    def intent(self) -> str:
        journal = httpx2.get(f"{self._provider}/_ledger", params={"order_id": self.order_id}).json()["data"]
        return str(journal[0]["intent"])

    def effects(self) -> list[str]:
        journal = httpx2.get(f"{self._provider}/_ledger", params={"order_id": self.order_id}).json()["data"]
        return [entry["effect"] for entry in journal]


Alter: TypeAlias = Callable[[Order], AlteredOrder]
MakeAltered: TypeAlias = Callable[[], Awaitable[AlteredOrder]]


@pytest.fixture
def alter(provider: str, settings: Settings) -> Alter:
    return lambda order: AlteredOrder(order, settings, provider)


@pytest.fixture
def delivered(place: Place, make_product: MakeProduct, alter: Alter) -> MakeAltered:
    async def make() -> AlteredOrder:
        order = await place({make_product(stock=5): 1})
        await order.delivered()
        return alter(order)

    return make


@pytest.fixture
def authorized(place: Place, make_product: MakeProduct, alter: Alter) -> MakeAltered:
    """An order whose payment is authorized and whose workflows are gone."""

    async def make() -> AlteredOrder:
        order = await place({make_product(stock=5): 1})
        await order.first_answer()
        await order.until(OrderStatus.PROCESSING, OrderStatus.CONFIRMED)
        altered = alter(order)
        for workflow_id in (f"order-{altered.order_id}", f"payment-{altered.order_id}"):
            await order.client.get_workflow_handle(workflow_id).terminate("lost")
        return altered

    return make


# --- the ways our records come to differ: each leaves one difference


def lost_capture(altered: AlteredOrder) -> None:
    altered.forget("capture")


def lost_all(altered: AlteredOrder) -> None:
    altered.forget("authorization", "capture")


def lost_refund(altered: AlteredOrder) -> None:
    altered.at_provider("refunds", payment_intent=altered.intent(), amount=500)


def wrong_status(altered: AlteredOrder) -> None:
    altered.set_order(payment_status=PaymentStatus.AUTHORIZED)


def captured_and_cancelled(altered: AlteredOrder) -> None:
    altered.set_order(status=OrderStatus.CANCELLED)
    altered.execute(sa.update(parcels).where(parcels.c.order_id == altered.order_id).values(status="cancelled"))


def held_and_cancelled(altered: AlteredOrder) -> None:
    altered.set_order(status=OrderStatus.CANCELLED)


def extra_capture(altered: AlteredOrder) -> None:
    altered.at_provider(f"payment_intents/{altered.intent()}/capture", amount_to_capture=700, final_capture="false")


def delivered_unpaid(altered: AlteredOrder) -> None:
    altered.set_order(status=OrderStatus.DELIVERED)
    altered.execute(sa.update(parcels).where(parcels.c.order_id == altered.order_id).values(status="delivered"))


def voided_by_hand(altered: AlteredOrder) -> None:
    altered.set_order(status=OrderStatus.CANCELLED)
    altered.at_provider(f"payment_intents/{altered.intent()}/cancel")


Case = tuple[str, Callable[[AlteredOrder], None], Sequence[tuple[DifferenceKind, Repair]], str]
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
    "cancelled and held": (
        "authorized",
        held_and_cancelled,
        [(D.ORPHANED_AUTHORIZATION, R.VOID_AUTHORIZATION)],
        "voided",
    ),
    "captured behind our back": (
        "authorized",
        extra_capture,
        [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)],
        "partially_captured",
    ),
    "delivered and never captured": (
        "authorized",
        delivered_unpaid,
        [(D.NOT_CAPTURED, R.CAPTURE_AUTHORIZATION)],
        "captured",
    ),
    "voided behind our back": ("authorized", voided_by_hand, [(D.MISSING_IN_LEDGER, R.RECORD_MISSING)], "voided"),
}


async def test_each_kind_is_found_once_and_repaired_as_decided(
    delivered: MakeAltered, authorized: MakeAltered, skipping: Client, connections: Connections
) -> None:
    make = {"delivered": delivered, "authorized": authorized}
    made = {name: await make[case[0]]() for name, case in CASES.items()}
    await run(skipping)
    assert all(altered.differences(S.OPEN) == [] for altered in made.values()), "nothing is wrong yet"
    for name, altered in made.items():
        CASES[name][1](altered)
    found = await run(skipping)
    first = {name: altered.differences() for name, altered in made.items()}
    for name, (_, _, expected, _) in CASES.items():
        seen = [(one.kind, one.proposed_repair) for one in first[name] if one.status is S.OPEN]
        assert seen == expected, name
    assert found.open >= len(CASES)
    assert await run(skipping) == found, "two runs see the same"
    for name, altered in made.items():
        assert [one.id for one in altered.differences()] == [one.id for one in first[name]], "and make no second row"
        for difference in first[name]:
            decided = (await altered.decide(difference, DecisionAction.APPLY)).difference
            assert decided is not None, name
            assert decided.status in (S.REPAIRED, S.RESOLVED_ITSELF), (name, decided)
        assert altered.order.view().payment_status == CASES[name][3], name
        again = await altered.decide(first[name][0], DecisionAction.APPLY)
        assert again.code == "difference_decided"
    after = await run(skipping)
    assert after.open == found.open - sum(len(case[2]) for case in CASES.values())
    assert all(altered.differences(S.OPEN, S.WATCHED, S.REPAIRING) == [] for altered in made.values())
    repaired = made["cancelled and captured"]
    assert repaired.effects() == ["authorization", "capture", "refund"]
    event = repaired.order.events()[-1]
    assert (event.type, event.actor) == ("payment.refunded", STAFF)
    assert made["delivered and never captured"].effects() == ["authorization", "capture"]


UNKNOWN_OUTCOME = {
    "capture": "delivered and never captured",
    "cancel": "cancelled and held",
    "refund": "cancelled and captured",
}


@pytest.mark.parametrize("kind", ["500", "error_after"])
@pytest.mark.parametrize("operation", UNKNOWN_OUTCOME)
async def test_a_repair_of_unknown_outcome_moves_the_money_once(
    kind: str,
    operation: str,
    delivered: MakeAltered,
    authorized: MakeAltered,
    skipping: Client,
    provider_fault: MakeFault,
) -> None:
    """The provider stores a failure under the key, whether it has done it or not."""
    made_by, falsify, _, status = CASES[UNKNOWN_OUTCOME[operation]]
    altered = await {"delivered": delivered, "authorized": authorized}[made_by]()
    before = altered.effects()
    falsify(altered)
    await run(skipping)
    (found,) = altered.differences()
    fault = provider_fault(kind, operation)
    decided = (await altered.decide(found, DecisionAction.APPLY)).difference
    assert fault.struck()
    assert decided is not None
    assert decided.status is S.REPAIRED
    assert altered.effects() == [*before, "void" if operation == "cancel" else operation]
    assert altered.order.view().payment_status == status


async def test_what_no_repair_can_help_is_dismissed_until_it_changes(
    delivered: MakeAltered, skipping: Client, connections: Connections
) -> None:
    altered = await delivered()
    mine = payment_entries.c.order_id == altered.order_id
    altered.execute(sa.update(payment_entries).where(mine).values(provider_id="pi_neverthere"))
    late = (await run(skipping)).orphaned
    assert altered.order_id not in {one.order_id for one in late}, "what nobody can find covers nothing"
    (found,) = [one for one in altered.differences() if one.kind is D.MISSING_AT_PROVIDER]
    assert found.proposed_repair is R.MANUAL_REVIEW
    assert (await altered.decide(found, DecisionAction.APPLY)).code == "no_repair"
    decided = (await altered.decide(found, DecisionAction.DISMISS)).difference
    assert decided is not None
    assert (decided.status, decided.actor, decided.reason) == (S.DISMISSED, STAFF, "a test")
    await run(skipping)
    # The payment the provider does have is a difference of its own.
    assert [one.status for one in altered.differences() if one.kind is D.MISSING_AT_PROVIDER] == [S.DISMISSED]
    altered.execute(sa.update(payment_entries).where(mine, payment_entries.c.kind == "authorization").values(amount=1))
    await run(skipping)
    (changed,) = [one for one in altered.differences() if one.kind is D.MISSING_AT_PROVIDER]
    assert (changed.status, changed.id, changed.ledger_amount, changed.decision) == (S.OPEN, found.id, 1, None)


async def test_what_goes_away_by_itself_is_closed(delivered: MakeAltered, skipping: Client) -> None:
    altered = await delivered()
    wrong_status(altered)
    await run(skipping)
    (found,) = altered.differences()
    altered.set_order(payment_status=PaymentStatus.CAPTURED)
    decided = (await altered.decide(found, DecisionAction.APPLY)).difference
    assert decided is not None
    assert decided.status is S.RESOLVED_ITSELF
    wrong_status(altered)
    await run(skipping)
    altered.set_order(payment_status=PaymentStatus.CAPTURED)
    await run(skipping)
    assert [one.status for one in altered.differences()] == [S.RESOLVED_ITSELF] * 2


async def test_a_running_order_is_only_watched_and_a_payment_of_no_order_is_shown(
    place: Place, make_product: MakeProduct, alter: Alter, skipping: Client, settings: Settings
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    altered = alter(order)
    altered.forget("authorization")
    unknown = f"nö-{uuid_utils.uuid7()}{'x' * 90}"  # another shop's id of an order
    stray: dict[str, str | int] = {
        "amount": 4200,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": "true",
    }
    intent = altered.at_provider("payment_intents", **stray, capture_method="manual", **{"metadata[order_id]": unknown})
    await run(skipping)
    (watched,) = altered.differences()
    assert (watched.kind, watched.status) == (D.MISSING_IN_LEDGER, S.WATCHED)
    # Still there after the time of grace: it is no step that is just being done.
    altered.execute(
        sa.update(payment_differences)
        .where(payment_differences.c.id == watched.id)
        .values(first_seen_at=sa.func.date_sub(payment_differences.c.first_seen_at, sa.text("INTERVAL 2 HOUR")))
    )
    await run(skipping)
    assert [(one.id, one.status) for one in altered.differences()] == [(watched.id, S.OPEN)]
    altered.order_id = unknown.replace("ö", "?")[:100]
    (found,) = altered.differences()
    assert (found.kind, found.status, found.subject, found.provider_amount) == (
        D.UNKNOWN_ORDER,
        S.OPEN,
        intent["id"],
        4200,
    )


async def test_an_orphaned_payment_whose_webhook_was_lost_is_returned_by_itself(
    place: Place, make_product: MakeProduct, alter: Alter, orphan_payment: OrphanPayment, skipping: Client
) -> None:
    order = await place({make_product(stock=5): 1}, **SECURE, payment_retry_seconds=1800)
    await order.first_answer()
    intent = order.intent()
    await order.cancel(CANCEL)
    await order.handle.result()
    orphan_payment(intent)
    found = await run(skipping)
    assert intent in {one.payment_id for one in found.orphaned}
    late: WorkflowHandle[OrphanedPaymentWorkflow, OrphanedPaymentResult] = skipping.get_workflow_handle(
        orphaned_payment_workflow_id(intent), result_type=OrphanedPaymentResult
    )
    assert (await late.result()).voided == order.view().total.amount
    altered = alter(order)
    assert altered.effects() == ["authorization", "void"]
    assert order.event_types()[-2:] == ["payment.orphan_authorized", "payment.orphan_returned"]
    (closed,) = altered.differences()
    assert (closed.kind, closed.status, closed.actor) == (D.ORPHANED_AUTHORIZATION, S.REPAIRED, "system")
    assert intent not in {one.payment_id for one in (await run(skipping)).orphaned}


async def test_staff_and_the_repair_cannot_return_the_same_money_twice(
    delivered: MakeAltered, skipping: Client
) -> None:
    altered = await delivered()
    captured_and_cancelled(altered)
    await run(skipping)
    (found,) = altered.differences()
    decided = await asyncio.gather(*(altered.decide(found, DecisionAction.APPLY) for _ in range(3)))
    assert sorted(str(one.code) for one in decided) == ["None", "difference_decided", "difference_decided"]
    assert altered.effects() == ["authorization", "capture", "refund"]
    with altered.order.connections.engine.connect() as connection:
        seqs = connection.scalars(sa.select(order_events.c.seq).where(order_events.c.order_id == altered.order_id))
        assert sorted(seqs) == list(range(1, altered.order.view().last_seq + 1))
