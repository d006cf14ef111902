"""The paths of an order whose payment is disputed, most of them before it is dispatched."""

import time

import httpx2

from adapters.mysql.payments.ledger import Ledger
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.histories.recorded_orders import RecordedOrders, sku_in, wait_for


class DisputePaths(RecordedOrders):
    """The parcel is booked, put on hold, and then dispatched or not; `disputes` has the disputes by outcome."""

    def dispute_won(self) -> str:
        """The bank decides for us, and the parcel is booked again."""

        def deliver(order_id: str) -> None:
            self._dispute(order_id, "won")
            wait_for(lambda: self._parcel(order_id)["status"] == "booked")
            self._deliver(order_id)

        return self._order({sku_in("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=deliver)

    def dispute_lost(self) -> str:
        """The bank decides against us, and nothing is dispatched."""
        return self._order(
            {sku_in("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=lambda order_id: self._dispute(order_id, "lost")
        )

    def charge_back(self, order_id: str) -> str:
        """The payment of a delivered order is charged back; answers the dispute's id."""
        wait_for(lambda: self._payment_status(order_id) == "captured")
        dispute = self._open_dispute(order_id, inquiry=False)
        wait_for(lambda: self._payment_status(order_id) == "disputed")
        return dispute

    def _open_dispute(self, order_id: str, *, inquiry: bool) -> str:
        payment = Ledger(self._stores.engine).entries(order_id)[0].provider_id
        opening = {"payment_intent": payment, "inquiry": inquiry}
        provider = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/disputes"
        return str(httpx2.post(provider, json=opening).raise_for_status().json()["id"])

    def _dispute(self, order_id: str, outcome: str) -> None:
        wait_for(lambda: self._parcel(order_id)["status"] == "booked")
        self.disputes[outcome] = dispute = self._open_dispute(order_id, inquiry=True)
        wait_for(lambda: self._parcel(order_id)["status"] == "on_hold")
        time.sleep(1)  # until the order shows it as well
        decide = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/disputes/{dispute}/decide"
        httpx2.post(decide, json={"outcome": outcome}).raise_for_status()

    def _payment_status(self, order_id: str) -> str:
        return str(self._client.get(f"/v1/orders/{order_id}").json()["payment_status"])
