"""What people do about an order on its way: its customer, their bank, a supplier, staff and operators."""

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2
import sqlalchemy as sa
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.payments import payment_differences, refund_parts
from domain.actors import customer_actor, staff_actor
from domain.orders import OrderStatus, PaymentStatus
from domain.reconciliation import DifferenceStatus
from schemas.disputes import DisputeEnded, OperatorDecision
from schemas.orders import Choice, Decision, OrderView
from schemas.payment_reconciliation import DecideDifference, DecisionAction
from schemas.refunds import RefundInput
from workflows.names import (
    PAYMENTS_QUEUE,
    dispute_workflow_id,
    failed_refund_workflow_id,
    orphaned_payment_workflow_id,
    payment_repair_workflow_id,
    refund_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.disputes import DisputeWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.payments.refunds import RefundWorkflow
from workflows.payments.repair import PaymentRepairWorkflow

if TYPE_CHECKING:
    from dev.fault_matrix.play import Play

CUSTOMER, STAFF, WHY = customer_actor("matrix"), staff_actor("matrix"), "fault matrix"


async def nothing(_: "Play") -> None:
    """The order goes by itself."""


async def go_to_the_bank(play: "Play") -> None:
    """The customer says yes there."""
    intent = _asked_about(await play.order_when(lambda order: order.payment_action is not None))
    if intent:
        await _at_provider(play, "_control/authenticate", payment_intent=intent)


async def take_what_there_is(play: "Play") -> None:
    """The customer decides."""
    await play.order_when(lambda order: order.shortage is not None)
    wanted = Decision(choice=Choice.TAKE_AVAILABLE, actor=CUSTOMER)
    with suppress(WorkflowUpdateFailedError, RPCError):  # cancelled meanwhile
        await play.handle.execute_update(CheckoutWorkflow.decide, wanted)


async def call_back_when_booked(play: "Play") -> None:
    """An operator cancels the order in the Web UI."""
    await play.order_when(lambda order: order.parcels and order.parcels[0].tracking_number is not None)
    await play.handle.cancel()
    play.cancelled = True


async def deliver_the_goods(play: "Play") -> None:
    """A supplier brings what is missing."""
    await play.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    arrival = {"kind": "received", "quantity": play.cell.scenario.arrives, "warehouse": "BER"}
    headers = {"Idempotency-Key": play.order_id}
    path = f"/v1/stock/{play.sku}/movements"
    done = await asyncio.to_thread(play.stage.staff.post, path, json=arrival, headers=headers)
    done.raise_for_status()
    play.arrived = True


async def deliver_late(play: "Play") -> None:
    """A supplier brings it only when the order has held on to its place for longer than it was promised."""
    await play.struck()
    await deliver_the_goods(play)


async def deliver_when_the_hold_has_ended(play: "Play") -> None:
    """The bank lets go of the money before the goods are there."""
    order = await play.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    if order.payment.held.amount:
        await _at_provider(play, f"_control/later/{_paid_by(play)}")
    await deliver_the_goods(play)


async def refund(play: "Play") -> None:
    """Staff give a part back, once it is delivered."""
    await _give_back(play, await _paid_for(play), play.later_id)


async def refund_again_when_it_comes_back(play: "Play") -> None:
    """The customer's bank sends a refund back days after it was done, and staff give it anew."""
    order = await _paid_for(play)
    await _give_back(play, order, play.later_id)
    name = await asyncio.to_thread(_refund_at_provider, play)
    play.arm(name)
    await _at_provider(play, f"_control/later/{name}?fails=true")
    failed = play.stage.client.get_workflow_handle(failed_refund_workflow_id(name))
    await _when_begun(failed)
    await _give_back(play, order, str(uuid.uuid4()))


async def answer_and_give_in(play: "Play") -> None:
    """The customer disputes what they have paid; staff send evidence, and then think better of it."""
    order = await _paid_for(play)
    if not order.payment.captured.amount:  # cancelled meanwhile
        return
    name = f"dp_{play.later_id}"
    await _at_provider(play, "_control/disputes", payment_intent=_paid_by(play), id=name)
    await play.order_when(lambda order: order.payment_status is PaymentStatus.DISPUTED, final=False)
    dispute: WorkflowHandle[DisputeWorkflow, DisputeEnded] = play.stage.client.get_workflow_handle_for(
        DisputeWorkflow.run, dispute_workflow_id(name)
    )
    said = OperatorDecision(actor=STAFF, reason=WHY, text="signed for")
    await dispute.execute_update(DisputeWorkflow.submit_evidence, said)
    await dispute.execute_update(DisputeWorkflow.accept, said)
    await dispute.result()


async def cancel_and_pay_all_the_same(play: "Play") -> None:
    """The customer cancels while their bank is asking them, and the bank lets the payment through afterwards."""
    intent = _asked_about(await play.order_when(lambda order: order.payment_action is not None))
    await play.cancel()
    await play.handle.result()
    play.arm(intent)
    await _at_provider(play, "_control/late_success", payment_intent=intent)
    await _when_begun(play.stage.client.get_workflow_handle(orphaned_payment_workflow_id(intent)))


async def refund_at_the_dashboard(play: "Play") -> None:
    """Somebody gives money back at the provider's dashboard, and staff have our books follow."""
    order = await _paid_for(play)
    form = {"payment_intent": _paid_by(play), "amount": play.cell.scenario.refunds}
    headers = {"Authorization": f"Bearer {play.stage.provider_key}"}
    address = f"{play.stage.sides.provider}/v1/refunds"
    (await asyncio.to_thread(httpx2.post, address, data=form, headers=headers)).raise_for_status()
    await _repair(play, order.id)


async def show_a_wrong_status(play: "Play") -> None:
    """An order says of its payment what its ledger does not, and staff have it put right."""
    order = await _paid_for(play)
    bent = sa.update(orders).where(orders.c.id == order.id).values(payment_status=PaymentStatus.AUTHORIZED)
    with play.stage.sides.stores.engine.begin() as connection:
        connection.execute(bent)
    await _repair(play, order.id)
    await play.order_when(lambda order: order.payment_status is PaymentStatus.CAPTURED, final=False)


async def _repair(play: "Play", order_id: str) -> None:
    """Have the books compared until the difference is found, and decide that it be repaired."""
    found = payment_differences.c
    mine = sa.select(found.id).where(found.order_id == order_id, found.status == DifferenceStatus.OPEN)
    difference = None
    while difference is None:
        # Of all orders at once, so that one run serves everybody who waits for one.
        await play.stage.client.execute_workflow(
            PaymentReconciliationWorkflow.run,
            id="reconciliation-matrix",
            task_queue=PAYMENTS_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        with play.stage.sides.stores.engine.connect() as connection:
            difference = connection.scalar(mine)
    decision = DecideDifference(
        decision_id=play.later_id,
        difference_id=difference,
        action=DecisionAction.APPLY,
        reason=WHY,
        actor=STAFF,
    )
    answer = await play.stage.client.execute_workflow(
        PaymentRepairWorkflow.run, decision, id=payment_repair_workflow_id(play.later_id), task_queue=PAYMENTS_QUEUE
    )
    if answer.difference is None or answer.difference.status is not DifferenceStatus.REPAIRED:
        play.wrong.append(f"repair: the decision has led to {answer}")


async def _give_back(play: "Play", order: OrderView, refund_id: str) -> None:
    wanted = RefundInput(
        refund_id=refund_id,
        order_id=order.id,
        amount=play.cell.scenario.refunds,
        currency=order.total.currency,
        reason=WHY,
        actor=STAFF,
    )
    await play.stage.client.execute_workflow(
        RefundWorkflow.run, wanted, id=refund_workflow_id(refund_id), task_queue=PAYMENTS_QUEUE
    )


async def _when_begun(follower: WorkflowHandle[Any, Any]) -> None:
    """Wait for the end of a workflow that a webhook begins."""
    while True:
        with suppress(RPCError):  # it has yet to come
            await follower.result()
            return
        await asyncio.sleep(0.1)


def _refund_at_provider(play: "Play") -> str:
    part = refund_parts.c
    mine = part.refund_id == play.later_id, part.provider_refund_id.is_not(None)
    query = sa.select(part.provider_refund_id).where(*mine)
    with play.stage.sides.stores.engine.connect() as connection:
        return str(connection.scalars(query).one())


async def _paid_for(play: "Play") -> OrderView:
    await play.handle.result()  # it may be delivered a moment before it is paid for
    return await play.order_when(lambda order: order.payment.captured.amount)


def _paid_by(play: "Play") -> str:
    return Ledger(play.stage.sides.stores.engine).entries(play.order_id)[0].provider_id


def _asked_about(order: OrderView) -> str:
    """What the provider calls the payment that its customer is to confirm; empty when it is cancelled meanwhile."""
    secret = order.payment_action.client_secret if order.payment_action is not None else None
    return (secret or "").partition("_secret_")[0]


async def _at_provider(play: "Play", path: str, **said: Any) -> None:
    await asyncio.to_thread(httpx2.post, f"{play.stage.sides.provider}/{path}", json=said)
