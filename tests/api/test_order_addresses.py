"""A customer has an order shipped to another address, over HTTP."""

import time
import uuid
from collections.abc import Callable

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from schemas.users import Role
from tests.buyer import ADDRESS, DECLINED, SECURE, VISA, Buyer
from tests.conftest import eventually
from tests.fixture_types import Json, MakeCustomer, MakeProduct, MakeStaff

DANISH = ADDRESS | {"city": "Odense", "country": "DK", "postal_code": WAITING_POSTAL_CODE}
GERMAN = ADDRESS | {"line1": "Neue Straße 2", "postal_code": WAITING_POSTAL_CODE}
AMERICAN = GERMAN | {"country": "US"}


pytestmark = pytest.mark.usefixtures("rotterdam_asks")


@pytest.fixture
async def order(buyer: Buyer, make_product: MakeProduct) -> Json:
    """From Denmark, in a parcel that waits for its pick."""
    version = buyer.fill(make_product({"ROT": 9}, price=1000), 2)
    placed = buyer.check_out(version, shipping_address=DANISH)
    assert placed.status_code in (201, 202), placed.text
    order_id = placed.json()["id"]
    # Not shipped to, so that nothing changes; another code means that its parcels are not at the warehouse yet.
    body = {"shipping_address": AMERICAN}
    await eventually(
        lambda: str(buyer.post(f"/v1/orders/{order_id}/address", body).json().get("code")),
        lambda code: code == "address_raises_total",
    )
    return buyer.order(order_id)


@pytest.fixture
def flagged(connections: Connections) -> Callable[[], list[str]]:
    """The orders of the webhooks that contradict our ledger."""
    return lambda: [one.order_id for one in FlaggedWebhooks(connections.engine).page(None, 1000).items]


def change(
    buyer: Buyer, order: Json, address: Json, key: str | None = None, method: str | None = None
) -> httpx2.Response:
    key, body = key or uuid.uuid4().hex, {"shipping_address": address} | ({"payment_method": method} if method else {})
    deadline = time.monotonic() + 120
    while True:  # on a busy machine the workers may take longer than one request waits for them
        answer = buyer.post(f"/v1/orders/{order['id']}/address", body, key)
        assert time.monotonic() < deadline, answer.text
        if answer.status_code not in (202, 503):
            return answer


def test_once_whatever_is_sent_again(buyer: Buyer, order: Json) -> None:
    key = uuid.uuid4().hex
    answer = change(buyer, order, GERMAN, key)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert {name: changed["shipping_address"][name] for name in GERMAN} == GERMAN
    assert changed["total"]["amount"] < order["total"]["amount"]
    assert changed["payment"]["held"] == order["total"]
    assert change(buyer, order, GERMAN, key).json() == changed
    assert change(buyer, order, DANISH, key).json()["code"] == "idempotency_key_reused"
    history = buyer.api.get(f"/v1/orders/{order['id']}/history", headers=buyer.headers).json()["items"]
    (event,) = [one for one in history if one["type"] == "order.address_changed"]
    assert event["data"] == {"total": changed["total"], "previous_total": order["total"]}
    assert event["actor"].startswith("customer:")


def test_where_it_costs_more(buyer: Buyer, order: Json) -> None:
    answer = change(buyer, order, AMERICAN)
    assert (answer.status_code, answer.json()["code"]) == (409, "address_raises_total")
    assert answer.json()["total"] == order["total"]
    assert answer.json()["new_total"]["amount"] > order["total"]["amount"]
    assert buyer.order(order["id"])["shipping_address"] == order["shipping_address"]


def test_another_card_pays_what_it_costs_more(buyer: Buyer, order: Json, flagged: Callable[[], list[str]]) -> None:
    declined = change(buyer, order, AMERICAN, method=DECLINED)
    assert (declined.status_code, declined.json()["code"]) == (402, "payment_declined")
    assert declined.json()["decline_code"] == "generic_decline"
    assert buyer.order(order["id"])["shipping_address"] == order["shipping_address"]
    answer = change(buyer, order, AMERICAN, method=VISA)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["payment"]["held"] == changed["total"] != order["total"]
    assert buyer.effects(order["id"]) == ["authorization", "authorization", "void"]
    assert order["id"] not in flagged()


async def test_the_bank_asks_its_customer(buyer: Buyer, order: Json, flagged: Callable[[], list[str]]) -> None:
    key = uuid.uuid4().hex
    body = {"shipping_address": AMERICAN, "payment_method": SECURE}
    accepted = buyer.post(f"/v1/orders/{order['id']}/address", body, key)
    assert accepted.status_code == 202, accepted.text
    waiting = buyer.until(order["id"], "awaiting_payment")
    assert waiting["shipping_address"] == order["shipping_address"]
    buyer.authenticate(waiting)
    answer = change(buyer, order, AMERICAN, key, SECURE)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["shipping_address"]["country"], answer.json()["payment_action"]) == ("US", None)
    assert answer.json()["payment"]["held"] == answer.json()["total"]
    assert buyer.effects(order["id"]) == ["authorization", "authorization", "void"]
    assert order["id"] not in flagged()


def test_what_is_no_address(buyer: Buyer, order: Json) -> None:
    """As at the checkout."""
    for address in (GERMAN | {"country": "Germany"}, GERMAN | {"postal_code": "1"}, {"name": "Ada"}, GERMAN | {"x": 1}):
        answer = change(buyer, order, address)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_once_it_is_cancelled(buyer: Buyer, order: Json) -> None:
    assert buyer.post(f"/v1/orders/{order['id']}/cancel", {}).status_code in (200, 202)
    buyer.until(order["id"], "cancelled")
    answer = change(buyer, order, GERMAN)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_late")


def test_by_staff_and_by_strangers(
    buyer: Buyer, order: Json, make_staff: MakeStaff, make_customer: MakeCustomer
) -> None:
    assert change(Buyer(buyer.api, make_customer().headers, ""), order, GERMAN).status_code == 404
    assert change(Buyer(buyer.api, make_staff(Role.WAREHOUSE), ""), order, GERMAN).status_code == 403
    assert change(Buyer(buyer.api, make_staff(Role.SUPPORT), ""), order, GERMAN).status_code == 200
    history = buyer.api.get(f"/v1/orders/{order['id']}/history", headers=buyer.headers).json()["items"]
    actors = [one["actor"] for one in history if one["type"] == "order.address_changed"]
    assert [actor.partition(":")[0] for actor in actors] == ["staff"]
