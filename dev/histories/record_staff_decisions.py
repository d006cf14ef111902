"""Histories of orders that staff decide about: on hold for review, picked short, settled by hand, disputed after
delivery.
"""

import asyncio

from temporalio.client import Client

from dev.histories.recorded_orders import PATIENCE_SECONDS, Keep, wait_for
from dev.histories.recorded_paths import Recorder
from domain.actors import staff_actor
from schemas.disputes import OperatorDecision
from schemas.order_requests import SettleCompensation
from schemas.parcel_resolutions import ResolutionAction, ResolveParcel
from schemas.picking import PickedLine, PickParcel
from schemas.risk import Review, Verdict
from temporal_clients.errors import UpdateRefused
from temporal_clients.orders import PickClient
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from workflows.names import (
    dispute_workflow_id,
    fulfilment_workflow_id,
    order_workflow_id,
    parcel_resolution_workflow_id,
    payment_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.disputes import DisputeWorkflow

STAFF_DECISIONS = (
    "checkout-approved",
    "checkout-rejected",
    "payment-rejected",
    "checkout-settled_by_hand",
    "payment-approved",
    "dispute-accepted",
    "parcel-resolution",
    "parcel-resolution-ship_again",
    "fulfilment-shipped_again",
    "checkout-picked_short",
    "fulfilment-picked_short",
)
_STAFF, _REASON = staff_actor("1"), "recording histories"


async def record_staff_decisions(client: Client, recorder: Recorder, keep: Keep) -> None:
    """Each decision that an operator can take about an order, once."""
    for name, verdict in (("approved", Verdict.APPROVE), ("rejected", Verdict.DECLINE)):
        order_id = await _reviewed(client, recorder, verdict)
        await keep(client, order_workflow_id(order_id), f"checkout-{name}")
        await keep(client, payment_workflow_id(order_id), f"payment-{name}")
    order_id = await asyncio.to_thread(recorder.void_refused)
    order = client.get_workflow_handle(order_workflow_id(order_id))
    await order.execute_update(
        CheckoutWorkflow.settle_compensation, SettleCompensation(actor=_STAFF, reason=_REASON, retry=False)
    )
    await keep(client, order.id, "checkout-settled_by_hand")
    await keep(client, await _accepted(client, recorder), "dispute-accepted")
    await keep(client, await _resolved(client, recorder), "parcel-resolution")
    order_id = await _shipped_again(client, recorder)
    await keep(client, parcel_resolution_workflow_id(order_id, 1), "parcel-resolution-ship_again")
    await keep(client, fulfilment_workflow_id(order_id, 2), "fulfilment-shipped_again")
    order_id = await _picked_short(client, recorder)
    await keep(client, order_workflow_id(order_id), "checkout-picked_short")
    await keep(client, fulfilment_workflow_id(order_id, 1), "fulfilment-picked_short")


async def _reviewed(client: Client, recorder: Recorder, verdict: Verdict) -> str:
    """An order with an elevated risk, and the review by staff."""
    loop = asyncio.get_running_loop()

    def decide(order_id: str) -> None:
        wait_for(lambda: recorder.status(order_id) == "on_hold")
        order = client.get_workflow_handle(order_workflow_id(order_id))
        review = order.execute_update(CheckoutWorkflow.review, Review(actor=_STAFF, reason=_REASON, verdict=verdict))
        asyncio.run_coroutine_threadsafe(review, loop).result()

    return await asyncio.to_thread(recorder.risky, decide)


async def _resolved(client: Client, recorder: Recorder) -> str:
    """A parcel is returned; staff refund it and put its goods back into stock."""
    order_id = await asyncio.to_thread(recorder.returned)
    command = ResolveParcel(
        order_id=order_id, parcel=1, action=ResolutionAction.REFUND, reason=_REASON, actor=_STAFF, restock=True
    )
    await ParcelResolutionClient(client, PATIENCE_SECONDS).resolve(command)
    return parcel_resolution_workflow_id(order_id, 1)


async def _shipped_again(client: Client, recorder: Recorder) -> str:
    """A parcel is lost; staff have it shipped again."""
    order_id = await asyncio.to_thread(recorder.lost)
    command = ResolveParcel(
        order_id=order_id, parcel=1, action=ResolutionAction.SHIP_AGAIN, reason=_REASON, actor=_STAFF
    )
    await ParcelResolutionClient(client, PATIENCE_SECONDS).resolve(command)
    await asyncio.to_thread(recorder.deliver_again, order_id)
    return order_id


async def _picked_short(client: Client, recorder: Recorder) -> str:
    """An order of which staff find one unit less than was sold."""
    loop, picking = asyncio.get_running_loop(), PickClient(client, PATIENCE_SECONDS)

    def pick_one(order_id: str, sku: str) -> None:
        pick = PickParcel(lines=[PickedLine(sku=sku, quantity=1)], actor=_STAFF)

        def confirmed() -> bool:
            confirming = picking.confirm(order_id, 1, order_id, pick)
            try:
                asyncio.run_coroutine_threadsafe(confirming, loop).result()
            except UpdateRefused:  # the parcel's workflow has not started yet
                return False
            return True

        wait_for(confirmed)

    return await asyncio.to_thread(recorder.picked_short, pick_one)


async def _accepted(client: Client, recorder: Recorder) -> str:
    """A customer disputes what was delivered; staff submit evidence, then accept the dispute."""
    order_id = await asyncio.to_thread(recorder.delivered)
    dispute_id = await asyncio.to_thread(recorder.charge_back, order_id)
    dispute = client.get_workflow_handle(dispute_workflow_id(dispute_id))
    decision = OperatorDecision(actor=_STAFF, reason=_REASON, text="signed for")
    await dispute.execute_update(DisputeWorkflow.submit_evidence, decision)
    await dispute.execute_update(DisputeWorkflow.accept, decision)
    return dispute.id
