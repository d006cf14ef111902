"""The paths of an order whose payment is disputed, most of them before anything of it has left."""

import time
from typing import Any

import httpx2

from adapters.mysql.payments.ledger import Ledger
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.recorded_orders import RecordedOrders, in_, wait


class DisputePaths(RecordedOrders):
    """The parcel is booked, kept back, and then sent after all, or not; `disputes` has the disputes by outcome."""

    def dispute_won(self) -> str:
        """The bank asks, decides for us, and the parcel is booked anew."""

        def go_on(order_id: str) -> None:
            self._dispute(order_id, "won")
            wait(lambda: self._parcel(order_id)["status"] == "booked")
            moved = {"to": "delivered"}
            carrier = self._bed.url("CARRIER_SIMULATOR_PORT")
            newest = httpx2.get(f"{carrier}/_ledger", params={"reference": f"{order_id}-1"}).json()["data"][0]
            httpx2.post(f"{carrier}/_control/shipments/{newest['id']}/advance", json=moved).raise_for_status()

        return self._order({in_("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=go_on)

    def dispute_lost(self) -> str:
        """The bank decides against us, and nothing is sent."""
        return self._order(
            {in_("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=lambda order_id: self._dispute(order_id, "lost")
        )

    def charge_back(self, order_id: str) -> str:
        """The bank takes back what was paid for a delivered order; answers what it calls that."""
        dispute = self._begin_dispute(order_id, inquiry=False)
        wait(lambda: self._client.get(f"/v1/orders/{order_id}").json()["payment_status"] == "disputed")
        return dispute

    def _begin_dispute(self, order_id: str, *, inquiry: bool) -> str:
        paid = Ledger(self._stores.engine).entries(order_id)[0].provider_id
        asked = {"payment_intent": paid, "inquiry": inquiry}
        provider = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/disputes"
        return str(httpx2.post(provider, json=asked).raise_for_status().json()["id"])

    def _dispute(self, order_id: str, outcome: str) -> None:
        wait(lambda: self._parcel(order_id)["status"] == "booked")
        self.disputes[outcome] = dispute = self._begin_dispute(order_id, inquiry=True)
        wait(lambda: self._parcel(order_id)["status"] == "on_hold")
        time.sleep(1)  # for the order to say so as well
        decide = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/disputes/{dispute}/decide"
        httpx2.post(decide, json={"outcome": outcome}).raise_for_status()

    def _parcel(self, order_id: str) -> dict[str, Any]:
        parcels: list[dict[str, Any]] = self._client.get(f"/v1/orders/{order_id}").json()["parcels"]
        return parcels[0]
