"""What customers, suppliers, staff and operators do about an order while it runs."""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import httpx2
import sqlalchemy as sa
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.payments import payment_differences, refund_parts
from dev.fault_matrix.order import CUSTOMER, REASON, STAFF, OrderUnderTest
from domain.fulfilment import ParcelStatus, parcel_reference
from domain.orders import FINAL_STATUSES, OrderStatus, PaymentStatus
from domain.reconciliation import DifferenceStatus
from schemas.checkout import CancelledLine
from schemas.disputes import DisputeEnded, OperatorDecision
from schemas.order_requests import CancelOrder, Choice, Decision
from schemas.orders import OrderView
from schemas.payment_reconciliation import DecideDifference, DecisionAction
from schemas.refunds import RefundInput
from workflows.names import (
    PAYMENTS_QUEUE,
    dispute_workflow_id,
    failed_refund_workflow_id,
    fulfilment_workflow_id,
    orphaned_payment_workflow_id,
    payment_repair_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.disputes import DisputeWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.payments.refunds import RefundWorkflow
from workflows.payments.repair import PaymentRepairWorkflow


async def authenticate(run: OrderUnderTest) -> None:
    """The customer confirms the payment with their bank."""
    intent = _intent_to_confirm(await run.order_when(lambda order: order.payment_action is not None))
    if intent:
        await _at_provider(run, "_control/authenticate", payment_intent=intent)


async def take_available(run: OrderUnderTest) -> None:
    """The customer takes what is available."""
    await run.order_when(lambda order: order.shortage is not None)
    decision = Decision(choice=Choice.TAKE_AVAILABLE, actor=CUSTOMER)
    with suppress(WorkflowUpdateFailedError, RPCError):  # cancelled meanwhile
        await run.handle.execute_update(CheckoutWorkflow.decide, decision)


async def cancel_when_booked(run: OrderUnderTest) -> None:
    """An operator cancels the order in the Web UI."""
    await run.order_when(is_booked)
    await run.handle.cancel()
    run.cancelled = True


async def cancel_a_unit(run: OrderUnderTest) -> None:
    """The customer cancels one of the units in a booked parcel, and gets the others."""
    await run.order_when(is_booked)
    lines = [CancelledLine(sku=run.sku, quantity=1)]
    with suppress(WorkflowUpdateFailedError, RPCError):  # cancelled meanwhile
        request = CancelOrder(actor=CUSTOMER, reason=REASON, lines=lines)
        await run.handle.execute_update(CheckoutWorkflow.cancel, request)
    await deliver_once_booked(run)


async def deliver_once_booked(run: OrderUnderTest) -> None:
    """The carrier delivers the parcel, which waits there for that."""
    order = await run.order_when(lambda order: order.parcels[0].status is ParcelStatus.BOOKED)
    if order.status not in FINAL_STATUSES:
        with suppress(httpx2.HTTPStatusError):
            await move_parcel(run, "delivered")


async def cancel_when_delivered_unseen(run: OrderUnderTest) -> None:
    """An operator cancels the order, whose parcel has been delivered, and every event of that got lost."""
    await run.order_when(is_booked)
    await move_parcel(run, "delivered", silent=True)
    await run.handle.cancel()


async def terminate_when_booked(run: OrderUnderTest) -> None:
    """Somebody terminates the workflow of the parcel."""
    await run.order_when(is_booked)
    await _parcel(run).terminate(REASON)


async def terminate_when_dispatched(run: OrderUnderTest) -> None:
    """The same when the parcel is on its way; what the carrier says after that is lost."""
    await run.order_when(is_booked)
    await move_parcel(run, "dispatched")
    await run.order_when(lambda order: order.payment.captured.amount)
    await move_parcel(run, "delivered", silent=True)
    await _parcel(run).terminate(REASON)


async def terminate_payment(run: OrderUnderTest) -> None:
    """Somebody terminates the workflow of the payment."""
    await run.order_when(is_booked)
    await run.environment.client.get_workflow_handle(payment_workflow_id(run.order_id)).terminate(REASON)


async def receive_goods(run: OrderUnderTest) -> None:
    """A supplier delivers what is missing."""
    await run.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    arrival = {"kind": "received", "quantity": run.units, "warehouse": "BER"}
    headers = {"Idempotency-Key": run.order_id}
    path = f"/v1/stock/{run.sku}/movements"
    response = await asyncio.to_thread(run.environment.staff.post, path, json=arrival, headers=headers)
    response.raise_for_status()
    run.received = True


async def receive_goods_late(run: OrderUnderTest) -> None:
    """A supplier delivers only after the order has extended its reservation."""
    await run.struck()
    await receive_goods(run)


async def receive_goods_after_expiry(run: OrderUnderTest) -> None:
    """The authorization expires before the goods arrive."""
    order = await run.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    if order.payment.held.amount:
        await _at_provider(run, f"_control/advance/{_payment_id(run)}")
    await receive_goods(run)


async def refund(run: OrderUnderTest) -> None:
    """Staff refund a part after the order was paid."""
    await _refund(run, await _paid_order(run), run.follow_up_id)


async def refund_again_after_failure(run: OrderUnderTest) -> None:
    """A refund fails days after it succeeded, and staff refund again."""
    order = await _paid_order(run)
    await _refund(run, order, run.follow_up_id)
    name = await asyncio.to_thread(_refund_at_provider, run)
    run.arm(name)
    await _at_provider(run, f"_control/advance/{name}?fails=true")
    failed = run.environment.client.get_workflow_handle(failed_refund_workflow_id(name))
    await _result_when_started(failed)
    await _refund(run, order, str(uuid.uuid4()))


async def dispute_and_accept(run: OrderUnderTest) -> None:
    """The customer disputes the payment; staff submit evidence, then accept the dispute."""
    order = await _paid_order(run)
    if not order.payment.captured.amount:  # cancelled meanwhile
        return
    name = f"dp_{run.follow_up_id}"
    await _at_provider(run, "_control/disputes", payment_intent=_payment_id(run), id=name)
    await run.order_when(lambda order: order.payment_status is PaymentStatus.DISPUTED, final=False)
    dispute: WorkflowHandle[DisputeWorkflow, DisputeEnded] = run.environment.client.get_workflow_handle_for(
        DisputeWorkflow.run, dispute_workflow_id(name)
    )
    decision = OperatorDecision(actor=STAFF, reason=REASON, text="signed for")
    await dispute.execute_update(DisputeWorkflow.submit_evidence, decision)
    await dispute.execute_update(DisputeWorkflow.accept, decision)
    await dispute.result()


async def cancel_and_pay_anyway(run: OrderUnderTest) -> None:
    """The customer cancels during authentication, and the payment succeeds afterwards."""
    intent = _intent_to_confirm(await run.order_when(lambda order: order.payment_action is not None))
    await run.cancel()
    await run.handle.result()
    run.arm(intent)
    await _at_provider(run, "_control/succeed_late", payment_intent=intent)
    await _result_when_started(run.environment.client.get_workflow_handle(orphaned_payment_workflow_id(intent)))


async def refund_at_dashboard(run: OrderUnderTest) -> None:
    """Somebody refunds at the provider's dashboard, and staff have the ledger follow."""
    order = await _paid_order(run)
    form = {"payment_intent": _payment_id(run), "amount": run.amount}
    headers = {"Authorization": f"Bearer {run.environment.provider_key}"}
    address = f"{run.environment.sides.provider}/v1/refunds"
    (await asyncio.to_thread(httpx2.post, address, data=form, headers=headers)).raise_for_status()
    await _repair(run, order.id)


async def corrupt_payment_status(run: OrderUnderTest) -> None:
    """An order's payment status contradicts its ledger, and staff have it corrected."""
    order = await _paid_order(run)
    update = sa.update(orders).where(orders.c.id == order.id).values(payment_status=PaymentStatus.AUTHORIZED)
    with run.environment.sides.stores.engine.begin() as connection:
        connection.execute(update)
    await _repair(run, order.id)
    await run.order_when(lambda order: order.payment_status is PaymentStatus.CAPTURED, final=False)


async def _repair(run: OrderUnderTest, order_id: str) -> None:
    """Reconcile until the difference is found, and decide to apply it."""
    found = payment_differences.c
    query = sa.select(found.id).where(found.order_id == order_id, found.status == DifferenceStatus.OPEN)
    difference = None
    while difference is None:
        # One run compares all orders, so those that wait for one at the same time share it.
        await run.environment.client.execute_workflow(
            PaymentReconciliationWorkflow.run,
            id="reconciliation-matrix",
            task_queue=PAYMENTS_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        with run.environment.sides.stores.engine.connect() as connection:
            difference = connection.scalar(query)
    decision = DecideDifference(
        decision_id=run.follow_up_id,
        difference_id=difference,
        action=DecisionAction.APPLY,
        reason=REASON,
        actor=STAFF,
    )
    answer = await run.environment.client.execute_workflow(
        PaymentRepairWorkflow.run, decision, id=payment_repair_workflow_id(run.follow_up_id), task_queue=PAYMENTS_QUEUE
    )
    if answer.difference is None or answer.difference.status is not DifferenceStatus.REPAIRED:
        run.errors.append(f"repair: the decision led to {answer}")


async def _refund(run: OrderUnderTest, order: OrderView, refund_id: str) -> None:
    request = RefundInput(
        refund_id=refund_id,
        order_id=order.id,
        amount=run.amount,
        currency=order.total.currency,
        reason=REASON,
        actor=STAFF,
    )
    await run.environment.client.execute_workflow(
        RefundWorkflow.run, request, id=refund_workflow_id(refund_id), task_queue=PAYMENTS_QUEUE
    )


async def _result_when_started(workflow: WorkflowHandle[Any, Any]) -> None:
    """Wait for the end of a workflow that a webhook starts."""
    while True:
        with suppress(RPCError):  # it has not started yet
            await workflow.result()
            return
        await asyncio.sleep(0.1)


def _refund_at_provider(run: OrderUnderTest) -> str:
    part = refund_parts.c
    own = part.refund_id == run.follow_up_id, part.provider_refund_id.is_not(None)
    query = sa.select(part.provider_refund_id).where(*own)
    with run.environment.sides.stores.engine.connect() as connection:
        return str(connection.scalars(query).one())


async def _paid_order(run: OrderUnderTest) -> OrderView:
    await run.handle.result()  # it may be delivered a moment before its payment is captured
    return await run.order_when(lambda order: order.payment.captured.amount)


def _payment_id(run: OrderUnderTest) -> str:
    return Ledger(run.environment.sides.stores.engine).entries(run.order_id)[0].provider_id


def _intent_to_confirm(order: OrderView) -> str:
    """The provider's id of the payment that the customer is to confirm; empty when it is cancelled meanwhile."""
    secret = order.payment_action.client_secret if order.payment_action is not None else None
    return (secret or "").partition("_secret_")[0]


def is_booked(order: OrderView) -> bool:
    """Whether the carrier has booked its first parcel."""
    return bool(order.parcels) and order.parcels[0].tracking_number is not None


def _parcel(run: OrderUnderTest) -> WorkflowHandle[Any, Any]:
    return run.environment.client.get_workflow_handle(fulfilment_workflow_id(run.order_id, 1))


async def move_parcel(run: OrderUnderTest, status: str, parcel: int = 1, *, silent: bool = False) -> None:
    """Move a parcel at the carrier, where it waits for that."""
    carrier, reference = run.environment.sides.carrier, parcel_reference(run.order_id, parcel)
    found = (await asyncio.to_thread(httpx2.get, f"{carrier}/_ledger", params={"reference": reference})).json()["data"]
    standing = [one for one in found if one["status"] != ParcelStatus.CANCELLED]
    if not standing:  # the order was cancelled meanwhile
        return
    address = f"{carrier}/_control/shipments/{standing[0]['id']}/advance"
    moved = await asyncio.to_thread(httpx2.post, address, json={"to": status, "silent": silent})
    moved.raise_for_status()


async def _at_provider(run: OrderUnderTest, path: str, **body: Any) -> None:
    await asyncio.to_thread(httpx2.post, f"{run.environment.sides.provider}/{path}", json=body)
