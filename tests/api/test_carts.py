"""The cart over HTTP: whole in every answer, guarded by its ETag, everybody's own, and honest about what changed."""

import uuid
from collections.abc import Callable

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.tables.catalog import prices
from adapters.mysql.tables.stock import stock, stock_rules
from schemas.stock import SetStockRules
from tests.fixture_types import PASSWORD, Customer, Headers, Json, MakeCustomer, MakeProduct


def put(api: httpx2.Client, headers: Headers, sku: str, quantity: object) -> httpx2.Response:
    return api.put(f"/v1/cart/items/{sku}", json={"quantity": quantity}, headers=headers)


def add(api: httpx2.Client, headers: Headers, sku: str, quantity: object) -> httpx2.Response:
    return api.post("/v1/cart/items", json={"sku": sku, "quantity": quantity}, headers=headers)


def quantities(cart: Json) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in cart["items"]}


Settle = Callable[[], None]
Reprice = Callable[[str, int | None], None]
Leave = Callable[[str, int], None]


@pytest.fixture
def settle(connections: Connections) -> Settle:
    """Have what carts remember of offers forgotten, as it is after some seconds."""

    def settle() -> None:
        keys = list(connections.redis.scan_iter("offer:*"))
        if keys:
            connections.redis.delete(*keys)

    return settle


@pytest.fixture
def reprice(connections: Connections, settle: Settle) -> Reprice:
    def reprice(sku: str, amount: int | None) -> None:
        with connections.engine.begin() as connection:
            mine = sa.and_(prices.c.sku == sku, prices.c.currency == "EUR")
            connection.execute(
                sa.delete(prices).where(mine) if amount is None else sa.update(prices).where(mine).values(amount=amount)
            )
        settle()

    return reprice


@pytest.fixture
def leave(connections: Connections, settle: Settle) -> Leave:
    """Have so many units of a SKU in all."""

    def leave(sku: str, units: int) -> None:
        with connections.engine.begin() as connection:
            connection.execute(sa.update(stock).where(stock.c.sku == sku).values(on_hand=units))
        settle()

    return leave


def test_the_cart_shows_todays_prices(api: httpx2.Client, customer: Customer, make_product: MakeProduct) -> None:
    plenty, scarce = make_product(stock={"BER": 2, "AMS": 2}, price=1050), make_product(stock=1, price=200)
    put(api, customer.headers, plenty, 4)
    answer = put(api, customer.headers, scarce, 1)
    cart = answer.json()
    assert answer.headers["etag"] == '"2"'
    assert cart["version"] == 2
    assert [(line["sku"], line["quantity"], line["available"]) for line in cart["items"]] == [
        (plenty, 4, True),
        (scarce, 1, True),
    ]
    assert cart["items"][0]["line_total"] == {"amount": 4200, "currency": "EUR"}
    assert cart["subtotal"] == {"amount": 4400, "currency": "EUR"}
    assert cart["changes"] == []
    read = api.get("/v1/cart", headers=customer.headers)
    assert (read.json(), read.headers["etag"]) == (cart, '"2"')


def test_adding_adds_and_setting_sets(api: httpx2.Client, customer: Customer, make_product: MakeProduct) -> None:
    sku = make_product()
    for expected in (2, 4):
        assert quantities(add(api, customer.headers, sku, 2).json()) == {sku: expected}
    assert quantities(put(api, customer.headers, sku, 3).json()) == {sku: 3}
    one_more = api.post("/v1/cart/items", json={"sku": sku}, headers=customer.headers)
    assert quantities(one_more.json()) == {sku: 4}


def test_a_repeat_with_the_same_key_adds_nothing(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    sku, other = make_product(), make_product()
    headers = customer.headers | {"Idempotency-Key": str(uuid.uuid4())}
    assert add(api, headers, sku, 2).json() == add(api, headers, sku, 2).json()
    for wrong in ((sku, 3), (other, 2)):
        refused = add(api, headers, *wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert quantities(api.get("/v1/cart", headers=customer.headers).json()) == {sku: 2}


def test_putting_the_same_again_changes_nothing(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    sku = make_product()
    assert put(api, customer.headers, sku, 2).json() == put(api, customer.headers, sku, 2).json()


def test_more_than_there_is_is_refused_and_says_how_much_there_is(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    sku = make_product(stock={"BER": 2, "AMS": 1})
    put(api, customer.headers, sku, 2)
    for refused in (put(api, customer.headers, sku, 4), add(api, customer.headers, sku, 2)):
        assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock")
        assert {name: refused.json()[name] for name in ("sku", "wanted", "available")} == {
            "sku": sku,
            "wanted": 4,
            "available": 3,
        }
    assert quantities(api.get("/v1/cart", headers=customer.headers).json()) == {sku: 2}
    assert put(api, customer.headers, sku, 3).status_code == 200


def test_what_has_just_arrived_can_be_put_in(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, connections: Connections
) -> None:
    """What is remembered of the stock may let more in for some seconds; it never keeps anything out."""
    sku = make_product(stock=1)
    assert put(api, customer.headers, sku, 1).status_code == 200
    Stock(connections.engine).receive([(sku, "BER", 5)], "staff:test", "a delivery")
    assert put(api, customer.headers, sku, 6).status_code == 200


def test_what_may_be_sold_beyond_the_stock_has_no_limit_but_the_carts(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, connections: Connections
) -> None:
    sku = make_product(stock=1)
    Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
    assert put(api, customer.headers, sku, 999).json()["items"][0]["available"] is True
    refused = add(api, customer.headers, sku, 1)
    assert (refused.status_code, refused.json()["maximum"]) == (422, 999)
    with connections.engine.connect() as connection:
        assert connection.scalar(sa.select(stock_rules.c.backorderable).where(stock_rules.c.sku == sku))


def test_what_has_changed_is_shown_until_the_customer_acknowledges_it(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, reprice: Reprice, leave: Leave
) -> None:
    dearer, scarcer, gone, same = (make_product(price=1000) for _ in range(4))
    for sku in (dearer, scarcer, gone, same):
        put(api, customer.headers, sku, 2)
    reprice(dearer, 1200)
    reprice(gone, None)
    leave(scarcer, 1)
    cart = api.get("/v1/cart", headers=customer.headers).json()
    euro = {"currency": "EUR"}
    assert cart["changes"] == [
        {"sku": dearer, "kind": "price", "from": {"amount": 1000, **euro}, "to": {"amount": 1200, **euro}},
        {"sku": scarcer, "kind": "availability", "from": True, "to": False},
        {"sku": gone, "kind": "gone", "from": {"amount": 1000, **euro}, "to": None},
    ]
    assert [(line["available"], line["unit_price"] and line["unit_price"]["amount"]) for line in cart["items"]] == [
        (True, 1200),
        (False, 1000),
        (False, None),
        (True, 1000),
    ]
    assert cart["subtotal"] == {"amount": 2 * (1200 + 1000 + 1000), **euro}
    assert api.get("/v1/cart", headers=customer.headers).json() == cart, "looking is not taking note"

    changed = put(api, customer.headers, dearer, 3).json()
    assert [one["sku"] for one in changed["changes"]] == [scarcer, gone], "whoever changes a line has seen it"
    noted = api.post("/v1/cart/acknowledge", headers=customer.headers | {"If-Match": f'"{changed["version"]}"'})
    assert (noted.status_code, noted.json()["changes"]) == (200, [])
    assert api.get("/v1/cart", headers=customer.headers).json() == noted.json()
    reprice(dearer, 1000)
    (back,) = api.get("/v1/cart", headers=customer.headers).json()["changes"]
    assert (back["kind"], back["to"]["amount"]) == ("price", 1000)


def test_a_change_of_a_cart_that_has_changed_is_answered_with_the_cart(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    sku = make_product()
    put(api, customer.headers, sku, 1)
    current = put(api, customer.headers, sku, 2).json()
    stale = customer.headers | {"If-Match": '"1"'}
    for answer in (
        put(api, stale, sku, 9),
        add(api, stale, sku, 1),
        api.delete(f"/v1/cart/items/{sku}", headers=stale),
        api.delete("/v1/cart", headers=stale),
        api.post("/v1/cart/acknowledge", headers=stale),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "cart_changed")
        assert answer.json()["cart"] == current
        assert answer.headers["content-type"] == "application/problem+json"
    assert put(api, customer.headers | {"If-Match": '"2"'}, sku, 9).json()["version"] == 3


def test_an_if_match_that_is_no_etag_is_refused(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    answer = put(api, customer.headers | {"If-Match": "two"}, make_product(), 1)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_if_match")


def test_lines_and_the_whole_cart_can_be_removed(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    first, second = make_product(), make_product()
    put(api, customer.headers, first, 1)
    put(api, customer.headers, second, 1)
    left = api.delete(f"/v1/cart/items/{first}", headers=customer.headers).json()
    assert quantities(left) == {second: 1}
    assert api.delete("/v1/cart", headers=customer.headers).json()["items"] == []


def test_a_dot_in_a_sku_is_just_a_dot(api: httpx2.Client, customer: Customer, make_product: MakeProduct) -> None:
    sku = make_product(sku="TEST-A.B_C.D-1")
    assert quantities(put(api, customer.headers, sku, 1).json()) == {sku: 1}


def test_a_product_that_is_not_sold_cannot_be_put_in(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    sku = make_product(active=False)
    for answer in (put(api, customer.headers, sku, 1), add(api, customer.headers, sku, 1)):
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_product")


def test_everybody_has_their_own_cart(
    api: httpx2.Client, make_customer: MakeCustomer, make_product: MakeProduct
) -> None:
    one, other = make_customer(), make_customer()
    put(api, one.headers, make_product(), 1)
    assert api.get("/v1/cart", headers=other.headers).json()["items"] == []


def test_a_closed_account_leaves_no_cart(
    api: httpx2.Client, make_customer: MakeCustomer, make_product: MakeProduct, connections: Connections
) -> None:
    customer = make_customer()
    put(api, customer.headers, make_product(), 1)
    body = {"password": PASSWORD}
    assert api.request("DELETE", "/v1/users/me", json=body, headers=customer.headers).status_code == 204
    assert connections.mongo["carts"].count_documents({"_id": f"user:{customer.id}"}) == 0
    assert not connections.redis.exists(f"cart:user:{customer.id}")


# --- guests


def guest() -> dict[str, str]:
    return {"X-Cart-Token": f"guest-token-{uuid.uuid4().hex}"}


def test_a_guest_is_given_a_token_nobody_can_guess(api: httpx2.Client, make_product: MakeProduct) -> None:
    issued = [api.post("/v1/cart/guest-token", headers=guest()) for _ in range(3)]
    assert [one.status_code for one in issued] == [201] * 3
    assert {one.headers["cache-control"] for one in issued} == {"no-store"}
    tokens = {one.json()["token"] for one in issued}
    assert len(tokens) == 3
    assert all(len(token) >= 43 for token in tokens)
    sku, mine = make_product(), {"X-Cart-Token": tokens.pop()}
    put(api, mine, sku, 3)
    assert quantities(api.get("/v1/cart", headers=mine).json()) == {sku: 3}
    assert api.get("/v1/cart", headers={"X-Cart-Token": tokens.pop()}).json()["items"] == []


def test_a_first_visitor_needs_nothing_to_get_a_token(api: httpx2.Client) -> None:
    assert api.post("/v1/cart/guest-token").status_code == 201


@pytest.mark.parametrize("token", ["short", "x" * 129, "x" * 40 + "!", "ü" * 40, ""])
def test_a_guests_token_that_could_be_guessed_is_refused(api: httpx2.Client, customer: Customer, token: str) -> None:
    headers = {b"X-Cart-Token": token.encode()}
    signed_in = {name.encode(): value.encode() for name, value in customer.headers.items()}
    for answer in (
        api.get("/v1/cart", headers=headers),
        api.post("/v1/cart/merge", headers=signed_in | headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cart_token")


def test_nobody_has_no_cart(api: httpx2.Client) -> None:
    assert api.get("/v1/cart").status_code == 401


def test_a_guests_cart_becomes_the_customers_when_they_sign_in(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct
) -> None:
    both, theirs, scarce, token = make_product(), make_product(), make_product(stock=3), guest()
    for sku, quantity in {both: 2, theirs: 1, scarce: 2}.items():
        put(api, token, sku, quantity)
    for sku, quantity in {both: 1, scarce: 2}.items():
        put(api, customer.headers, sku, quantity)
    merged = api.post("/v1/cart/merge", headers=customer.headers | token)
    assert merged.status_code == 200, merged.text
    assert quantities(merged.json()) == {both: 3, scarce: 3, theirs: 1}
    for _ in range(3):
        again = api.post("/v1/cart/merge", headers=customer.headers | token)
        assert again.json() == merged.json()
        assert again.headers["etag"] == merged.headers["etag"]
    assert api.get("/v1/cart", headers=token).json()["items"] == []
    assert api.get("/v1/cart", headers=customer.headers).json() == merged.json()


def test_only_somebody_signed_in_can_take_a_guests_cart_over(api: httpx2.Client, customer: Customer) -> None:
    assert api.post("/v1/cart/merge", headers=guest()).status_code == 401
    assert api.post("/v1/cart/merge", headers=customer.headers).status_code == 422


# --- hostile input


@pytest.mark.parametrize("quantity", [0, -1, 10**9, 1000, 1.5, 1.0, "2", "NaN", True, None, [], {}, 2**70])
def test_a_quantity_is_a_whole_number_of_units(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, quantity: object
) -> None:
    sku = make_product()
    for answer in (put(api, customer.headers, sku, quantity), add(api, customer.headers, sku, quantity)):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert answer.json()["errors"][0]["pointer"] == "body/quantity"
    assert api.get("/v1/cart", headers=customer.headers).json()["version"] == 0


@pytest.mark.parametrize(
    "smuggled",
    [
        {"unit_price": {"amount": 1, "currency": "EUR"}},
        {"price": 1},
        {"owner": "user:somebody"},
        {"user_id": "somebody"},
        {"cart_id": "x"},
        {"version": 7},
    ],
)
def test_prices_and_owners_are_not_the_clients_to_say(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, smuggled: dict[str, object]
) -> None:
    sku = make_product()
    for answer in (
        api.put(f"/v1/cart/items/{sku}", json={"quantity": 1, **smuggled}, headers=customer.headers),
        api.post("/v1/cart/items", json={"sku": sku, "quantity": 1, **smuggled}, headers=customer.headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert answer.json()["errors"][0]["code"] == "extra_forbidden"
    assert api.get("/v1/cart", headers=customer.headers).json()["version"] == 0


ODD_SKUS = [
    "ＴＥＳＴ",
    "TEST\u200b",
    "TEST\u202e",
    "TE\u0301ST",
    "ТEST",
    "TEST\x00",
    "TEST\n",
    "$where",
    "a.b",
    "__proto__",
    "../cart",
    "A" * 65,
    "😀",
]


@pytest.mark.parametrize("sku", ODD_SKUS)
def test_a_sku_that_only_looks_like_one_is_none(api: httpx2.Client, customer: Customer, sku: str) -> None:
    added = add(api, customer.headers, sku, 1)
    assert added.status_code == 422, added.text
    path = "".join(f"%{byte:02X}" for byte in sku.encode())
    for answer in (put(api, customer.headers, path, 1), api.delete(f"/v1/cart/items/{path}", headers=customer.headers)):
        # A slash makes another address of it; what was never in the cart is not in it after it was taken out.
        assert answer.status_code in (422, 404, 405, 200), answer.text
    assert api.get("/v1/cart", headers=customer.headers).json()["items"] == []


def test_a_cart_of_five_hundred_lines_is_shown_and_takes_no_more(
    api: httpx2.Client, make_product: MakeProduct, customer: Customer, connections: Connections
) -> None:
    last = make_product(price=100)
    put(api, customer.headers, last, 1)
    document = connections.mongo["carts"].find_one({"_id": f"user:{customer.id}"})
    assert document is not None
    (line,) = document["items"].values()
    lines = {f"LINE-{number}": line for number in range(499)} | document["items"]
    connections.mongo["carts"].update_one({"_id": document["_id"]}, {"$set": {"items": lines}, "$inc": {"version": 1}})
    connections.redis.delete(f"cart:user:{customer.id}")
    cart = api.get("/v1/cart", headers=customer.headers).json()
    assert len(cart["items"]) == 500
    assert cart["subtotal"] == {"amount": 100, "currency": "EUR"}, "the rest was never for sale"
    refused = put(api, customer.headers, make_product(), 1)
    assert (refused.status_code, refused.json()["maximum"]) == (422, 500)
    assert len(put(api, customer.headers, last, 2).json()["items"]) == 500
    assert len(api.delete("/v1/cart/items/LINE-7", headers=customer.headers).json()["items"]) == 499
