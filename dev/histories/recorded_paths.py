"""The orders that histories are recorded of: one customer's, one for each path an order can take."""

import threading
import uuid
from collections.abc import Callable

import httpx2

from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.credit import Granter, StoreCredit
from dev.carrier_simulator.wire import UNDELIVERABLE_POSTAL_CODE, WAITING_POSTAL_CODE
from dev.histories.dispute_histories import DisputePaths
from dev.histories.record_failed_refund import FailedRefundPaths
from dev.histories.record_orphaned_payment import OrphanedPaymentPaths
from dev.histories.recorded_orders import VISA, sku_in, wait_for
from domain.actors import staff_actor
from domain.events import EventType
from domain.vouchers import VoucherKind
from schemas.credit import CreditAmount, GrantCredit
from schemas.stock import ChangeWarehouse
from schemas.vouchers import NewVoucher
from workers.service_accounts import SUPPLIER_SIMULATOR
from workers.service_client import ServiceClient, service_client

_DECLINED, _SECURE = "pm_card_chargeDeclined", "pm_card_threeDSecure2Required"


class Recorder(DisputePaths, OrphanedPaymentPaths, FailedRefundPaths):
    """Places orders as a customer, one for each path."""

    def delivered(self) -> str:
        """Everything goes well."""
        return self._order({sku_in("BER"): 2})

    def two_parcels(self) -> str:
        """What no single warehouse has ships as two parcels."""
        return self._order({sku_in("BER", not_in="AMS"): 1, sku_in("AMS", not_in="BER"): 1})

    def declined(self) -> str:
        """The card is declined, and nobody pays in time."""
        return self._order({sku_in("BER"): 1}, payment_method=_DECLINED)

    def payment_retried(self) -> str:
        """The card is declined, and another one pays."""
        return self._order({sku_in("BER"): 1}, payment_method=_DECLINED, then=self._pay_by_another_card)

    def authenticated(self) -> str:
        """The payment requires authentication, and the customer confirms it."""
        return self._order({sku_in("BER"): 1}, payment_method=_SECURE, then=self._authenticate)

    def unauthenticated(self) -> str:
        """The payment requires authentication, and the customer never confirms it."""
        return self._order({sku_in("BER"): 1}, payment_method=_SECURE)

    def undecided(self) -> str:
        """The bank decides about the payment only after the order's time is over."""
        return self._order({sku_in("BER"): 1}, payment_method="pm_card_slowBank")

    def voucher(self) -> str:
        """A voucher reduces the price."""
        Vouchers(self._stores.engine).create(NewVoucher(code="HISTORY", kind=VoucherKind.PERCENT, basis_points=1000))
        return self._order({sku_in("BER"): 1}, discount_code="HISTORY")

    def refused(self) -> str:
        """The carrier refuses the parcel."""
        return self._order({sku_in("BER"): 1}, postal_code=UNDELIVERABLE_POSTAL_CODE)

    def void_refused(self) -> str:
        """The carrier refuses the parcel and the provider refuses the void; ends waiting for staff."""
        self._fault("400", "cancel")
        return self._order({sku_in("BER"): 1}, postal_code=UNDELIVERABLE_POSTAL_CODE)

    def interrupted(self, then: Callable[[str], None]) -> str:
        """Something stops it while its parcel waits at the carrier; ends waiting for staff."""
        return self._order({sku_in("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=then)

    def risky(self, then: Callable[[str], None]) -> str:
        """The provider reports an elevated risk, and the order is on hold for review."""
        return self._order({sku_in("BER"): 1}, payment_method="pm_card_riskLevelElevated", then=then)

    def captured_once(self) -> str:
        """Two parcels, and a card that allows one capture: the rest is reauthorized."""
        lines = {sku_in("BER", not_in="AMS"): 1, sku_in("AMS", not_in="BER"): 1}
        return self._order(lines, payment_method="pm_card_captureOnce")

    def cancelled(self) -> str:
        """The customer cancels while the payment is being authorized."""
        self._fault("latency", "create", seconds=3)
        placing = threading.Thread(target=lambda: self._order({sku_in("BER"): 1}))
        placing.start()
        order_id = self._newest_at(EventType.ORDER_STOCK_RESERVED)
        self._client.post(f"/v1/orders/{order_id}/cancel", json={}).raise_for_status()
        placing.join()
        return order_id

    def lines_cancelled(self) -> str:
        """The customer cancels one of two units in a booked parcel, and gets the other."""
        sku = sku_in("BER")

        def cancel(order_id: str) -> None:
            wait_for(lambda: self._parcel(order_id)["status"] == "booked")
            body = {"lines": [{"sku": sku, "quantity": 1}]}
            self._client.post(f"/v1/orders/{order_id}/cancel", json=body).raise_for_status()
            wait_for(lambda: self._parcel(order_id)["status"] == "booked")
            self._deliver(order_id)

        return self._order({sku: 2}, postal_code=WAITING_POSTAL_CODE, then=cancel)

    def returned(self) -> str:
        """The parcel cannot be delivered and comes back."""

        def come_back(order_id: str) -> None:
            wait_for(lambda: self._parcel(order_id)["status"] == "booked")
            self._deliver(order_id, "returned")

        return self._order({sku_in("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=come_back)

    def lost(self) -> str:
        """The carrier loses the parcel."""

        def lose(order_id: str) -> None:
            wait_for(lambda: self._parcel(order_id)["status"] == "booked")
            self._deliver(order_id, "lost")

        return self._order({sku_in("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=lose)

    def deliver_again(self, order_id: str) -> None:
        """What is shipped in the place of the first parcel is delivered."""
        wait_for(lambda: self._client.get(f"/v1/orders/{order_id}").json()["parcels"][-1]["status"] == "booked")
        self._deliver(order_id, parcel=2)

    def picked_short(self, pick: Callable[[str, str], None]) -> str:
        """Staff find one of two units when they pick the parcel, and the customer gets that one."""
        stock, sku = Stock(self._stores.engine), sku_in("AMS", not_in="BER")

        def pick_and_deliver(order_id: str) -> None:
            pick(order_id, sku)
            wait_for(lambda: self._parcel(order_id)["status"] == "booked")
            self._deliver(order_id)

        stock.change_warehouse("AMS", ChangeWarehouse(pick_required=True))
        order_id = self._order({sku: 2}, postal_code=WAITING_POSTAL_CODE, then=pick_and_deliver)
        stock.change_warehouse("AMS", ChangeWarehouse(pick_required=False))
        return order_id

    def outcome_unknown(self) -> str:
        """The provider stores failures under our keys, once after it acted and once before."""
        self._fault("error_after", "create")
        self._fault("500", "capture")
        return self._order({sku_in("BER"): 1})

    def store_credit(self) -> str:
        """Store credit pays what it can, and a card the rest."""
        self._grant(500)
        return self._order({sku_in("BER"): 1}, use_store_credit=True)

    def credit_voided(self) -> str:
        """Store credit pays a part, the card is declined for the rest, and nobody pays in time."""
        self._grant(500)
        return self._order({sku_in("BER"): 1}, payment_method=_DECLINED, use_store_credit=True)

    def slow_bank(self) -> str:
        """A refund of this order will be pending for a while."""
        return self._order({sku_in("BER"): 1}, payment_method="pm_card_pendingRefund")

    def reauthorized(self) -> str:
        """The authorization expires before the goods arrive."""
        return self.backordered(EventType.PAYMENT_VOIDED)

    def address_changed(self) -> str:
        """While the goods have yet to arrive, the customer moves to where the order costs more, and pays for that."""
        return self.backordered(meanwhile=self._move_to_denmark)

    def backordered(
        self, until: EventType = EventType.ORDER_CONFIRMED, meanwhile: Callable[[str], None] | None = None
    ) -> str:
        """The goods are not in stock yet when they are ordered."""
        sku = sku_in("BER", not_in="AMS")
        with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
            if on_hand := staff.get(f"/v1/stock/{sku}").json()["totals"]["on_hand"]:
                _move(staff, sku, kind="adjusted", quantity=-on_hand, reason="recording histories")
            staff.patch(f"/v1/stock/{sku}", json={"backorderable": True}).raise_for_status()
            placing = threading.Thread(target=lambda: self._order({sku: 1}))
            placing.start()
            order_id = self._newest_at(until)
            if meanwhile is not None:
                meanwhile(order_id)
            _move(staff, sku, kind="received", quantity=1)
            placing.join()
        return order_id

    def partly_available(self) -> str:
        """Stock runs short, and the customer takes what is available."""
        sku = sku_in("BER", not_in="AMS")

        def lose_all_but_one() -> None:
            with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
                available = staff.get(f"/v1/stock/{sku}").json()["totals"]["available"]
                _move(staff, sku, kind="adjusted", quantity=1 - available, reason="recording histories")

        def decide(order_id: str) -> None:
            key = {"Idempotency-Key": str(uuid.uuid4())}
            choice = {"choice": "take_available"}
            self._client.post(f"/v1/orders/{order_id}/decision", json=choice, headers=key).raise_for_status()

        with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
            _move(staff, sku, kind="received", quantity=2)
        return self._order({sku: 2}, meanwhile=lose_all_but_one, then=decide, on_shortage="ask")

    def event_ids(self, order_id: str) -> list[str]:
        """The ids of the order's events."""
        items = self._client.get(f"/v1/orders/{order_id}/history").raise_for_status().json()["items"]
        return [item["id"] for item in items]

    def _grant(self, amount: int) -> None:
        customer = self._client.get("/v1/users/me").raise_for_status().json()["id"]
        grant = GrantCredit(amount=CreditAmount(amount=amount, currency="EUR"), reason="recording histories")
        StoreCredit(self._stores.engine).grant(customer, grant, Granter(staff_actor("1"), str(uuid.uuid4())))

    def _fault(self, kind: str, operation: str, seconds: float = 0) -> None:
        fault = {"kind": kind, "match": {"operation": operation}, "seconds": seconds}
        httpx2.post(f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults", json=fault).raise_for_status()

    def _pay_by_another_card(self, order_id: str) -> None:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        paid = self._client.post(f"/v1/orders/{order_id}/payment", json={"payment_method": VISA}, headers=key)
        paid.raise_for_status()

    def _move_to_denmark(self, order_id: str) -> None:
        place = {"name": "Recorder", "line1": "Kanalgade 1", "city": "Odense", "postal_code": "5000", "country": "DK"}
        body = {"shipping_address": place, "payment_method": VISA}

        def is_changed() -> bool:
            """At first the parcel has not been handed to its warehouse."""
            key = {"Idempotency-Key": str(uuid.uuid4())}
            return self._client.post(f"/v1/orders/{order_id}/address", json=body, headers=key).status_code == 200

        wait_for(is_changed)

    def _authenticate(self, order_id: str) -> None:
        order = self._client.get(f"/v1/orders/{order_id}").json()
        intent = order["payment_action"]["client_secret"].partition("_secret_")[0]
        address = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/authenticate"
        httpx2.post(address, json={"payment_intent": intent}).raise_for_status()


def _move(staff: ServiceClient, sku: str, **movement: object) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = staff.post(f"/v1/stock/{sku}/movements", json={"warehouse": "BER", **movement}, headers=headers)
    answer.raise_for_status()
