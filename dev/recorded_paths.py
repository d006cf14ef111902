"""The orders that histories are recorded of: one customer's, one for each path an order can take."""

import threading
import uuid
from collections.abc import Callable

import httpx2

from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.credit import Granter, StoreCredit
from dev.carrier_simulator.wire import UNDELIVERABLE_POSTAL_CODE, WAITING_POSTAL_CODE
from dev.dispute_histories import DisputePaths
from dev.record_failed_refund import FailedRefundPaths
from dev.record_late_money import LateMoneyPaths
from dev.recorded_orders import VISA, in_
from domain.actors import staff_actor
from domain.events import EventType
from domain.vouchers import VoucherKind
from schemas.credit import CreditAmount, GrantCredit
from schemas.vouchers import NewVoucher
from workers.service_accounts import SUPPLIER_SIMULATOR
from workers.service_client import ServiceClient, service_client

_DECLINED, _SECURE = "pm_card_chargeDeclined", "pm_card_threeDSecure2Required"


class Recorder(DisputePaths, LateMoneyPaths, FailedRefundPaths):
    """Orders as a customer does, one per path."""

    def delivered(self) -> str:
        """Everything goes well."""
        return self._order({in_("BER"): 2})

    def two_parcels(self) -> str:
        """What no single warehouse has ships as two parcels."""
        return self._order({in_("BER", not_in="AMS"): 1, in_("AMS", not_in="BER"): 1})

    def declined(self) -> str:
        """The bank says no, and nobody pays before the time is over."""
        return self._order({in_("BER"): 1}, payment_method=_DECLINED)

    def paid_again(self) -> str:
        """The bank says no, and another card pays."""
        return self._order({in_("BER"): 1}, payment_method=_DECLINED, then=self._pay_by_another_card)

    def authenticated(self) -> str:
        """The bank wants to see its customer, and then says yes."""
        return self._order({in_("BER"): 1}, payment_method=_SECURE, then=self._go_to_the_bank)

    def unauthenticated(self) -> str:
        """The bank wants to see its customer, who never comes."""
        return self._order({in_("BER"): 1}, payment_method=_SECURE)

    def undecided(self) -> str:
        """The bank takes its time over the payment, and the order's is over before."""
        return self._order({in_("BER"): 1}, payment_method="pm_card_slowBank")

    def voucher(self) -> str:
        """Something is given off."""
        Vouchers(self._stores.engine).create(NewVoucher(code="HISTORY", kind=VoucherKind.PERCENT, basis_points=1000))
        return self._order({in_("BER"): 1}, discount_code="HISTORY")

    def refused(self) -> str:
        """The carrier says no."""
        return self._order({in_("BER"): 1}, postal_code=UNDELIVERABLE_POSTAL_CODE)

    def void_called_wrong(self) -> str:
        """The carrier says no, and the provider calls wrong what is to give the money back; ends waiting for staff."""
        self._fault("400", "cancel")
        return self._order({in_("BER"): 1}, postal_code=UNDELIVERABLE_POSTAL_CODE)

    def interrupted(self, then: Callable[[str], None]) -> str:
        """Something happens to it while its parcel waits at the carrier; ends waiting for staff."""
        return self._order({in_("BER"): 1}, postal_code=WAITING_POSTAL_CODE, then=then)

    def risky(self, then: Callable[[str], None]) -> str:
        """The provider calls its payment risky, and it is held for review."""
        return self._order({in_("BER"): 1}, payment_method="pm_card_riskLevelElevated", then=then)

    def captured_once(self) -> str:
        """Two parcels, and a card whose holds are taken once: what is left is held anew."""
        lines = {in_("BER", not_in="AMS"): 1, in_("AMS", not_in="BER"): 1}
        return self._order(lines, payment_method="pm_card_captureOnce")

    def cancelled(self) -> str:
        """The customer changes their mind while the bank is thinking."""
        self._fault("latency", "create", seconds=3)
        placing = threading.Thread(target=lambda: self._order({in_("BER"): 1}))
        placing.start()
        order_id = self._newest_at(EventType.ORDER_STOCK_RESERVED)
        self._client.post(f"/v1/orders/{order_id}/cancel", json={}).raise_for_status()
        placing.join()
        return order_id

    def outcome_unknown(self) -> str:
        """The provider keeps failures under our keys, once having done what was asked and once not."""
        self._fault("error_after", "create")
        self._fault("500", "capture")
        return self._order({in_("BER"): 1})

    def store_credit(self) -> str:
        """Store credit pays what it can, and a card the rest."""
        self._grant(500)
        return self._order({in_("BER"): 1}, use_store_credit=True)

    def credit_back(self) -> str:
        """There is some, the bank says no to the rest, and nobody pays before the time is over."""
        self._grant(500)
        return self._order({in_("BER"): 1}, payment_method=_DECLINED, use_store_credit=True)

    def slow_bank(self) -> str:
        """The bank will take its time over a refund."""
        return self._order({in_("BER"): 1}, payment_method="pm_card_pendingRefund")

    def renewed(self) -> str:
        """The goods take longer than the bank holds the money."""
        return self.backordered(EventType.PAYMENT_VOIDED)

    def backordered(self, until: EventType = EventType.ORDER_CONFIRMED) -> str:
        """The goods have yet to arrive when they are ordered."""
        sku = in_("BER", not_in="AMS")
        with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
            if there := staff.get(f"/v1/stock/{sku}").json()["totals"]["on_hand"]:
                _move(staff, sku, kind="adjusted", quantity=-there, reason="recording histories")
            staff.patch(f"/v1/stock/{sku}", json={"backorderable": True}).raise_for_status()
            placing = threading.Thread(target=lambda: self._order({sku: 1}))
            placing.start()
            order_id = self._newest_at(until)
            _move(staff, sku, kind="received", quantity=1)
            placing.join()
        return order_id

    def taken_in_part(self) -> str:
        """Not everything is there any more, and the customer takes what there is."""
        sku = in_("BER", not_in="AMS")

        def lose_all_but_one() -> None:
            with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
                there = staff.get(f"/v1/stock/{sku}").json()["totals"]["available"]
                _move(staff, sku, kind="adjusted", quantity=1 - there, reason="recording histories")

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
        wanted = GrantCredit(amount=CreditAmount(amount=amount, currency="EUR"), reason="recording histories")
        StoreCredit(self._stores.engine).grant(customer, wanted, Granter(staff_actor("1"), str(uuid.uuid4())))

    def _fault(self, kind: str, operation: str, seconds: float = 0) -> None:
        fault = {"kind": kind, "match": {"operation": operation}, "seconds": seconds}
        httpx2.post(f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults", json=fault).raise_for_status()

    def _pay_by_another_card(self, order_id: str) -> None:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        paid = self._client.post(f"/v1/orders/{order_id}/payment", json={"payment_method": VISA}, headers=key)
        paid.raise_for_status()

    def _go_to_the_bank(self, order_id: str) -> None:
        order = self._client.get(f"/v1/orders/{order_id}").json()
        intent = order["payment_action"]["client_secret"].partition("_secret_")[0]
        address = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/authenticate"
        httpx2.post(address, json={"payment_intent": intent}).raise_for_status()


def _move(staff: ServiceClient, sku: str, **movement: object) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = staff.post(f"/v1/stock/{sku}/movements", json={"warehouse": "BER", **movement}, headers=headers)
    answer.raise_for_status()
