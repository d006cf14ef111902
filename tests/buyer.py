"""A customer at the checkout, over HTTP, who also looks at what the payment provider did."""

import time
import uuid

import httpx2

from tests.fixture_types import Headers, Json

ADDRESS = {"name": "Ada Lovelace", "line1": "Lindenweg 1", "city": "Berlin", "postal_code": "11111", "country": "DE"}
DECLINED, SECURE, VISA = "pm_card_chargeDeclined", "pm_card_threeDSecure2Required", "pm_card_visa"


class Buyer:
    """A customer at the checkout."""

    def __init__(self, api: httpx2.Client, headers: Headers, simulator: str) -> None:
        self.api = api
        self.headers = headers
        self._simulator = simulator

    def fill(self, sku: str, quantity: int = 1) -> int:
        cart = self.api.put(f"/v1/cart/items/{sku}", json={"quantity": quantity}, headers=self.headers).json()
        return int(cart["version"])

    def post(self, path: str, body: Json, key: str | None = None) -> httpx2.Response:
        return self.api.post(path, json=body, headers=self.headers | {"Idempotency-Key": key or uuid.uuid4().hex})

    def check_out(self, version: int, method: str = VISA, key: str | None = None, **fields: object) -> httpx2.Response:
        body = {"cart_version": version, "shipping_address": ADDRESS, "payment_method": method, **fields}
        return self.post("/v1/checkouts", body, key)

    def pay(self, order_id: str, method: str = VISA, key: str | None = None) -> httpx2.Response:
        return self.post(f"/v1/orders/{order_id}/payment", {"payment_method": method}, key)

    def decide(self, order_id: str, choice: str, key: str | None = None) -> httpx2.Response:
        return self.post(f"/v1/orders/{order_id}/decision", {"choice": choice}, key)

    def order(self, order_id: str) -> Json:
        found: Json = self.api.get(f"/v1/orders/{order_id}", headers=self.headers).json()
        return found

    def until(self, order_id: str, *statuses: str) -> Json:
        deadline = time.monotonic() + 120
        while (order := self.order(order_id))["status"] not in statuses:
            assert time.monotonic() < deadline, order
            time.sleep(0.1)
        return order

    def until_event(self, order_id: str, event: str) -> None:
        deadline = time.monotonic() + 120
        seen: list[str] = []
        while event not in seen:
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
            history = self.api.get(f"/v1/orders/{order_id}/history", headers=self.headers).json()["items"]
            seen = [one["type"] for one in history]

    def effects(self, order_id: str) -> list[str]:
        rows = httpx2.get(f"{self._simulator}/_ledger", params={"order_id": order_id}).json()["data"]
        return [row["effect"] for row in rows]

    def authenticate(self, order: Json, outcome: str = "succeeded") -> None:
        intent = order["payment_action"]["client_secret"].partition("_secret_")[0]
        answer = {"payment_intent": intent, "outcome": outcome}
        httpx2.post(f"{self._simulator}/_control/authenticate", json=answer).raise_for_status()
