"""Concurrent requests for the same money: mistakes that a single order cannot show."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import httpx2

from adapters.mysql.payments.refunds import Refunds
from dev.fault_matrix.cells import Cell, Course, no_action
from dev.fault_matrix.faults import Fault, Kind
from dev.fault_matrix.matrix import Result, check, shared_environment
from dev.fault_matrix.order import REASON, STAFF, Environment
from dev.fault_matrix.play import Play
from dev.fault_matrix.scenarios import PAID_WITH_CREDIT, PENDING_REFUND
from dev.shop import open_shop, put_on_sale
from dev.testbed import Testbed
from schemas.refunds import RefundAnswer, RefundInput
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.payments.refunds import RefundWorkflow

_NO_FAULT = Fault("none", Kind.KILLED)


async def share_credit(bed: Testbed, orders: int) -> Result:
    """Orders of one customer, whose store credit is enough for a part of one, are placed at the same moment."""
    result, cell = Result(0), Cell(_NO_FAULT, Course.GOES_ON, PAID_WITH_CREDIT)
    async with shared_environment(bed, 0) as (shared, stores, _):
        open_shop(stores)
        customer = str(uuid.uuid4())
        skus = [f"SHARED-{uuid.uuid4().hex[:8].upper()}" for _ in range(orders)]
        put_on_sale(stores, skus, [(sku, "BER", PAID_WITH_CREDIT.in_stock) for sku in skus])
        await asyncio.gather(*(Play(shared, cell, sku, customer).to_the_end() for sku in skus))
        await check(shared.sides, result)
    return result


async def refund_at_once(bed: Testbed, requests: int) -> tuple[Result, list[RefundAnswer]]:
    """Staff refund a whole order, several of them at the same moment.

    The provider is unavailable until each request is recorded or refused: too many accepted refunds can be seen until
    then, and no longer once the provider has refused the second.
    """
    result = Result(0)
    async with shared_environment(bed, 0) as (shared, stores, _):
        open_shop(stores)
        sku = f"RIVALS-{uuid.uuid4().hex[:8].upper()}"
        put_on_sale(stores, [sku], [(sku, "BER", PENDING_REFUND.in_stock)])
        play = Play(shared, Cell(_NO_FAULT, Course.GOES_ON, replace(PENDING_REFUND, action=no_action)), sku)
        await play.to_the_end()
        order = await play.order_when(lambda order: order.payment.captured.amount)
        async with httpx2.AsyncClient(base_url=shared.sides.provider) as provider:
            outage = {"kind": "fail_before", "match": {"operation": "refund"}, "times": 1_000}
            (await provider.post("/_control/faults", json=outage)).raise_for_status()
            pending = [asyncio.create_task(_refund(shared, order.id, order.total.amount)) for _ in range(requests)]
            await _until_recorded(Refunds(stores.engine), order.id, pending)
            await check(shared.sides, result)
            (await provider.delete("/_control/faults")).raise_for_status()
        answers = await asyncio.gather(*pending)
        await check(shared.sides, result)
    return result, answers


async def _until_recorded(refunds: Refunds, order_id: str, pending: Sequence[asyncio.Task[RefundAnswer]]) -> None:
    """A request that is answered while the provider is unavailable was refused."""
    recorded = 0
    while recorded + sum(task.done() for task in pending) < len(pending):
        await asyncio.sleep(0.1)
        recorded = len((await asyncio.to_thread(refunds.of_order, order_id)).items)


async def _refund(shared: Environment, order_id: str, amount: int) -> RefundAnswer:
    request = RefundInput(refund_id=str(uuid.uuid4()), order_id=order_id, amount=amount, reason=REASON, actor=STAFF)
    return await shared.client.execute_workflow(
        RefundWorkflow.run, request, id=refund_workflow_id(request.refund_id), task_queue=PAYMENTS_QUEUE
    )
