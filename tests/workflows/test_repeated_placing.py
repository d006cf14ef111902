"""An order that a killed worker had placed costs what it was placed at, whatever has become of the catalog since."""

from datetime import UTC, datetime

import pytest

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.prices import OrderPrices
from adapters.mysql.orders.vouchers import Vouchers
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from domain.vouchers import VoucherKind
from schemas.checkout import CheckoutInput
from schemas.orders import PlaceOrder
from schemas.vouchers import VoucherTerms
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Place, order_input
from tests.workflows.provider import MakeVoucher


def place_as_a_killed_worker(connections: Connections, order: CheckoutInput) -> int:
    """Priced and placed, and nobody knows; answers the total."""
    engine = connections.engine
    prices = OrderPrices(Catalog(engine), Vouchers(engine))
    quote = prices.price(order.price_command(order.lines, order.discount_code), datetime.now(UTC))
    OrderStore(engine).place(PlaceOrder(order=order, quote=quote))
    return quote.total


async def test_the_stored_price_is_authorized(
    place: Place, make_product: MakeProduct, connections: Connections
) -> None:
    sku = make_product(stock=5, price=2000)
    total = place_as_a_killed_worker(connections, before := order_input({sku: 1}, approved_total=99_99))
    make_product(stock=0, price=9000, sku=sku)  # dearer than its customer has agreed to

    order = await place({sku: 1}, **before.model_dump(exclude={"lines"}))
    await order.delivered()

    money = order.money()
    assert money[EntryKind.AUTHORIZATION] == money[EntryKind.CAPTURE] == order.view().total.amount == total


@pytest.mark.parametrize("gone", ["product", "voucher"])
async def test_what_is_sold_no_longer_ends_no_placed_order(
    gone: str, place: Place, make_product: MakeProduct, make_voucher: MakeVoucher, connections: Connections
) -> None:
    sku, code = make_product(stock=5, price=2000), make_voucher(kind="percent", basis_points=1000)
    total = place_as_a_killed_worker(connections, before := order_input({sku: 1}, discount_code=code))
    if gone == "product":
        make_product(stock=0, sku=sku, active=False)
    else:
        ended = VoucherTerms(kind=VoucherKind.PERCENT, basis_points=1000, active=False)
        Vouchers(connections.engine).change(code, ended, None)

    order = await place({sku: 1}, **before.model_dump(exclude={"lines"}))
    view = await order.delivered()
    assert (view.status, order.money()[EntryKind.CAPTURE]) == (OrderStatus.DELIVERED, total)
