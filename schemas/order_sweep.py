"""The sweep: orders, parcels and payments that no workflow looks after any more, and workflows without an order."""

from schemas.base import Payload


class FindWorkflow(Payload):
    """Ask Temporal about a workflow of this id."""

    workflow_id: str


class OrdersSwept(Payload):
    """How many orders were looked at, what was found, and how many earlier findings are mended; some found by name."""

    looked_at: int
    without_workflow: int
    mended: int
    orders: list[str] = []
