"""Several askers want the same money at the same moment: mistakes that only a crowd can bring out."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import httpx2

from adapters.mysql.payments.refunds import Refunds
from bench.shop import open_shop, put_on_sale
from dev.fault_matrix import people
from dev.fault_matrix.faults import Fault, Kind
from dev.fault_matrix.matrix import Result, look, staged
from dev.fault_matrix.people import STAFF, WHY
from dev.fault_matrix.play import Play, Stage
from dev.fault_matrix.scenarios import PAID_WITH_CREDIT, PENDING_REFUND, Cell, Course
from dev.testbed import Testbed
from schemas.refunds import RefundAnswer, RefundInput
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.payments.refunds import RefundWorkflow

_UNTOUCHED = Fault("none", Kind.KILLED)


async def share_credit(bed: Testbed, orders: int) -> Result:
    """Orders of one customer, whose store credit is enough for a part of one, are placed at the same moment."""
    result, cell = Result(0), Cell(_UNTOUCHED, Course.GOES_ON, PAID_WITH_CREDIT)
    async with staged(bed, 0) as (stage, stores, _):
        open_shop(stores)
        customer = str(uuid.uuid4())
        skus = [f"SHARED-{number}" for number in range(orders)]
        put_on_sale(stores, skus, [(sku, "BER", PAID_WITH_CREDIT.there) for sku in skus])
        await asyncio.gather(*(Play(stage, cell, sku, customer).to_the_end() for sku in skus))
        await look(stage.sides, result)
    return result


async def refund_at_once(bed: Testbed, askers: int) -> tuple[Result, list[RefundAnswer]]:
    """Staff give all of an order's money back, several of them at the same moment.

    The provider is away until each of them is noted or refused: what was promised too much can be seen until then, and
    no longer once it has refused the second.
    """
    result = Result(0)
    async with staged(bed, 0) as (stage, stores, _):
        open_shop(stores)
        put_on_sale(stores, ["RIVALS"], [("RIVALS", "BER", PENDING_REFUND.there)])
        play = Play(stage, Cell(_UNTOUCHED, Course.GOES_ON, replace(PENDING_REFUND, people=people.nothing)), "RIVALS")
        await play.to_the_end()
        order = await play.order_when(lambda order: order.payment.captured.amount)
        async with httpx2.AsyncClient(base_url=stage.sides.provider) as provider:
            away = {"kind": "fail_before", "match": {"operation": "refund"}, "times": 1_000}
            (await provider.post("/_control/faults", json=away)).raise_for_status()
            asking = [asyncio.create_task(_refund(stage, order.id, order.total.amount)) for _ in range(askers)]
            await _until_noted(Refunds(stores.engine), order.id, asking)
            await look(stage.sides, result)
            (await provider.delete("/_control/faults")).raise_for_status()
        answers = await asyncio.gather(*asking)
        await look(stage.sides, result)
    return result, answers


async def _until_noted(refunds: Refunds, order_id: str, asking: Sequence[asyncio.Task[RefundAnswer]]) -> None:
    """Who is answered while the provider is away was refused."""
    noted = 0
    while noted + sum(one.done() for one in asking) < len(asking):
        await asyncio.sleep(0.1)
        noted = len((await asyncio.to_thread(refunds.of_order, order_id)).items)


async def _refund(stage: Stage, order_id: str, amount: int) -> RefundAnswer:
    wanted = RefundInput(refund_id=str(uuid.uuid4()), order_id=order_id, amount=amount, reason=WHY, actor=STAFF)
    return await stage.client.execute_workflow(
        RefundWorkflow.run, wanted, id=refund_workflow_id(wanted.refund_id), task_queue=PAYMENTS_QUEUE
    )
