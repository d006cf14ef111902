"""A violated key is known by its name, so that nothing else is read as "there already"."""

import re
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.constraints import violated_key
from adapters.mysql.identity.external_identities import ExternalIdentities
from adapters.mysql.orders.orders import OrderStore
from domain.errors import CartChanged
from schemas.base import Address
from schemas.checkout import CheckoutInput, OrderLineInput, PricedLine, PricedOrder
from schemas.orders import PlaceOrder
from tests.conftest import MakeProduct

ADDRESS = Address(name="Test", line1="Weg 1", city="Berlin", postal_code="10117", country="DE")


def order_of(sku: str, cart_id: str) -> PlaceOrder:
    order = CheckoutInput(
        order_id=str(uuid_utils.uuid7()),
        customer_id=str(uuid_utils.uuid7()),
        email="customer@shop.example.com",
        cart_id=cart_id,
        cart_version=1,
        lines=[OrderLineInput(sku=sku, quantity=1)],
        shipping_address=ADDRESS,
        shipping_method="standard",
        payment_method="pm_card_visa",
    )
    line = PricedLine(sku=sku, name=sku, quantity=1, unit_price=1000, weight_grams=100, subtotal=1000, tax=0)
    quote = PricedOrder(currency="EUR", lines=[line], subtotal=1000, shipping=0, tax=0, total=1000)
    return PlaceOrder(order=order, quote=quote)


def failure(code: int, message: str) -> sa.exc.IntegrityError:
    return sa.exc.IntegrityError("INSERT", {}, pymysql.err.IntegrityError(code, message))


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("Duplicate entry 'c:1' for key 'uq_orders_cart_claim'", "uq_orders_cart_claim"),
        ("Duplicate entry 'c:1' for key 'orders.uq_orders_cart_claim'", "uq_orders_cart_claim"),
        ("Duplicate entry 'it's for key 'x'' for key 'uq_orders_id'", "uq_orders_id"),
        ("Duplicate entry '7' for key 'PRIMARY'", "PRIMARY"),
        ("Duplicate entry '7' for key 'products.PRIMARY'", "PRIMARY"),
    ],
)
def test_the_key_is_named_as_mariadb_and_as_mysql_say_it(message: str, key: str) -> None:
    assert violated_key(failure(1062, message)) == key


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (4025, "CONSTRAINT `ck_orders_total` failed for `shop`.`orders`"),
        (3819, "Check constraint 'ck_orders_total' is violated."),
        (1048, "Column 'email' cannot be null"),
        (1452, "Cannot add or update a child row: a foreign key constraint fails (`shop`.`order_lines`)"),
    ],
)
def test_what_is_no_key_has_no_name(code: int, message: str) -> None:
    assert violated_key(failure(code, message)) is None


def test_an_order_that_breaks_another_rule_is_not_read_as_ordered_already(
    connections: Connections, make_product: MakeProduct
) -> None:
    orders, sku, cart_id = OrderStore(connections.engine), make_product(), str(uuid_utils.uuid7())
    wanted = order_of(sku, cart_id)
    nameless = wanted.model_copy(update={"order": wanted.order.model_copy(update={"email": None})})
    with pytest.raises(sa.exc.IntegrityError, match="'email' cannot be null"):
        orders.place(nameless)
    assert orders.place(order_of(sku, cart_id)).number
    with pytest.raises(CartChanged, match="ordered already"):
        orders.place(order_of(sku, cart_id))


def test_an_account_elsewhere_of_nobody_is_not_read_as_linked_already(connections: Connections) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="fk_external_identities_user_id"):
        ExternalIdentities(connections.engine).link("elsewhere", "subject", str(uuid_utils.uuid7()), "a@example.com")


def test_every_key_that_the_code_names_is_in_the_database(connections: Connections) -> None:
    sources = Path("adapters/mysql").glob("**/*.py")
    named = {key for path in sources if "migrations" not in path.parts for key in _named_in(path)}
    query = sa.text("SELECT index_name FROM information_schema.statistics WHERE table_schema = DATABASE()")
    with connections.engine.connect() as connection:
        there = set(connection.scalars(query))
    assert {"uq_orders_id", "uq_orders_cart_claim", "uq_users_verified_email"} <= named <= there


def _named_in(path: Path) -> set[str]:
    return set(re.findall(r'"(uq_\w+)"', path.read_text()))
