"""What becomes of a verified webhook of the carrier."""

from typing import Literal

from temporalio.client import Client

from schemas.fulfilment import CarrierEvent
from temporal_clients.updates import signal_if_running
from workflows.names import fulfilment_workflow_id
from workflows.orders.fulfilment import FulfilmentWorkflow


class CarrierEvents:
    """Passes a parcel's events to its FulfilmentWorkflow."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def apply(self, order_id: str, parcel: int, event: CarrierEvent) -> Literal["applied", "ignored"]:
        """Signal the parcel's workflow; `ignored` when there is none."""
        handle = self._client.get_workflow_handle(fulfilment_workflow_id(order_id, parcel))
        return await signal_if_running(handle.signal(FulfilmentWorkflow.carrier_event, event))
