"""order-admin: takes over an order that no workflow looks after."""

import asyncio
import uuid

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from domain.actors import ORDER_ADMIN_ACTOR
from schemas.checkout import Adoption, CheckoutInput
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.connection import connect_temporal
from temporal_clients.errors import UpdateRefused
from workers.steps import Step, StepFailed
from workflows.names import order_workflow_id


def adopt_step(stores: Connections, order_id: str, reason: str) -> Step:
    """Start the workflow that ends the order rightly; fails when one of the order runs."""

    def act() -> str:
        order = OrderStore(stores.engine).checkout_of(order_id, Adoption(actor=ORDER_ADMIN_ACTOR, reason=reason))
        if order is None:
            raise StepFailed(f"There is no order {order_id}; an order's id is a UUID, `GET /v1/ops/orders` finds it.")
        try:
            asyncio.run(_adopt(stores, order))
        except UpdateRefused as refusal:
            raise StepFailed(f"{refusal.message} Nothing was done.") from refusal
        return f"adopted, its workflow is {order_workflow_id(order_id)}"

    return Step(f"Order {order_id}", act, "Are MySQL and Temporal running? `make status` shows the development stack.")


async def _adopt(stores: Connections, order: CheckoutInput) -> None:
    settings = stores.settings
    client = await connect_temporal(settings.temporal_address, settings.temporal_namespace)
    await CheckoutClient(client, settings.checkout_answer_seconds).adopt(order, str(uuid.uuid4()))
