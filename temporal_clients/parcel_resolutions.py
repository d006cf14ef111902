"""Has done what was decided about a parcel that was lost or returned."""

from domain.actors import WATCHDOG_ACTOR
from schemas.parcel_resolutions import ParcelResolutionAnswer, ResolutionAction, ResolveParcel
from temporal_clients.updates import WorkflowClient
from workflows.names import ORDERS_QUEUE, parcel_resolution_workflow_id
from workflows.orders.parcel_resolution import ParcelResolutionWorkflow


class ParcelResolutionClient(WorkflowClient):
    """One workflow for a parcel at a time: who asks while it runs gets its answer, and who asks later the same."""

    async def resolve(self, command: ResolveParcel) -> ParcelResolutionAnswer:
        """Whether it was done, or why not. Raises StillWorking once it is started, TemporalAway when it may not be."""
        answer = await self._result_of(command)
        while answer.action is not None and (answer.action, answer.restock) != (command.action, command.restock):
            answer = await self._result_of(command)  # the one that ran was asked for something else
        return answer

    async def _result_of(self, command: ResolveParcel) -> ParcelResolutionAnswer:
        return await self.result_of(
            ParcelResolutionWorkflow.run,
            command,
            parcel_resolution_workflow_id(command.order_id, command.parcel),
            ORDERS_QUEUE,
            summary=f"{command.action} of parcel {command.parcel} by {command.actor}",
            details=f"Of order `{command.order_id}`",
            again=True,
        )

    async def refund_by_rule(self, order_id: str, parcel: int, reason: str) -> ParcelResolutionAnswer:
        """Refund a parcel that no operator has answered in time; as often as it is asked, once. As `resolve`."""
        return await self.resolve(
            ResolveParcel(
                order_id=order_id, parcel=parcel, action=ResolutionAction.REFUND, reason=reason, actor=WATCHDOG_ACTOR
            )
        )
