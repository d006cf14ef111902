"""An order's address, its sums and its parcels' shares change in one transaction, before anything is booked."""

from collections.abc import Collection, Mapping

import pytest

from adapters.connections import Connections
from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.orders import OrderStore
from domain.actors import SYSTEM_ACTOR
from domain.catalog import TaxClass
from domain.errors import AddressRaisesTotal, NotFound, TooLate
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus
from schemas.address_changes import RecordAddress
from schemas.base import Address
from schemas.fulfilment import RecordParcel
from schemas.orders import OrderPlaced, OrderView, RecordStatus
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct

GOODS, SHIPPING, TAX = 4000, 1490 + 400, 0  # 4 × 10.00, 0.4 kg to the United States


def standard(skus: Collection[str]) -> Mapping[str, TaxClass]:
    return dict.fromkeys(skus, TaxClass.STANDARD)


@pytest.fixture
def store(connections: Connections) -> OrderStore:
    return OrderStore(connections.engine)


@pytest.fixture
def placed(store: OrderStore, make_product: MakeProduct) -> OrderPlaced:
    """Two parcels of an order within Germany that was placed without shipping and tax."""
    return store.place(order_of({make_product(stock={"BER": 5}): 3, make_product(stock={"AMS": 5}): 1}))


def change(order_id: str, country: str = "US", authorized_total: int | None = None, step: str = "s") -> RecordAddress:
    address = Address(name="A", line1="B", city="C", postal_code="12345", country=country)
    return RecordAddress(
        order_id=order_id, step=step, address=address, actor="customer:test", authorized_total=authorized_total
    )


def view(store: OrderStore, order_id: str) -> OrderView:
    found = store.get(order_id)
    assert found is not None
    return found


def test_what_is_not_authorized_is_refused_with_what_it_would_cost(store: OrderStore, placed: OrderPlaced) -> None:
    before = view(store, placed.order_id)
    total = GOODS + SHIPPING
    for authorized in (None, total - 1):
        with pytest.raises(AddressRaisesTotal) as refused:
            store.change_address(change(placed.order_id, authorized_total=authorized), standard)
        names = {"total": GOODS, "new_total": total, "amount_due": total}
        assert refused.value.details == {name: {"amount": amount, "currency": "EUR"} for name, amount in names.items()}
    assert view(store, placed.order_id) == before


def test_a_repeat_changes_nothing(store: OrderStore, placed: OrderPlaced) -> None:
    first = store.change_address(change(placed.order_id, authorized_total=GOODS + SHIPPING), standard)
    assert [plan.amount for plan in first.parcels] == [4418, 1472]  # 58.90 in the proportion of 3 to 1
    assert store.change_address(change(placed.order_id, "DE"), standard) == first
    order = view(store, placed.order_id)
    assert (order.shipping_address.country, order.shipping.amount) == ("US", SHIPPING)
    assert order.total.amount == GOODS + SHIPPING
    types = [event.type for event in store.history(placed.order_id).items]
    assert types.count(EventType.ORDER_ADDRESS_CHANGED) == 1


def test_once_a_parcel_is_booked(store: OrderStore, placed: OrderPlaced, connections: Connections) -> None:
    Parcels(connections.engine).record(
        RecordParcel(order_id=placed.order_id, number=2, status=ParcelStatus.BOOKED, actor=SYSTEM_ACTOR)
    )
    with pytest.raises(TooLate):
        store.change_address(change(placed.order_id, "DE"), standard)


def test_once_it_is_being_compensated(store: OrderStore, placed: OrderPlaced) -> None:
    store.record_status(
        RecordStatus(
            order_id=placed.order_id,
            step="cancelling",
            status=OrderStatus.CANCELLING,
            event_type=EventType.ORDER_CANCELLING,
            actor=SYSTEM_ACTOR,
        )
    )
    with pytest.raises(TooLate):
        store.change_address(change(placed.order_id, "DE"), standard)


def test_an_order_that_does_not_exist(store: OrderStore) -> None:
    with pytest.raises(NotFound):
        store.change_address(change("0193b2c4-0000-7000-8000-000000000000"), standard)
