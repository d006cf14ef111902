"""How the FulfilmentWorkflow of an order's parcel is started."""

from typing import TypeAlias

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

from schemas.checkout import CheckoutInput
from schemas.fulfilment import FulfilmentInput, ParcelResult, ParcelUpdated
from schemas.parcels import ParcelPlan
from workflows.names import FULFILMENT_QUEUE, fulfilment_workflow_id
from workflows.parcels.fulfilment import FulfilmentWorkflow
from workflows.reasons import CANCELLED, reason_of
from workflows.running import RunningChild

Child: TypeAlias = ChildWorkflowHandle[FulfilmentWorkflow, ParcelResult] | RunningChild


async def start_parcel(
    order: CheckoutInput, plan: ParcelPlan, parcels: int, *, on_hold: bool, adopt: bool, stop: bool
) -> Child:
    """Start it. Raises WorkflowAlreadyStartedError when it runs."""
    job = FulfilmentInput(
        order_id=order.order_id,
        parcel=plan,
        parcels_in_order=parcels,
        address=order.shipping_address,
        shipping_method=order.shipping_method,
        on_hold=on_hold,
        adopt=adopt,
        stop=stop,
    )
    return await start_fulfilment(job)


async def start_fulfilment(job: FulfilmentInput) -> Child:
    """The same for the whole of its input."""
    plan = job.parcel
    return await workflow.start_child_workflow(
        FulfilmentWorkflow.run,
        job,
        id=fulfilment_workflow_id(job.order_id, plan.number),
        task_queue=FULFILMENT_QUEUE,
        # A parcel is cancelled by signal, so that its shipment is cancelled at the carrier; see `OrderParcels`.
        parent_close_policy=ParentClosePolicy.ABANDON,
        cancellation_type=ChildWorkflowCancellationType.ABANDON,
        static_summary=f"parcel {plan.number} of {job.parcels_in_order} from {plan.warehouse}",
    )


def why_ended(child: Child) -> str:
    """The reason of one that has failed."""
    failure = child.exception()
    return reason_of(failure).message if failure is not None else "without an answer"


def why_none_is_dispatched(last: ParcelUpdated, *, cancelled: bool) -> ApplicationError:
    """The reason of an order of which every parcel was stopped, this one last."""
    if cancelled:
        return ApplicationError("The order was cancelled.", type=CANCELLED, non_retryable=True)
    return ApplicationError(
        last.message or f"Parcel {last.number} was {last.status}.",
        {"parcel": last.number, "carrier_code": last.code},
        type="shipment_refused",
        non_retryable=True,
    )
