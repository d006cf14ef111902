"""How `make histories` places an order: as a customer, over HTTP, until the order has come to its end."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
from temporalio.client import Client

from adapters.connections import Connections
from dev.seed_catalog import catalog
from dev.testbed import Testbed
from domain.events import EventType

PATIENCE_SECONDS = 60
_FINAL = ("delivered", "failed", "cancelled", "compensation_blocked")  # the last waits for staff
# Writes the history of a workflow by its id, under a name.
Keep = Callable[[Client, str, str], Awaitable[None]]
_RECORDING_SINCE = datetime.now(UTC)
VISA = "pm_card_visa"
_PASSWORD = "recording histories"  # noqa: S105


async def first_of(client: Client, workflow_type: str) -> str:
    """The id of a workflow of this type that was started by this recording; an earlier one may be of other code."""
    query = f"WorkflowType = '{workflow_type}' AND StartTime >= '{_RECORDING_SINCE.isoformat()}'"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async for started in client.list_workflows(query, limit=1):
                return started.id
            await asyncio.sleep(0.2)


class RecordedOrders:
    """A customer who places orders."""

    def __init__(self, bed: Testbed, stores: Connections) -> None:
        self.disputes: dict[str, str] = {}
        self._bed = bed
        self._stores = stores
        self._client = httpx2.Client(base_url=bed.url("API_PORT"), timeout=30)
        account = {"email": f"recorder-{uuid.uuid4().hex[:8]}@shop.example.com", "password": _PASSWORD}
        self._client.post("/v1/users", json={**account, "name": "Recorder"}).raise_for_status()
        form = {"grant_type": "password", "username": account["email"], "password": _PASSWORD}
        token = self._client.post("/oauth2/token", data=form).raise_for_status().json()
        self._client.headers["Authorization"] = f"Bearer {token['access_token']}"

    def _order(
        self,
        lines: dict[str, int],
        *,
        payment_method: str = VISA,
        postal_code: str = "10117",
        meanwhile: Callable[[], None] | None = None,
        then: Callable[[str], None] | None = None,
        **more: object,
    ) -> str:
        cart: dict[str, Any] = {}
        self._client.delete("/v1/cart").raise_for_status()
        for sku, quantity in lines.items():
            cart = self._client.put(f"/v1/cart/items/{sku}", json={"quantity": quantity}).raise_for_status().json()
        if meanwhile is not None:
            meanwhile()
        place = {"name": "Recorder", "line1": "Straße 1", "city": "Berlin", "country": "DE"}
        address = place | {"postal_code": postal_code}
        order = {"cart_version": cart["version"], "shipping_address": address, "payment_method": payment_method, **more}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self._client.post("/v1/checkouts", json=order, headers=key).json()
        order_id: str = answer.get("id") or answer["order_id"]
        if then is not None:
            then(order_id)
        wait_for(lambda: self.status(order_id) in _FINAL)
        return order_id

    def status(self, order_id: str) -> str:
        """The order's status."""
        return str(self._client.get(f"/v1/orders/{order_id}").json()["status"])

    def _parcel(self, order_id: str) -> dict[str, Any]:
        parcels: list[dict[str, Any]] = self._client.get(f"/v1/orders/{order_id}").json()["parcels"]
        return parcels[0]

    def _deliver(self, order_id: str, to: str = "delivered", parcel: int = 1) -> None:
        """The carrier delivers the parcel, which waits for that, or it comes to another end."""
        carrier = self._bed.url("CARRIER_SIMULATOR_PORT")
        newest = httpx2.get(f"{carrier}/_ledger", params={"reference": f"{order_id}-{parcel}"}).json()["data"][0]
        advance = f"{carrier}/_control/shipments/{newest['id']}/advance"
        httpx2.post(advance, json={"to": to}).raise_for_status()

    def _newest_at(self, event_type: EventType) -> str:
        def find() -> str | None:
            newest = self._client.get("/v1/orders", params={"limit": 1}).json()["items"][0]
            history = self._client.get(f"/v1/orders/{newest['id']}/history").json()["items"]
            return newest["id"] if history[-1]["type"] == event_type else None

        return str(wait_for(find))


def sku_in(warehouse: str, not_in: str | None = None) -> str:
    """A SKU of the sample catalog that this warehouse has in stock, and the other one has not."""
    return next(
        sku
        for entry in catalog(300)
        for sku, units in entry.units.items()
        if units.get(warehouse, 0) > 1 and (not_in is None or not units.get(not_in))
    )


def wait_for(look: Callable[[], Any]) -> Any:
    """What `look` finds in the end; SystemExit when that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise SystemExit("An order did not come to its end; see .state/testbed/*/order-worker.log.")
        time.sleep(0.1)
    return found
