"""Orders placed through the gateway one after the other, by a customer who tries again whenever no answer comes."""

import json
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from adapters.settings import load_settings
from dev.topics import messages_of
from schemas.events import ORDERS_TOPIC

_PATIENCE_SECONDS = 600
_PAUSE_SECONDS = 0.5
_PASSWORD = "a rehearsal password, not a secret"  # noqa: S105
_ADDRESS = {
    "name": "Rehearsal Customer",
    "line1": "Unter den Linden 1",
    "city": "Berlin",
    "postal_code": "10117",
    "country": "DE",
}


class NotAnswered(Exception):
    """The shop answered wrongly, or not at all for longer than any outage of the rehearsal."""


@dataclass
class Customer:
    """One who orders until `stop` is set; `failure` says why it ended before."""

    client: httpx2.Client
    placed: list[str] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    asked_again: int = 0
    failure: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    email: str = field(default_factory=lambda: f"rehearsal-{uuid.uuid4().hex[:8]}@shop.example.com")

    def run(self) -> None:
        """Open an account and order; the body of a thread."""
        try:
            account = {"email": self.email, "password": _PASSWORD, "name": "Rehearsal Customer"}
            self._answer(lambda: self.client.post("/v1/users", json=account))
            wanted = {"q": "coffee", "in_stock": "true", "limit": "10"}
            found = self._answer(lambda: self.client.get("/v1/products", params=wanted)).json()["items"]
            skus = [hit["sku"] for hit in found]
            while not self.stop.is_set():
                self._order(skus[len(self.placed) % len(skus)])
        except NotAnswered as wrong:
            self.failure = str(wrong)

    def _order(self, sku: str) -> None:
        cart = self._answer(lambda: self.client.put(f"/v1/cart/items/{sku}", json={"quantity": 1})).json()
        order = {
            "cart_version": cart["version"],
            "shipping_address": _ADDRESS,
            "shipping_method": "express",
            "payment_method": "pm_card_visa",
        }
        # An order keeps its key, so that asking again orders nothing again.
        key = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self._answer(lambda: self.client.post("/v1/checkouts", json=order, headers=key))
        self.placed.append(answer.json()["id"])

    def unfinished(self) -> dict[str, str]:
        """Orders that are not delivered, paid for and without a gap in their events, each with what it is."""
        states = {order: self._state(order) for order in self.placed if order not in self.events}
        return {order: state for order, state in states.items() if state}

    def _state(self, order_id: str) -> str:
        order = self._answer(lambda: self.client.get(f"/v1/orders/{order_id}")).json()
        if (order["status"], order["payment_status"]) != ("delivered", "captured"):
            return f"{order['status']}, payment {order['payment_status']}"
        history = self._answer(lambda: self.client.get(f"/v1/orders/{order_id}/history")).json()["items"]
        seqs = [event["seq"] for event in history]
        if seqs != list(range(1, order["last_seq"] + 1)):
            return f"has the events {seqs}"
        self.events[order_id] = len(seqs)
        return ""

    def _answer(self, ask: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Ask until there is one, signing in where a token is wanted or has expired."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        last = "nothing"
        while time.monotonic() < deadline:
            try:
                answer = ask()
                if answer.status_code == httpx2.codes.UNAUTHORIZED:
                    self._sign_in()
                    continue
            except httpx2.HTTPError as error:
                last = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return answer
                last = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
                if answer.is_client_error and not _means_later(answer):
                    break
            self.asked_again += 1
            time.sleep(_PAUSE_SECONDS)
        raise NotAnswered(last)

    def _sign_in(self) -> None:
        form = {"grant_type": "password", "username": self.email, "password": _PASSWORD}
        token = self.client.post("/oauth2/token", data=form).raise_for_status().json()
        self.client.headers["Authorization"] = f"Bearer {token['access_token']}"


def _means_later(answer: httpx2.Response) -> bool:
    """Also where the service was killed that worked on a request with the same key."""
    busy = answer.status_code == httpx2.codes.CONFLICT and answer.json()["code"] == "request_in_progress"
    return busy or answer.status_code == httpx2.codes.TOO_MANY_REQUESTS


def different_on_kafka(events: dict[str, int]) -> dict[str, list[int]]:
    """Orders whose events on the topic are not those of their history; `events` says how many it has."""
    settings = load_settings()
    seen: dict[str, list[int]] = defaultdict(list)
    for message in messages_of(settings, f"{settings.name_prefix}{ORDERS_TOPIC}"):
        seen[(message.key() or b"").decode()].append(int(json.loads(message.value() or b"{}")["seq"]))
    each_once = {order: list(dict.fromkeys(seen[order])) for order in events}
    return {order: found for order, found in each_once.items() if found != list(range(1, events[order] + 1))}
