"""Refunds, as staff start them."""

import uuid_utils
from temporalio.client import Client, WorkflowHandle

from adapters.payments.client import stripe_client
from adapters.settings import Settings
from schemas.refunds import RefundAnswer, RefundInput, RefundView
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.payments.refunds import RefundWorkflow

STAFF = "staff:1:support"


async def start_refund(
    client: Client,
    order_id: str,
    amount: int | None = None,
    currency: str | None = None,
    parcel: int | None = None,
) -> WorkflowHandle[RefundWorkflow, RefundAnswer]:
    """All that is left where no amount is named."""
    request = RefundInput(
        refund_id=str(uuid_utils.uuid7()),
        order_id=order_id,
        amount=amount,
        currency=currency or ("EUR" if amount else None),
        parcel=parcel,
        reason="arrived with a scratch",
        actor=STAFF,
    )
    return await client.start_workflow(
        RefundWorkflow.run, request, id=refund_workflow_id(request.refund_id), task_queue=PAYMENTS_QUEUE
    )


async def refund(
    client: Client,
    order_id: str,
    amount: int | None = None,
    currency: str | None = None,
    parcel: int | None = None,
) -> RefundAnswer:
    return await (await start_refund(client, order_id, amount, currency, parcel)).result()


def made(answer: RefundAnswer) -> RefundView:
    """The refund, which was not refused."""
    assert answer.refund is not None, answer
    return answer.refund


def refused(answer: RefundAnswer) -> tuple[str | None, int]:
    """Why, and how much may still be refunded."""
    assert answer.refundable is not None, answer
    return answer.code, answer.refundable.amount


def to_card_and_credit(refund: RefundView) -> tuple[int, int]:
    assert refund.card is not None
    assert refund.store_credit is not None
    return refund.card.amount, refund.store_credit.amount


def refunds_at_provider(settings: Settings, order_id: str) -> list[str]:
    """What the provider calls the refunds of an order, newest first."""
    listed = stripe_client(settings).v1.refunds.list({"limit": 100})
    return [one.id for one in listed if (one.to_dict().get("metadata") or {}).get("order_id") == order_id]
