"""`make demo`: a customer orders, through the public API alone; every step is shown as it happens.

Of the engine's own code it uses names and settings alone: it speaks HTTP to the API and to the mail catcher, and reads
Kafka as any other consumer would. It ends with status 1 and a sentence when the order does not come to its end.
"""

import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx2
import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.markup import escape

from adapters.settings import load_settings
from dev.stack.environment import settings
from dev.topics import messages_of
from domain.events import EventType
from workflows.names import order_workflow_id

_SETTINGS = settings()
API = _SETTINGS["ORDERS_PUBLIC_URL"]
MAIL = _SETTINGS["ORDERS_MAIL_UI_URL"]
TEMPORAL_UI = _SETTINGS["ORDERS_TEMPORAL_UI_URL"]
NAMESPACE = _SETTINGS["TEMPORAL_NAMESPACE"]
TOPIC = f"{_SETTINGS['ORDERS_NAME_PREFIX']}orders.status.v1"
PASSWORD = "a demo password, not a secret"  # noqa: S105
PATIENCE_SECONDS = 120
FINAL = {"delivered", "failed", "cancelled"}
ADDRESS = {
    "name": "Demo Customer",
    "line1": "Unter den Linden 1",
    "city": "Berlin",
    "postal_code": "10117",
    "country": "DE",
}

console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """The order did not come to its end; the message says what to do."""


@dataclass
class Shopper:
    """A customer with a token, as a storefront would keep one."""

    email: str
    client: httpx2.Client
    mails: dict[str, list[int]] = field(default_factory=dict)
    last_mail: str = ""

    @classmethod
    def register(cls) -> "Shopper":
        """Open an account and log in."""
        email = f"demo-{uuid.uuid4().hex[:8]}@shop.example.com"
        client = httpx2.Client(base_url=API, timeout=30)
        _expect(client.post("/v1/users", json={"email": email, "password": PASSWORD, "name": "Demo Customer"}), 201)
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        token = _expect(client.post("/oauth2/token", data=form), 200)
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        _log(f"registered {email} and logged in (ES256 JWT, {token['expires_in']} s)")
        return cls(email, client)

    def fill_cart(self, words: str, lines: int) -> int:
        """Search and put the first hits in stock into the cart; answers the cart's version."""
        found = _expect(self.client.get("/v1/products", params={"q": words, "in_stock": True, "limit": lines}), 200)
        if not found["items"]:
            raise DemoFailed(f"No product found for {words!r}: run `make seed`, then `make demo` again.")
        _log(f"searched “{words}”: {found['total']} found")
        cart: dict[str, Any] = {}
        for quantity, hit in enumerate(found["items"], start=1):
            cart = _expect(self.client.put(f"/v1/cart/items/{hit['sku']}", json={"quantity": quantity}), 200)
            _log(f"  {quantity} × {hit['name']} [{hit['sku']}] at {_money(hit['price'])}")
        version: int = cart["version"]
        return version

    def check_out(self, cart_version: int, payment_method: str) -> httpx2.Response:
        """Place the order."""
        order = {
            "cart_version": cart_version,
            "shipping_address": ADDRESS,
            "shipping_method": "express",
            "payment_method": payment_method,
        }
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self.client.post("/v1/checkouts", json=order, headers=key)

    def order(self, order_id: str) -> dict[str, Any]:
        """The order as the customer sees it."""
        return _expect(self.client.get(f"/v1/orders/{order_id}"), 200)

    def history(self, order_id: str) -> list[dict[str, Any]]:
        """Everything that happened to it."""
        items: list[dict[str, Any]] = _expect(self.client.get(f"/v1/orders/{order_id}/history"), 200)["items"]
        return items

    def new_mails(self, order_id: str) -> list[tuple[int, str]]:
        """Mails about the order that came since the last look: the event's seq and the subject."""
        seen = self.mails.setdefault(order_id, [])
        found = httpx2.get(
            f"{MAIL}/api/v1/search", params={"query": f"to:{self.email}", "limit": 200}, timeout=10
        ).json()
        new: list[tuple[int, str]] = []
        for message in found["messages"]:
            headers = httpx2.get(f"{MAIL}/api/v1/message/{message['ID']}/headers", timeout=10).json()
            if headers.get("X-Order-Id") != [order_id]:
                continue
            seq = int(headers["X-Order-Event-Seq"][0])
            if seq not in seen:
                seen.append(seq)
                new.append((seq, message["Subject"]))
                if seq == max(seen):
                    self.last_mail = f"{MAIL}/view/{message['ID']}"
        return sorted(new)


def main() -> None:
    """Place an order and watch it be delivered, then one with a declined card; `make up` must have run."""
    try:
        delivered, mail = show_delivery()
        declined = show_decline()
    except (DemoFailed, httpx2.HTTPError) as error:
        console.print(f"\n[red]The demo stopped:[/red] {escape(str(error))}")
        console.print("`make status` shows what runs, `make logs` shows the logs; `make up` starts what is missing.")
        sys.exit(1)
    _links(delivered, mail, declined)


def show_delivery() -> tuple[str, str]:
    """An order from cart to delivery; answers its id and the address of its last mail."""
    console.rule("An order, from cart to delivery")
    shopper = Shopper.register()
    version = shopper.fill_cart("coffee", lines=2)
    started = time.monotonic()
    placed = _expect(shopper.check_out(version, "pm_card_visa"), 201)
    took = (time.monotonic() - started) * 1000
    _log(f"checked out in {took:.0f} ms: order no. {placed['number']}, {_money(placed['total'])}, {placed['status']}")
    order_id: str = placed["id"]
    order = _follow(shopper, order_id)
    if order["status"] != "delivered":
        raise DemoFailed(f"the order ended as {order['status']}, not delivered.")
    _prove_gap_free(shopper, order_id)
    return order_id, shopper.last_mail


def show_decline() -> str:
    """A declined card and a cancellation, which releases the reserved stock; answers the order's id."""
    console.rule("A declined card, compensated")
    shopper = Shopper.register()
    version = shopper.fill_cart("lamp", lines=1)
    refusal = shopper.check_out(version, "pm_card_chargeDeclined")
    problem = _expect(refusal, 402)
    _log(f"402 {problem['code']}: {problem['detail']}")
    _log(f"the order waits until {problem['retry_until'][11:16]} UTC for another card; this customer cancels instead")
    order_id: str = problem["order_id"]
    _expect(shopper.client.post(f"/v1/orders/{order_id}/cancel", json={"reason": "no other card"}), 200)
    order = _follow(shopper, order_id)
    if order["status"] != "cancelled":
        raise DemoFailed(f"the declined order is {order['status']}, not cancelled.")
    cart = _expect(shopper.client.get("/v1/cart"), 200)
    _log(f"the cart is still there, {len(cart['items'])} line(s), ready for another card")
    _prove_gap_free(shopper, order_id)
    return order_id


def _follow(shopper: Shopper, order_id: str) -> dict[str, Any]:
    """Print every event and every mail as it arrives, until the order has ended and each event was mailed."""
    shown = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for event in shopper.history(order_id)[shown:]:
            shown = event["seq"]
            _event(event)
        for seq, subject in shopper.new_mails(order_id):
            console.print(f"               [dim]✉ {seq:>2}  {subject}[/dim]")
        order = shopper.order(order_id)
        settled = order["payment_status"] in ("captured", "voided", "not_paid")
        if order["status"] in FINAL and settled and len(shopper.mails[order_id]) == shown == order["last_seq"]:
            return order
        time.sleep(0.2)
    raise DemoFailed(
        f"order {order_id} has not come to its end in {PATIENCE_SECONDS} s; see its workflow: "
        f"{_workflow_link(order_id)}"
    )


def _prove_gap_free(shopper: Shopper, order_id: str) -> None:
    history = [event["seq"] for event in shopper.history(order_id)]
    expected = list(range(1, len(history) + 1))
    channels = {"MySQL": history, "Kafka": _kafka_seqs(order_id), "mail": sorted(shopper.mails[order_id])}
    for channel, seqs in channels.items():
        if seqs != expected:
            raise DemoFailed(f"{channel} has the events {seqs}, not {expected}.")
    _log(f"events 1 to {len(expected)}, without a gap, in MySQL, on Kafka and by mail")


def _kafka_seqs(order_id: str) -> list[int]:
    """The order's events on the topic, each once, in the order they came."""
    try:
        messages = [m.value() for m in messages_of(load_settings(), TOPIC) if m.key() == order_id.encode()]
    except (RuntimeError, KafkaException) as error:
        raise DemoFailed(f"Kafka does not answer: {error}.") from error
    return list(dict.fromkeys(int(json.loads(value or b"{}")["seq"]) for value in messages))


def _event(event: dict[str, Any]) -> None:
    known = {"tracking_url"} | ({"tracking_number"} if event["type"] != EventType.PARCEL_BOOKED else set())
    details = ", ".join(f"{name} {_plain(value)}" for name, value in event["data"].items() if name not in known)
    moment = event["occurred_at"][11:19]
    console.print(
        f"  [cyan]{moment}[/cyan]  {event['seq']:>2}  [bold]{event['type']:<22}[/bold] {event['status']:<11} {details}"
    )


def _plain(value: object) -> str:
    if isinstance(value, dict) and set(value) == {"amount", "currency"}:
        return _money(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _money(money: dict[str, Any]) -> str:
    return f"{money['amount'] / 100:.2f} {money['currency']}"


def _log(text: str) -> None:
    console.print(f"[green]✓[/green] {text}")


def _expect(answer: httpx2.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise DemoFailed(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def _workflow_link(order_id: str) -> str:
    return f"{TEMPORAL_UI}/namespaces/{NAMESPACE}/workflows/{order_workflow_id(order_id)}"


def _links(delivered: str, mail: str, declined: str) -> None:
    console.rule("Where to look")
    console.print(f"API documentation    {API}/docs")
    console.print(f"the delivered order  {_workflow_link(delivered)}")
    console.print(f"the declined order   {_workflow_link(declined)}")
    console.print(f"all workflows        {TEMPORAL_UI}/namespaces/{NAMESPACE}/workflows")
    console.print(f"its last mail        {mail}")
    console.print(f"all mails            {MAIL}")
    console.print("\n`make status` lists the parts, `make down` stops them, `make help` shows the rest.")


if __name__ == "__main__":
    typer.run(main)
